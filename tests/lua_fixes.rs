//! One test for each bug of Lua 5.4.4 that a `vendor/fix-*.patch` repairs, by the name of its patch. Without its
//! patch each of them fails: `cargo test --no-default-features --features programs --test lua_fixes -- --ignored`
//! runs them over 5.4.4 without our fixes.
//!
//! A script in `lua_fixes/` that prints "ok" is run by both programs. Where the bug shows only through the C API,
//! the script loads the C module `probe`; where a program survives it unharmed, or memory has to run out at the
//! right moment, `host.c` runs it with an allocator that notices.
#![cfg(feature = "programs")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use support::text;

/// Runs `lua_fixes/SCRIPT.lua` by both programs.
fn check_with_programs(script: &str) {
    for program in ["lua54", "lua54_pool"] {
        let output = run(program, script).assert().success();
        assert_eq!(text(&output.get_output().stdout), "ok\n", "{program}");
    }
}

fn run(program: &str, script: &str) -> Command {
    let mut command = Command::new(cargo_bin(program));
    for variable in ["LUA_INIT", "LUA_INIT_5_4", "LUA_CPATH", "LUA_CPATH_5_4"] {
        command.env_remove(variable);
    }
    command.arg(script_path(script));
    command
}

fn script_path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lua_fixes").join(script).with_extension("lua")
}

macro_rules! programs_survive {
    ($($script:ident)*) => {$(
        #[test]
        #[cfg_attr(not(feature = "lua-fixes"), ignore = "needs the feature lua-fixes")]
        fn $script() {
            check_with_programs(stringify!($script));
        }
    )*};
}

programs_survive! {
    activelines_stripped
    allweak_metatable
    bitwise_constants
    break_close
    call_line
    close_nesting
    cstack_in_error
    div_error_line
    env_const
    gen_pause
    gmatch_depth
    index_comparison
    load_collects
    objname_recursion
    stale_handler
    undump_upvalues
    utf8_codes
}

/// What needs a C compiler that the test can call.
#[cfg(unix)]
mod with_c {
    use super::*;
    use std::process;
    use std::sync::OnceLock;

    /// Compiles `lua_fixes/SOURCE` to `name` in a folder of its own, which is the result.
    fn compile(source: &str, name: &str, arguments: &[&str]) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lua_fixes-{name}"));
        fs::create_dir_all(&folder).unwrap();
        let compiler = std::env::var_os("CC").unwrap_or("cc".into());
        let output = process::Command::new(compiler)
            .args(["-std=gnu99", "-O1", "-I", env!("LUA54_INCLUDE")])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lua_fixes").join(source))
            .arg("-o")
            .arg(folder.join(name))
            .args(arguments)
            .output()
            .expect("a C compiler: the programs were built with one");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    }

    /// Runs a script that requires the C module `probe` by both programs.
    fn check_with_probe(script: &str) {
        static FOLDER: OnceLock<PathBuf> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| {
            let mut flags = vec!["-shared", "-fPIC"];
            if cfg!(target_os = "macos") {
                flags.extend(["-undefined", "dynamic_lookup"]);
            }
            compile("probe.c", "probe.so", &flags)
        });
        for program in ["lua54", "lua54_pool"] {
            run(program, script).env("LUA_CPATH", folder.join("?.so")).assert().success().stdout("ok\n");
        }
    }

    fn check_with_host(argument: impl AsRef<std::ffi::OsStr>) {
        static FOLDER: OnceLock<PathBuf> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| compile("host.c", "host", &["-lm"]));
        Command::new(folder.join("host")).arg(argument).assert().success().stdout("ok\n");
    }

    macro_rules! check {
        ($($test:ident: $check:ident($argument:expr))*) => {$(
            #[test]
            #[cfg_attr(not(feature = "lua-fixes"), ignore = "needs the feature lua-fixes")]
            fn $test() {
                $check($argument);
            }
        )*};
    }

    check! {
        hook_after_yield: check_with_probe("hook_after_yield")
        settop_stack: check_with_probe("settop_stack")
        cstack_in_error_stays_in_the_stack: check_with_host(script_path("cstack_in_error"))
        finishset_anchor: check_with_host(script_path("finishset_anchor"))
        strcmp_overread: check_with_host(script_path("strcmp_overread"))
        error_in_error: check_with_host("error-in-error")
        panic_status: check_with_host("panic-status")
        string_size: check_with_host("string-size")
        traceback_stack: check_with_host("traceback-stack")
    }
}

/// Every patch has its test here, and says first what it is about.
#[test]
fn each_fix_has_a_test_and_an_explanation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let this_file = include_str!("lua_fixes.rs");
    for entry in fs::read_dir(root.join("vendor")).unwrap() {
        let path = entry.unwrap().path();
        let file_name = path.file_name().unwrap().to_str().unwrap();
        let Some(bug) = file_name.strip_prefix("fix-").and_then(|name| name.strip_suffix(".patch")) else {
            continue;
        };
        let test = bug.replace('-', "_");
        assert!(this_file.split_whitespace().any(|word| word == test || word == format!("{test}:")), "no test: {bug}");
        let text = fs::read_to_string(&path).unwrap();
        let explanation = text.lines().take_while(|line| !line.is_empty());
        assert!((1..=4).contains(&explanation.count()), "{file_name} must begin with one to four lines of explanation");
    }
}
