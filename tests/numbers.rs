//! What we compute without the C library has its result to the last bit: numbers that become strings
//! (vendor/speed-04-number-format.patch), numerals that become numbers (vendor/speed-27-decimal-numerals.patch) and
//! remainders of floats (vendor/speed-18-float-remainder.patch). The scripts compare with what still asks the C library.
#![cfg(feature = "programs")]

use std::path::Path;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;

fn check(script: &str) {
    for program in ["lua54", "lua54_pool"] {
        let mut command = Command::new(cargo_bin(program));
        for variable in ["LUA_INIT", "LUA_INIT_5_4"] {
            command.env_remove(variable);
        }
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/numbers").join(script));
        command.assert().success().stdout("ok\n");
    }
}

#[test]
fn numbers_become_the_strings_that_the_c_library_makes() {
    check("format.lua");
}

#[test]
fn numerals_become_the_numbers_that_the_c_library_makes() {
    check("read.lua");
}

#[test]
fn remainders_of_floats_are_those_of_fmod() {
    check("remainder.lua");
}
