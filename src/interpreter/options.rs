//! The command line, read as lua.c reads it: left to right, one option an argument, up to the script.

use std::ffi::{CStr, CString};

/// What an option asks to be done before the script runs, in the order given.
#[derive(Debug, PartialEq)]
pub(super) enum Action<'a> {
    /// `-e stat`
    Execute(&'a CStr),
    /// `-l mod` and `-l g=mod`: `global = require(module)`
    Require { global: CString, module: CString },
    /// `-W`
    WarningsOn,
}

/// A command line without mistakes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Options<'a> {
    /// Index of the script, or the number of arguments where there is none.
    pub(super) script: usize,
    /// `-i`
    pub(super) interactive: bool,
    /// `-v`, or `-i`, which implies it
    pub(super) version: bool,
    /// Some `-e` was there.
    pub(super) executes: bool,
    /// `-E`
    pub(super) ignore_environment: bool,
    /// What to do first.
    pub(super) actions: Vec<Action<'a>>,
    /// The program's own options, whole.
    pub(super) long: Vec<&'a CStr>,
}

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome<'a> {
    Run(Options<'a>),
    /// The option that is unknown or lacks its argument.
    Bad(&'a CStr),
    Help,
    Version,
}

/// Reads the command line; `knows` tells which long options the program has of its own.
pub(super) fn scan<'a>(arguments: &[&'a CStr], knows: impl Fn(&CStr) -> bool) -> Outcome<'a> {
    let mut options = Options::default();
    let mut index = 1;
    while let Some(&argument) = arguments.get(index) {
        let rest = match argument.to_bytes() {
            b"-" => break, // the script is standard input
            b"--" => {
                index += 1;
                break;
            }
            b"--help" => return Outcome::Help,
            b"--version" => return Outcome::Version,
            [b'-', b'-', ..] if knows(argument) => {
                options.long.push(argument);
                index += 1;
                continue;
            }
            [b'-', rest @ ..] => rest,
            _ => break, // the script
        };
        match rest {
            b"E" => options.ignore_environment = true,
            b"W" => options.actions.push(Action::WarningsOn),
            b"i" => (options.interactive, options.version) = (true, true),
            b"v" => options.version = true,
            [letter @ (b'e' | b'l'), attached @ ..] => {
                let value = if attached.is_empty() {
                    index += 1;
                    match arguments.get(index) {
                        Some(next) if !next.to_bytes().starts_with(b"-") => next,
                        _ => return Outcome::Bad(argument),
                    }
                } else {
                    // The attached part ends where the argument ends.
                    CStr::from_bytes_with_nul(&argument.to_bytes_with_nul()[2..]).unwrap_or(c"")
                };
                if *letter == b'e' {
                    options.executes = true;
                    options.actions.push(Action::Execute(value));
                } else {
                    options.actions.push(require(value));
                }
            }
            _ => return Outcome::Bad(argument),
        }
        index += 1;
    }
    // Of `--` and nothing behind it, no more is left than of no arguments.
    options.script = index;
    Outcome::Run(options)
}

fn require(value: &CStr) -> Action<'static> {
    let bytes = value.to_bytes();
    let (global, module) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    // Parts of a C string hold no NUL, so this cannot fail.
    let owned = |part: &[u8]| CString::new(part).unwrap_or_default();
    Action::Require { global: owned(global), module: owned(module) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_all<'a>(arguments: &[&'a CStr]) -> Outcome<'a> {
        scan(arguments, |option| option.to_bytes().starts_with(b"--pool-"))
    }

    fn run<'a>(arguments: &[&'a CStr]) -> Options<'a> {
        match scan_all(arguments) {
            Outcome::Run(options) => options,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    #[test]
    fn the_first_argument_that_is_no_option_is_the_script() {
        let options = run(&[c"lua", c"-v", c"script", c"-i", c"-x"]);
        assert_eq!(options.script, 2);
        assert!(options.version && !options.interactive);
    }

    #[test]
    fn one_dash_is_the_script_and_two_end_the_options() {
        assert_eq!(run(&[c"lua", c"-", c"-h"]).script, 1);
        assert_eq!(run(&[c"lua", c"--", c"-h"]).script, 2);
        assert_eq!(run(&[c"lua", c"--"]).script, 2);
        assert_eq!(run(&[]).script, 1);
    }

    #[test]
    fn values_are_attached_or_follow_in_the_next_argument() {
        let options = run(&[c"lua", c"-e", c"a=1", c"-eb=2", c"-l", c"x", c"-lg=m=n", c"-W", c"-e "]);
        let named = |global: &CStr, module: &CStr| Action::Require { global: global.into(), module: module.into() };
        assert_eq!(
            options.actions,
            [
                Action::Execute(c"a=1"),
                Action::Execute(c"b=2"),
                named(c"x", c"x"),
                named(c"g", c"m=n"),
                Action::WarningsOn,
                Action::Execute(c" "),
            ]
        );
        assert!(options.executes);
    }

    #[test]
    fn letters_do_not_bundle_and_values_do_not_start_with_a_dash() {
        for bad in [c"-h", c"-vv", c"-iv", c"-Ex", c"-Wx", c"---", c"--nothing", c"-\xff", c"-e", c"-l"] {
            assert_eq!(scan_all(&[c"lua", c"-v", bad]), Outcome::Bad(bad));
        }
        assert_eq!(scan_all(&[c"lua", c"-e", c"-"]), Outcome::Bad(c"-e"));
        assert_eq!(scan_all(&[c"lua", c"-l", c"--pool-check"]), Outcome::Bad(c"-l"));
    }

    #[test]
    fn long_options_count_only_before_the_script() {
        let options = run(&[c"lua", c"--pool-check", c"--pool-limit=1M", c"script", c"--help", c"--pool-x"]);
        assert_eq!(options.long, [c"--pool-check", c"--pool-limit=1M"]);
        assert_eq!(options.script, 3);
        assert_eq!(scan_all(&[c"lua", c"-i", c"--help", c"-h"]), Outcome::Help);
        assert_eq!(scan_all(&[c"lua", c"--version"]), Outcome::Version);
        assert_eq!(scan_all(&[c"lua", c"-h", c"--help"]), Outcome::Bad(c"-h"));
    }
}
