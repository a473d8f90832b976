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

fn passes(program: &str, environment: &[(&str, &str)]) {
    official_suite::passes(Path::new(program), &[], environment, &MAY_LEAVE_OUT);
}
