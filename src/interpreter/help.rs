//! `--help`, `--version` and the long options, by clap.

use std::ffi::{CStr, OsString};

use clap::{Arg, ArgAction, Command};

use super::Program;
use super::report::print_lua_version;
use super::terminal::STATE_FOLDER;
use crate::os::c_runtime::{flush_output, write_output};

/// Describes the command line. Lua's options are in it to be shown; they are read by [`super::options`].
pub(super) fn command(program: &dyn Program) -> Command {
    let name = program.name();
    let lua = "Lua's options";
    Command::new(name)
        .about(program.about())
        .override_usage(format!("{name} [options] [script [args]]"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .next_help_heading(lua)
        .arg(text('e', "execute", "stat", "Execute the string 'stat'"))
        .arg(flag('i', "interactive", "Enter interactive mode after executing 'script'"))
        .arg(text('l', "library", "mod", "Require library 'mod' into global 'mod'; as g=mod, into global 'g'"))
        .arg(flag('v', "show-version", "Show Lua's version"))
        .arg(flag('E', "ignore-environment", "Ignore the environment variables LUA_INIT, LUA_PATH, LUA_CPATH"))
        .arg(flag('W', "warnings", "Turn warnings on"))
        .next_help_heading("Options of its own, before the script")
        .args(program.options())
        .arg(Arg::new("help").long("help").action(ArgAction::SetTrue).help("Show this help"))
        .arg(Arg::new("version").long("version").action(ArgAction::SetTrue).help("Show the versions, ours and Lua's"))
        .after_help(after_help(name))
}

fn flag(letter: char, id: &'static str, help: &'static str) -> Arg {
    Arg::new(id).short(letter).action(ArgAction::SetTrue).help(help)
}

fn text(letter: char, id: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(id).short(letter).value_name(value).action(ArgAction::Append).help(help)
}

fn after_help(name: &str) -> String {
    format!(
        "\
Options end at the script, at '--', or at '-', which stands for a script on standard input.
Without script, -e and -v, a terminal gets interactive mode; anything else is read as a script.

Examples:
  {name} script.lua one two        run a script; it finds 'one' and 'two' in '...' and 'arg'
  {name} -e 'print(2^53)'          run a line
  {name} -l m=math -e 'print(m.pi)'
  {name} -W -i script.lua          show warnings, and stay for a look around afterwards
  echo 'print(arg[1])' | {name} - x

Environment:
  LUA_INIT_5_4, LUA_INIT    run first: Lua code, or @file
  LUA_PATH, LUA_CPATH       where 'require' looks; LUA_PATH_5_4 and LUA_CPATH_5_4 come before them
  {STATE_FOLDER:<26}interactive mode keeps its history in lua54/history in there"
    )
}

/// Whether the program itself brings the long option that `argument` is, up to its '='.
pub(super) fn knows(command: &Command, argument: &CStr) -> bool {
    let Some(name) = argument.to_bytes().strip_prefix(b"--") else { return false };
    let name = name.split(|&byte| byte == b'=').next().unwrap_or_default();
    command.get_arguments().any(|known| known.get_long().is_some_and(|long| long.as_bytes() == name))
}

/// An argument as the system has it.
pub(super) fn os_string(argument: &CStr) -> OsString {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        std::ffi::OsStr::from_bytes(argument.to_bytes()).to_owned()
    }
    #[cfg(not(unix))]
    {
        argument.to_string_lossy().into_owned().into()
    }
}

/// The essence of what clap has to say about a mistake.
pub(super) fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

pub(super) fn print_help(mut command: Command) {
    write_output(command.render_help().to_string().as_bytes());
    flush_output();
}

pub(super) fn print_version(name: &str) {
    write_output(format!("{name} {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
    print_lua_version();
}
