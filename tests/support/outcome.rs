//! What a run of a Lua program came to, to compare it with that of another.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::without_lua_settings;

/// How a run ended and what it printed, with the addresses of objects left out.
#[derive(PartialEq, Eq)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(program: &Path, folder: &Path, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(program);
        // Messages begin with the program's name.
        command.arg0("lua").args(arguments).current_dir(folder).stdin(Stdio::null());
        without_lua_settings(&mut command);
        let output = command.output().expect("the program starts");
        Outcome {
            status: output.status,
            stdout: without_addresses(&String::from_utf8_lossy(&output.stdout)),
            stderr: without_addresses(&String::from_utf8_lossy(&output.stderr)),
        }
    }
}

/// The arguments that run scripts of a folder, several in one go: starting a program costs more than most of them. Each
/// is printed with how it ended.
pub fn in_batches<'a>(folder: &Path, scripts: &'a [String]) -> impl Iterator<Item = Vec<&'a str>> {
    let all = "for i = 1, #arg do print(arg[i], pcall(dofile, arg[i])) end";
    fs::write(folder.join("all.lua"), all).expect("a file");
    scripts.chunks(25).map(|scripts| std::iter::once("all.lua").chain(scripts.iter().map(String::as_str)).collect())
}

/// `table: 0x55d0c0de` becomes `table: 0x`.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split(": 0x");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(": 0x");
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    plain
}
