//! Compiles C against the headers of the Lua this crate has built.

use std::env;
use std::path::Path;
use std::process::Command;

/// The headers of our own Lua, fixes included.
pub fn lua_include() -> &'static Path {
    Path::new(env!("LUA54_INCLUDE"))
}

/// The C compiler the user names by CC (which may carry options), or the system's.
pub fn compiler() -> Command {
    let named = env::var("CC").unwrap_or_default();
    let mut words = named.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("cc"));
    command.args(words);
    command
}

/// Compiles one C file into a module that `require` can load.
pub fn build_module(source: &Path, module: &Path) {
    let mut command = compiler();
    command.args(["-Wall", "-std=gnu99", "-O2", "-fPIC", "-shared"]);
    if cfg!(target_os = "macos") {
        // The Lua API is found in the program that loads the module.
        command.args(["-undefined", "dynamic_lookup"]);
    }
    command.arg("-I").arg(lua_include()).arg("-o").arg(module).arg(source);
    run(&mut command);
}

/// Runs a command that has to succeed.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
