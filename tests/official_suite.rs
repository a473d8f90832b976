//! The official test suite in full: C modules, the stand-alone program, the long and memory-consuming parts.
#![cfg(feature = "programs")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::path::Path;

use support::official_suite;

/// The internal library has tests of its own (internal_suite.rs), and the Brazilian locale is not everywhere.
const MAY_LEAVE_OUT: [&str; 2] = ["testC not active", "pt_BR locale not available"];

#[test]
fn lua54_passes_in_full() {
    passes(env!("CARGO_BIN_EXE_lua54"), &[]);
}

#[test]
fn lua54_pool_passes_in_full() {
    passes(env!("CARGO_BIN_EXE_lua54_pool"), &[]);
}

#[test]
fn lua54_pool_passes_in_full_while_the_pool_checks_itself() {
    passes(env!("CARGO_BIN_EXE_lua54_pool"), &[("LUA_POOL_CHECK", "1")]);
}

#[test]
fn lua54_pool_passes_in_full_when_free_memory_goes_back_at_once() {
    passes(env!("CARGO_BIN_EXE_lua54_pool"), &[("LUA_POOL_PURGE", "now")]);
}

/// Not less: errors.lua recurses a million calls deep until the Lua stack overflows, which is 64 bytes of `CallInfo` and
/// 16 bytes of stack for each.
#[test]
fn lua54_pool_passes_in_full_with_a_limit_of_96_mib() {
    passes(env!("CARGO_BIN_EXE_lua54_pool"), &[("LUA_POOL_LIMIT", "96M")]);
}

/// Has all.lua find an empty file in place of errors.lua.
const WITHOUT_ERRORS_LUA: &str = "local loadfile = loadfile
    function _G.loadfile (name, ...)
        if name == 'errors.lua' then return load('') end
        return loadfile(name, ...)
    end";

#[test]
fn lua54_pool_passes_all_but_errors_lua_with_a_limit_of_64_mib() {
    let program = Path::new(env!("CARGO_BIN_EXE_lua54_pool"));
    official_suite::passes(program, &["-e", WITHOUT_ERRORS_LUA], &[("LUA_POOL_LIMIT", "64M")], &MAY_LEAVE_OUT);
}

#[test]
fn lua54_pool_passes_in_full_on_a_hardened_pool() {
    passes(env!("CARGO_BIN_EXE_lua54_pool"), &[("LUA_POOL_HARDENED", "1")]);
}

#[test]
fn a_changed_file_of_the_suite_is_named() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a scratch folder");
    std::fs::write(folder.path().join("all.lua"), "print 'final OK !!!'").expect("a file");
    let message = official_suite::verify(folder.path(), |_| true).expect_err("the file is not the official one");
    assert!(message.starts_with("testes/all.lua is not that of Lua 5.4.4: its SHA-256 is "), "{message}");
    let message = official_suite::verify(folder.path(), |name| name != "testes/api.lua").expect_err("a file lacks");
    assert!(message.contains("testes/a"), "{message}");
}

#[test]
fn lua54_pool_passes_in_full_while_it_is_profiled() {
    let path = support::scratch().join("official_suite.folded");
    let path = path.to_str().expect("a path in Unicode");
    passes(
        env!("CARGO_BIN_EXE_lua54_pool"),
        &[("LUA_POOL_PROFILE", path), ("LUA_POOL_PROFILE_BYTES", "1K"), ("LUA_POOL_CHECK", "1")],
    );
}

fn passes(program: &str, environment: &[(&str, &str)]) {
    official_suite::passes(Path::new(program), &[], environment, &MAY_LEAVE_OUT);
}
