//! The shared library preloaded into programs that know nothing of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::blocks_served;
use crate::build::{Lua, host_without_pool, libraries, succeeds};
use crate::support::scratch;

/// A host that links Lua dynamically, and a script for it.
struct Plain {
    folder: TempDir,
    program: PathBuf,
}

impl Plain {
    fn on(lua: &Lua) -> Plain {
        let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
        let program = host_without_pool(folder.path(), "tests/hosts/plain.c", lua);
        Plain { folder, program }
    }

    fn run(&self, option: &str, script: &str, settings: &[(&str, &str)]) -> (String, String) {
        let path = self.folder.path().join("script.lua");
        std::fs::write(&path, script).expect("a file in the scratch folder");
        let mut command = preloaded(&self.program);
        succeeds(command.arg(option).arg(path).envs(settings.iter().copied()))
    }
}

/// A program with the library preloaded, and statistics on.
fn preloaded(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", libraries("release").join("liblua_pool_allocator.so")).env("LUA_POOL_STATS", "1");
    command
}

/// The report of the preloaded library in the form of the examples' reports.
fn served(err: &str) -> u64 {
    blocks_served(&err.replace("lua_pool: ", "pool: "))
}

const SCRIPT: &str = "local t = {} for i = 1, 10000 do t[i] = {i} end print(#t)";
const HUNGRY: &str = "local t = {} for i = 1, 1e7 do t[i] = {i} end";

#[test]
fn an_unchanged_program_gets_a_pool_and_its_close_frees_it() {
    let plain = Plain::on(&Lua::Shared);
    let (out, err) = plain.run("", SCRIPT, &[]);
    assert_eq!(out, "10000\nLua's allocator\n");
    assert!(served(&err) > 10_000, "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn a_state_that_is_never_closed_is_reported_at_exit() {
    let (_, err) = Plain::on(&Lua::Shared).run("--leave", SCRIPT, &[]);
    assert!(served(&err) > 10_000, "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn a_host_with_its_own_allocator_keeps_it() {
    let (out, err) = Plain::on(&Lua::Shared).run("--own", SCRIPT, &[]);
    assert_eq!((out.as_str(), err.as_str()), ("10000\nown allocator\n", ""));
}

#[test]
fn variables_configure_the_pool() {
    let plain = Plain::on(&Lua::Shared);
    let (out, err) = plain.run("", HUNGRY, &[("LUA_POOL_LIMIT", "8M"), ("LUA_POOL_PURGE", "now")]);
    assert!(out.starts_with("plain: not enough memory\n"), "{out}");
    assert!(served(&err) > 10_000 && !err.contains(" 0 refusals"), "{err}");

    let (out, err) = plain.run("", SCRIPT, &[("LUA_POOL_CHECK", "1")]);
    assert!(out.starts_with("10000\n") && served(&err) > 10_000, "{out}{err}");

    let (_, err) = plain.run("", SCRIPT, &[("LUA_POOL_DISABLE", "1")]);
    assert_eq!(err, "");
}

#[test]
fn variables_that_make_no_sense_are_reported_and_ignored() {
    let settings = [("LUA_POOL_LIMIT", "lots"), ("LUA_POOL_PURGE", "often"), ("LUA_POOL_CHECK", "yes")];
    let (out, err) = Plain::on(&Lua::Shared).run("", SCRIPT, &settings);
    assert!(out.starts_with("10000\n") && served(&err) > 10_000, "{out}{err}");
    for line in [
        "lua_pool: LUA_POOL_LIMIT=lots has no effect: it should be a number of bytes like 65536, 64K, 16M or 2G, at least 64K",
        "lua_pool: LUA_POOL_PURGE=often has no effect: it should be auto, never or now",
        "lua_pool: LUA_POOL_CHECK=yes has no effect: it should be 0 or 1",
    ] {
        assert!(err.lines().any(|found| found == line), "{err}");
    }
}

#[test]
#[ignore = "needs Debian packages liblua5.1-0-dev to liblua5.4-dev, libluajit-5.1-dev, pkg-config; .ci/run installs them"]
fn every_lua_of_debian_gets_a_pool() {
    for package in ["lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit"] {
        let (out, err) = Plain::on(&Lua::Installed(package)).run("", SCRIPT, &[]);
        assert_eq!(out, "10000\nLua's allocator\n", "{package}");
        assert!(served(&err) > 10_000, "{package}: {err}");
    }
}

#[test]
#[ignore = "needs Debian package ncat; .ci/run installs it"]
fn debian_ncat_runs_its_script_on_the_pool() {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let script = folder.path().join("answer.lua");
    std::fs::write(&script, format!("{SCRIPT} io.stdout:flush()")).expect("a file in the scratch folder");
    // A free port: one that was given to somebody a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("a free port").port();
    let mut server = preloaded(Path::new("/usr/bin/ncat"));
    server.args(["-l", "127.0.0.1", &port.to_string(), "--lua-exec"]).arg(&script);
    let server = server.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn();
    let server = server.expect("ncat starts");
    let mut answer = String::new();
    for _ in 0..100 {
        if let Ok(mut connection) = std::net::TcpStream::connect(("127.0.0.1", port)) {
            std::io::Read::read_to_string(&mut connection, &mut answer).expect("an answer");
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let output = server.wait_with_output().expect("ncat ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answer, "10000\n", "{err}");
    // ncat has a state in the child that answers, and one that only loads the script.
    assert!(err.lines().any(|line| served(line) > 10_000), "{err}");
}
