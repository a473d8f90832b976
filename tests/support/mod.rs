//! What several test programs need: the official test suite, a C compiler, runs to compare.

pub mod c_compiler;
pub mod official_suite;
#[cfg(unix)]
pub mod outcome;

use std::path::Path;
use std::process::Command;

/// Both programs, by the names a failed test shows.
pub const PROGRAMS: [(&str, &str); 2] =
    [("lua54", env!("CARGO_BIN_EXE_lua54")), ("lua54_pool", env!("CARGO_BIN_EXE_lua54_pool"))];

/// The folder of this package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's folder for the files of integration tests; it survives from one run to the next.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A Lua program that sees nothing of the user's own Lua settings.
pub fn lua(program: &str) -> assert_cmd::Command {
    let mut command = Command::new(program);
    without_lua_settings(&mut command);
    assert_cmd::Command::from_std(command)
}

/// Removes what would make Lua run or load other files than the test's own.
pub fn without_lua_settings(command: &mut Command) {
    for name in ["LUA_INIT", "LUA_PATH", "LUA_CPATH"] {
        command.env_remove(name).env_remove(format!("{name}_5_4"));
    }
}

/// What a program wrote. C programs end their lines in another way on Windows, and only there that is put right.
pub fn text(written: &[u8]) -> String {
    let text = String::from_utf8_lossy(written);
    if cfg!(windows) { text.replace("\r\n", "\n") } else { text.into_owned() }
}

/// The end of a long output, for a message.
pub fn tail(output: &str, lines: usize) -> String {
    let all: Vec<&str> = output.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
