//! What lua.c does for Lua, for `lua54` and `lua54_pool` alike: options, scripts, the interactive loop, messages.
//!
//! It behaves as lua.c 5.4.4 does to the letter, plus `--help`, `--version` and whatever long options the program
//! itself brings. Three rules hold in all of it:
//!
//! - What Rust owns lives in [`run`], outside of the protected call. A Lua error leaves by `longjmp` and drops nothing,
//!   so below that call there are only borrows.
//! - Output and plain input go through C's streams, as a script's do ([`crate::os::c_runtime`]).
//! - Arguments and the environment are bytes.

mod call;
mod help;
mod options;
mod repl;
mod report;
mod script;
mod state;
mod terminal;

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::ptr;

use self::options::{Options, Outcome};
use self::repl::Input;
use self::report::Reporter;
use crate::lua_ffi::lua_State;

/// One of the programs that share this front end.
pub trait Program {
    /// Its name: in `--help`, `--version` and, should the system not tell how it was called, in messages.
    fn name(&self) -> &'static str;

    /// What it is, in a line, for `--help`.
    fn about(&self) -> &'static str;

    /// Its own long options. An option with a value must have `require_equals(true)`: to the scan of the command line
    /// an option is one argument. A name that is not in here is as unknown as it is to lua.
    fn options(&self) -> Vec<clap::Arg> {
        Vec::new()
    }

    /// Told what was given for [`Program::options`], before the state is created; `None` where nothing was.
    ///
    /// # Errors
    /// A line for the user; the program then ends with exit code 1.
    fn configure(&mut self, _given: Option<&clap::ArgMatches>) -> Result<(), String> {
        Ok(())
    }

    /// Creates the state, or gives `NULL` where there is no memory for it. Panic and warning functions are set later.
    fn new_state(&mut self) -> *mut lua_State;

    /// Closes the state. Not called for `os.exit(code, true)`, where Lua closes the state itself.
    ///
    /// # Safety
    /// `state` came from [`Program::new_state`] and is not used again.
    unsafe fn close(&mut self, state: *mut lua_State) {
        // SAFETY: the caller's promise.
        unsafe { crate::lua_ffi::lua_close(state) }
    }
}

/// Everything the protected part of a run borrows.
struct Front<'a> {
    arguments: &'a [&'a CStr],
    options: &'a Options<'a>,
    /// The chunk name (`=LUA_INIT…`) and the text of the first set variable of those two.
    init: Option<(&'static CStr, CString)>,
    reporter: Reporter<'a>,
    input: Input,
}

/// Runs `program` with the arguments of C's `main`, and gives its exit code.
///
/// # Safety
/// `argc` and `argv` are as C's `main` gets them: `argc` pointers to C strings that live as long as the program.
pub unsafe fn run(program: &mut dyn Program, argc: c_int, argv: *const *const c_char) -> c_int {
    let count = if argv.is_null() { 0 } else { usize::try_from(argc).unwrap_or(0) };
    // SAFETY: the caller's promise.
    let arguments: Vec<&CStr> = (0..count).map(|i| unsafe { CStr::from_ptr(*argv.add(i)) }).collect();
    if start(program, &arguments) { 0 } else { 1 }
}

/// Parses, creates the state, runs and closes. Whether all went well.
fn start(program: &mut dyn Program, arguments: &[&CStr]) -> bool {
    let own_name = CString::new(program.name()).unwrap_or_default();
    let called = arguments.first().copied();
    let reporter = Reporter::new(called.filter(|name| !name.is_empty()).unwrap_or(&own_name));

    let knows = |option: &CStr| help::knows(&help::command(program), option);
    let options = match options::scan(arguments, knows) {
        Outcome::Run(options) => options,
        Outcome::Bad(option) => {
            reporter.usage(option);
            return false;
        }
        Outcome::Help => {
            help::print_help(help::command(program));
            return true;
        }
        Outcome::Version => {
            help::print_version(program.name());
            return true;
        }
    };
    if let Err(message) = configure(program, &options) {
        reporter.message_text(&message);
        return false;
    }

    let state = program.new_state();
    if state.is_null() {
        Reporter::without_default(called).message(c"cannot create state: not enough memory".to_bytes());
        return false;
    }
    let init = if options.ignore_environment { None } else { script::init_from_environment() };
    let mut front = Front { arguments, options: &options, init, reporter, input: Input::default() };
    // SAFETY: `state` is fresh and this thread's own; `front` outlives the call and is not used here meanwhile.
    let ok = unsafe {
        state::set_up(state);
        script::run_protected(state, &raw mut front)
    };
    // SAFETY: the state came from `new_state`, and nothing uses it after this.
    unsafe { program.close(state) };
    ok
}

/// Hands the program its own options. The usual start has none, and leaves the parser and its memory alone.
fn configure(program: &mut dyn Program, options: &Options) -> Result<(), String> {
    if options.long.is_empty() {
        return program.configure(None);
    }
    let given = options.long.iter().map(|option| help::os_string(option));
    let arguments = std::iter::once(OsString::from(program.name())).chain(given);
    match help::command(program).try_get_matches_from(arguments) {
        Ok(matches) => program.configure(Some(&matches)),
        Err(error) => Err(help::one_line(&error)),
    }
}

/// A pointer to nothing, where C takes an optional string.
const NO_STRING: *const c_char = ptr::null();

#[cfg(test)]
mod tests {
    use super::*;

    /// A program for whose state there is no memory, or whose options are refused.
    struct Fails {
        options: Result<(), &'static str>,
        asked_for_state: bool,
    }

    impl Program for Fails {
        fn name(&self) -> &'static str {
            "fails"
        }

        fn about(&self) -> &'static str {
            "fails"
        }

        fn options(&self) -> Vec<clap::Arg> {
            vec![clap::Arg::new("size").long("pool-size").require_equals(true)]
        }

        fn configure(&mut self, given: Option<&clap::ArgMatches>) -> Result<(), String> {
            assert_eq!(given.unwrap().get_one::<String>("size").map(String::as_str), Some("7"));
            self.options.map_err(str::to_owned)
        }

        fn new_state(&mut self) -> *mut lua_State {
            self.asked_for_state = true;
            ptr::null_mut()
        }
    }

    /// Whether all went well, and whether it came as far as a state.
    fn start_with(options: Result<(), &'static str>, arguments: &[&CStr]) -> (bool, bool) {
        let mut program = Fails { options, asked_for_state: false };
        (start(&mut program, arguments), program.asked_for_state)
    }

    #[test]
    fn without_memory_for_a_state_the_run_fails_and_ends() {
        assert_eq!(start_with(Ok(()), &[c"fails", c"--pool-size=7"]), (false, true));
    }

    #[test]
    fn refused_options_end_the_run_before_there_is_a_state() {
        assert_eq!(start_with(Err("too small"), &[c"fails", c"--pool-size=7"]), (false, false));
        assert_eq!(start_with(Ok(()), &[c"fails", c"--pool-size", c"7"]), (false, false));
    }
}
