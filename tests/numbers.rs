//! Numbers become strings without the C library (vendor/speed-04-number-format.patch), with the same result to
//! the byte: the script compares with formats for which `string.format` still asks the C library.
#![cfg(feature = "programs")]

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;

fn check(program: &str) {
    let mut command = Command::new(cargo_bin(program));
    for variable in ["LUA_INIT", "LUA_INIT_5_4"] {
        command.env_remove(variable);
    }
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/number_format.lua"));
    command.assert().success().stdout("ok\n");
}

#[test]
fn of_lua54() {
    check("lua54");
}

#[test]
fn of_lua54_pool() {
    check("lua54_pool");
}
