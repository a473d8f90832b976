//! C and C++ hosts on our own Lua 5.4.4.

use std::process::Command;

use crate::blocks_served;
use crate::build::{Link, Lua, check_header, host, libraries, root, succeeds};
use crate::support::{c_compiler, scratch};

const SCRIPT_PRINTS: &str = "20000\tword 1\tword 9999\n";

#[test]
fn the_header_compiles_without_warnings_in_every_language() {
    for (compiler, language) in [
        ("cc", ["-xc", "-std=c99"]),
        ("cc", ["-xc", "-std=c11"]),
        ("c++", ["-xc++", "-std=c++11"]),
        ("c++", ["-xc++", "-std=c++17"]),
    ] {
        assert!(check_header("lua_pool.h", compiler, &language, &[]), "there is no {compiler}");
        // What the other common compiler says, where it is installed.
        check_header("lua_pool.h", if compiler == "cc" { "clang" } else { "clang++" }, &language, &[]);
    }
}

/// For hosts that compile Lua themselves, what build.rs generates is committed as well.
#[test]
fn the_committed_files_are_what_the_build_generates() {
    let unit = c_compiler::lua_include().with_file_name("lua54_pool").join("onelua.c");
    let unit = std::fs::read_to_string(unit).expect("build.rs wrote it");
    let layout = lua_pool_allocator::pool::layout::c_header();
    for (name, generated) in [("lua_pool_layout.h", layout), ("lua_pool_onelua.c", unit)] {
        let path = root().join("include").join(name);
        let committed = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(committed == generated, "{} should be:\n{generated}", path.display());
    }
}

#[test]
fn a_c_host_runs_on_the_pool_however_it_is_linked() {
    let libraries = libraries("release");
    for (link, lua) in [
        (Link::Static, Lua::Compiled("lua54")),
        (Link::Shared, Lua::Compiled("lua54")),
        (Link::Static, Lua::Shared),
        (Link::Shared, Lua::Shared),
    ] {
        let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
        let program = host(folder.path(), "examples/c_host.c", &lua, link, &libraries);
        for mode in [None, Some("--attach"), Some("--checked")] {
            let (out, err) = succeeds(Command::new(&program).args(mode));
            assert_eq!(out, SCRIPT_PRINTS);
            assert!(blocks_served(&err) > 50_000, "{mode:?}: {err}");
        }
        let (out, err) = succeeds(Command::new(&program).arg("--system"));
        assert_eq!((out.as_str(), err.as_str()), (SCRIPT_PRINTS, ""));
    }
}

#[test]
fn a_c_host_that_compiles_lua_itself_gets_the_inlined_fast_path() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let libraries = libraries("release");
    let program = host(folder.path(), "examples/c_host.c", &Lua::Compiled("lua54_pool"), Link::Static, &libraries);
    for mode in [None, Some("--attach"), Some("--checked")] {
        let (out, err) = succeeds(Command::new(&program).args(mode));
        assert_eq!(out, SCRIPT_PRINTS);
        // Fewer than with a Lua that is not ours: numbers are joined without a string for each.
        assert!(blocks_served(&err) > 40_000, "{mode:?}: {err}");
    }
}

#[test]
fn the_module_alloc_shows_the_pool_to_lua() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let script = folder.path().join("script.lua");
    let source = "local alloc = require 'alloc'\n\
                  local made = 0\n\
                  for _, class in ipairs(alloc.getStat()) do made = made + class.iCreate end\n\
                  print(alloc.name(), made > 100)\n";
    std::fs::write(&script, source).expect("a file in the scratch folder");
    for link in [Link::Static, Link::Shared] {
        let program = host(folder.path(), "examples/c_host.c", &Lua::Compiled("lua54"), link, &libraries("release"));
        for (mode, expected) in
            [("--pool", "pool\ttrue\n"), ("--attach", "pool\ttrue\n"), ("--system", "system\tfalse\n")]
        {
            let (out, _) = succeeds(Command::new(&program).arg(mode).arg(&script));
            assert_eq!(out, expected, "{mode}");
        }
    }
}

#[test]
fn a_cpp_host_meets_its_limit_and_goes_on() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let lua = Lua::Compiled("lua54");
    let program = host(folder.path(), "examples/cpp_host.cpp", &lua, Link::Static, &libraries("release"));
    let (out, err) = succeeds(&mut Command::new(program));
    assert_eq!(out, "10000\nnot enough memory\nstill here\n");
    assert!(blocks_served(&err) > 10_000 && !err.contains(" 0 refusals"), "{err}");
}

#[test]
fn a_host_may_compile_lua_as_cpp_whose_errors_are_exceptions() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let libraries = libraries("release");
    let program = host(folder.path(), "tests/hosts/exceptions.cpp", &Lua::CompiledAsCpp, Link::Static, &libraries);
    let (out, err) = succeeds(&mut Command::new(program));
    assert_eq!(out, "not enough memory, 1000 ended\n");
    assert!(blocks_served(&err) > 10_000, "{err}");
}

#[test]
fn a_c_host_starts_and_ends_a_profile_and_sees_holes() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let lua = Lua::Compiled("lua54_pool");
    let program = host(folder.path(), "tests/hosts/profile.c", &lua, Link::Static, &libraries("release"));
    let profile = folder.path().join("out.folded");
    let (out, err) = succeeds(Command::new(program).arg(&profile));
    // The line about a folder ends in the system's own words.
    let told: Vec<&str> = out.lines().filter(|line| !line.contains("no such folder")).collect();
    let expected = [
        "callback: 8 lua_pool_profile_start: a profile needs a Lua with the pool's fast path, as lua54_pool has",
        "no state: 8",
        "callback: 2 lua_pool_profile_start: no file to write to (NULL)",
        "no path: 2",
        "no folder: 1",
        "none to end: 0 0",
        "start: 0",
        "end: 0 1",
        "holes: 1",
        "sound: 0",
        "callback: 8 lua_pool_profile_start: a hardened pool cannot be profiled: leave out one of the two",
        "hardened: 8",
        "closed: 3",
    ];
    assert_eq!(told, expected, "{err}");
    assert!(out.contains("callback: 8 lua_pool_profile_start: cannot write the profile no such folder/out: "), "{out}");
    assert_eq!(err, "lua_pool: lua_pool_profile_stop: this is no pool from lua_pool_new, or it was closed already\n");
    let folded = std::fs::read_to_string(profile).expect("the profile was written");
    let in_fill: u64 = folded
        .lines()
        .filter(|line| line.contains("fill ("))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum();
    // 300,000 tables of 48 bytes, a slot of 16 for each, and the list that they are in.
    assert!((15_000_000..60_000_000).contains(&in_fill), "{folded}");
}

/// What the program of mistakes prints, standard error first.
fn misuse(profile: &str, mistake: &str) -> (String, String) {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let lua = Lua::Compiled("lua54");
    let program = host(folder.path(), "tests/hosts/misuse.c", &lua, Link::Static, &libraries(profile));
    let (out, err) = succeeds(Command::new(program).arg(mistake));
    (err, out)
}

#[test]
fn a_null_pool_is_refused_everywhere() {
    let (err, out) = misuse("release", "null");
    assert_eq!(
        out,
        "state: no\ncallback: 2 lua_pool_stats: no place for the figures (NULL)\n2 2 2 2\nclose: 0\n".to_owned()
    );
    assert_eq!(
        err,
        "lua_pool: lua_pool_trim: the pool is NULL\n\
         lua_pool: lua_pool_verify: the pool is NULL\n\
         lua_pool: lua_pool_close: the pool is NULL\n"
    );
}

#[test]
fn a_hardened_pool_serves_states_and_ends_the_process_at_a_double_free() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let lua = Lua::Compiled("lua54");
    let program = host(folder.path(), "tests/hosts/misuse.c", &lua, Link::Static, &libraries("release"));
    let output = Command::new(program).arg("hardened").output().expect("it starts");
    let expected = "the usual function: yes\none of its own: yes\nstate by the wrong function: no\nscript: yes\n\
        on the pool: yes\nattached: yes\nscript: yes\nsound: yes\nnothing left: yes\n";
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{messages}");
    let (wrong_function, double_free) = messages.split_once('\n').expect("two lines");
    assert!(wrong_function.starts_with("lua_pool: this pool is hardened, and lua_pool_alloc is not for it: "));
    assert!(double_free.starts_with("lua_pool: double free of block 0x") && !output.status.success(), "{messages}");
}

#[test]
fn a_closed_pool_is_refused() {
    let (err, out) = misuse("release", "closed");
    assert_eq!(out, "3 3\nblock: no\n");
    assert_eq!(err.lines().count(), 3, "{err}");
    assert!(err.lines().all(|line| line.ends_with("this is no pool from lua_pool_new, or it was closed already")));
}

#[test]
fn wrong_configurations_are_refused_with_a_reason() {
    let (err, out) = misuse("release", "config");
    assert_eq!(err, "lua_pool: lua_pool_new: config->size is wrong; call lua_pool_config_init first\n");
    let expected = "size 0: no\n\
        callback: 2 lua_pool_new: config->limit_bytes is in bytes, 0 for none, and at least 65536\n\
        limit 64: no\n\
        callback: 2 lua_pool_new: config->purge_mode is none of LUA_POOL_PURGE_*\n\
        purge mode 77: no\n\
        callback: 2 lua_pool_new: config->flags must be 0 or LUA_POOL_HARDENED\n\
        flags 2: no\n";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.ends_with("\n2 2 2\nclose: 0\n"), "{out}");
}

#[test]
fn foreign_blocks_and_double_frees_are_refused_by_the_checked_function() {
    let (_, out) = misuse("release", "foreign");
    let whats: Vec<&str> = out
        .lines()
        .filter_map(|line| line.strip_prefix("callback: 5 block "))
        .filter_map(|line| line.split_once(' ').map(|(_, what)| what))
        .collect();
    let expected = [
        "is not from this pool",
        "is not from this pool",
        "is not where a block of this pool starts",
        "was freed already",
    ];
    assert_eq!(whats, expected, "{out}");
    assert!(out.ends_with("frees: 1, verify: 0 0\nclose: 0\n"), "{out}");
}

#[test]
fn a_second_thread_is_refused_by_the_checked_function() {
    let (_, out) = misuse("release", "thread");
    assert!(out.starts_with("callback: 4 another thread uses this pool"), "{out}");
    assert!(out.ends_with("other thread: no\nafter hand-over: yes\nclose: 0\n"), "{out}");
}

#[test]
fn a_debug_build_refuses_a_second_thread_without_being_asked() {
    let (_, out) = misuse("dev", "thread-debug");
    assert!(out.starts_with("callback: 4 another thread uses this pool"), "{out}");
    assert!(out.ends_with("other thread: no\nafter hand-over: yes\nclose: 0\n"), "{out}");
}

#[test]
fn a_debug_build_refuses_a_state_of_another_thread_on_the_same_pool() {
    let (_, out) = misuse("dev", "states-debug");
    assert!(out.starts_with("callback: 4 another thread uses this pool"), "{out}");
    assert!(out.ends_with("state of another thread: no\nstate of this thread: yes\nclose: 0\n"), "{out}");
}

#[test]
fn a_write_after_free_is_found_by_the_checker() {
    let (_, out) = misuse("release", "corrupt");
    assert!(out.starts_with("callback: 6 lua_pool_verify: ") && out.ends_with("found: yes\n"), "{out}");
}

#[test]
fn attaching_refuses_what_it_cannot_do_and_its_own_pool_goes_with_the_state() {
    let (err, out) = misuse("release", "attach");
    let expected = "callback: 7 lua_pool_attach: this is a coroutine; pass the state's main thread\n\
        callback: 2 lua_pool_attach: the state is NULL\n\
        2 7\n\
        on no pool: yes\n";
    assert!(out.starts_with(expected), "{out}");
    let end = "on the pool: yes\n0\non its own pool: yes\nits pool is gone: yes\nclose: 0\n";
    assert!(out.ends_with(end), "{out}");
    assert!(err.contains("closed already"), "{err}");
}

#[test]
fn valgrind_finds_nothing_to_complain_about_in_an_attached_state() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("no valgrind here");
        return;
    }
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let lua = Lua::Compiled("lua54");
    let program = host(folder.path(), "examples/c_host.c", &lua, Link::Static, &libraries("release"));
    c_compiler::run(
        Command::new("valgrind").args(["-q", "--error-exitcode=9", "--leak-check=full"]).arg(program).arg("--attach"),
    );
}

#[test]
fn an_installed_library_is_found_by_pkg_config() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let staging = folder.path().join("staging");
    let mut install = Command::new(root().join("scripts/install.sh"));
    install.env("PREFIX", "/opt/lua pool").env("DESTDIR", &staging).env("CARGO_TARGET_DIR", scratch().join("hosts"));
    succeeds(&mut install);
    let prefix = staging.join("opt/lua pool");
    for file in [
        "lib/liblua_pool_allocator.a",
        "include/lua_pool.h",
        "include/lua_pool_inline.h",
        "include/lua_pool_layout.h",
        "share/lua_pool_allocator/pool-1-inline-fast-path.patch",
        "share/lua_pool_allocator/lua_pool_onelua.c",
    ] {
        assert!(prefix.join(file).is_file(), "{file} is not there");
    }
    let described = std::fs::read_to_string(prefix.join("lib/pkgconfig/lua_pool_allocator.pc")).expect("the .pc file");
    assert!(described.starts_with("prefix=/opt/lua pool\n"), "{described}");
    assert!(described.contains(concat!("\nVersion: ", env!("CARGO_PKG_VERSION"), "\n")), "{described}");

    // A folder with a space, as a shell gets it from pkg-config: by eval.
    if Command::new("pkg-config").arg("--version").output().is_ok() {
        let here = folder.path().join("a folder");
        succeeds(install.env("PREFIX", &here).env_remove("DESTDIR"));
        let build = "printf '#include <lua_pool.h>\nint main (void) { return lua_pool_close(lua_pool_new(NULL)); }\n' \
            >host.c && eval cc -o host host.c $(pkg-config --cflags --libs lua_pool_allocator)";
        let mut shell = Command::new("sh");
        shell.args(["-c", build]).current_dir(folder.path());
        succeeds(shell.env("PKG_CONFIG_PATH", here.join("lib/pkgconfig")));
        succeeds(Command::new(folder.path().join("host")).env("LD_LIBRARY_PATH", here.join("lib")));
    }

    install.env("PREFIX", "relative").env_remove("DESTDIR");
    let refused = install.output().expect("a shell");
    assert!(!refused.status.success());
    assert_eq!(refused.stderr, b"install.sh: PREFIX=relative is not an absolute path\n");
}
