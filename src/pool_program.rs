//! What `lua54_pool` has that `lua54` lacks: a pool, and the options and variables that set it up.

use std::env;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};

use crate::interpreter::Program;
use crate::lua_ffi::{lua_State, lua_close, lua_newstate};
use crate::os::c_runtime;
use crate::pool::{Pool, PurgeMode};
use crate::profile::DEFAULT_BYTES_PER_SAMPLE;
use crate::report::{self, Format};
use crate::settings::{CHECK_INTERVAL, PURGE_FORM, SIZE_FORM, parse_bytes, parse_bytes_from, parse_purge_mode};

/// The options of `lua54_pool`, as given on the command line or in the environment.
#[derive(Default)]
pub struct PoolProgram {
    limit_bytes: Option<usize>,
    soft_limit_bytes: Option<usize>,
    purge_mode: PurgeMode,
    stats: Option<Format>,
    profile: Option<PathBuf>,
    bytes_per_sample: Option<usize>,
    check: bool,
    hardened: bool,
}

/// The pool of this process, for what is done at exit. It is never dropped: the process ends with it, and `os.exit`
/// may be called from anywhere.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());

/// The main thread of the state of this process. Its objects stay where they are when it is closed: the pool would take
/// them along, but the pool never goes.
static STATE: AtomicPtr<lua_State> = AtomicPtr::new(ptr::null_mut());

/// What is left to do at exit besides ending a profile: statistics as text or JSON, a check; bits of these.
static AT_EXIT: AtomicU8 = AtomicU8::new(0);
const REPORT_TEXT: u8 = 1;
const REPORT_JSON: u8 = 2;
const CHECK: u8 = 4;

/// Whether [`at_exit`] is going to be called. Most runs have nothing to do then, and its pages stay on the disk.
static EXIT_IS_WATCHED: AtomicBool = AtomicBool::new(false);

fn watch_exit() {
    if !EXIT_IS_WATCHED.swap(true, Ordering::Relaxed) {
        c_runtime::at_exit(at_exit);
    }
}

/// Has a profile that started just now ended at exit, if this is `lua54_pool`.
pub(crate) fn end_profile_at_exit() {
    if !POOL.load(Ordering::Relaxed).is_null() {
        watch_exit();
    }
}

/// Ends the profile and does what [`AT_EXIT`] says, once.
extern "C" fn at_exit() {
    let todo = AT_EXIT.swap(0, Ordering::Relaxed);
    // SAFETY: null or the leaked pool; Lua runs on the thread that exits, so nobody changes it meanwhile.
    let Some(pool) = (unsafe { POOL.swap(ptr::null_mut(), Ordering::Relaxed).as_mut() }) else { return };
    if let Err(message) = pool.stop_profile() {
        c_runtime::write_error(format!("lua54_pool: {message}\n").as_bytes());
    }
    if todo & CHECK != 0 {
        pool.verify_or_abort();
    }
    let format = match todo & (REPORT_TEXT | REPORT_JSON) {
        REPORT_TEXT => Format::Text,
        REPORT_JSON => Format::Json,
        _ => return,
    };
    // SAFETY: null or the only state on the pool, open, or closed with its objects still in place.
    let census = unsafe { pool.census(STATE.load(Ordering::Relaxed).cast()) };
    c_runtime::flush_output();
    c_runtime::write_error(report::statistics(pool, census.as_ref(), format).as_bytes());
}

fn sized(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("SIZE").require_equals(true).help(help)
}

/// An option's value, or else its variable's, read by `parse`.
fn setting<T>(
    given: Option<&ArgMatches>,
    option: &str,
    variable: &str,
    form: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    let (source, text) = match (given.and_then(|given| given.get_one::<String>(option)), env::var_os(variable)) {
        (Some(text), _) => (format!("--{option}"), text.clone()),
        (None, Some(text)) => (variable.to_owned(), text.to_string_lossy().into_owned()),
        (None, None) => return Ok(None),
    };
    parse(&text).map(Some).ok_or_else(|| format!("{source}={text}: expected {form}"))
}

impl Program for PoolProgram {
    fn name(&self) -> &'static str {
        "lua54_pool"
    }

    fn about(&self) -> &'static str {
        "Lua 5.4.4 on a pool allocator"
    }

    fn options(&self) -> Vec<Arg> {
        let purge = Arg::new("pool-purge").long("pool-purge").value_name("WHEN").require_equals(true);
        let stats = Arg::new("pool-stats").long("pool-stats").value_name("FORMAT").num_args(0..=1);
        let check = Arg::new("pool-check").long("pool-check").action(ArgAction::SetTrue);
        let hardened = Arg::new("pool-hardened").long("pool-hardened").action(ArgAction::SetTrue);
        vec![
            sized(
                "pool-limit",
                "No more than this much memory, like 64M; then \"not enough memory\" [or LUA_POOL_LIMIT]",
            ),
            sized("pool-soft-limit", "Collect garbage before taking more than this much [or LUA_POOL_SOFT_LIMIT]"),
            purge.help("When free memory goes back to the system: auto, never or now [or LUA_POOL_PURGE]"),
            stats
                .require_equals(true)
                .default_missing_value("text")
                .value_parser(PossibleValuesParser::new(["text", "json"]))
                .help("Print the pool's statistics on standard error at exit [or LUA_POOL_STATS=1]"),
            hardened.help(
                "Watch for misuse of memory by C modules; end with a line that names it. Slower [or LUA_POOL_HARDENED=1]",
            ),
            Arg::new("pool-profile")
                .long("pool-profile")
                .value_name("FILE")
                .require_equals(true)
                .help("Write who takes memory: folded stacks, or a flame graph for *.svg [or LUA_POOL_PROFILE]"),
            Arg::new("pool-profile-bytes")
                .long("pool-profile-bytes")
                .value_name("SIZE")
                .require_equals(true)
                .help("Look at one byte in so many, 512K by default [or LUA_POOL_PROFILE_BYTES]"),
            check.help("Check the whole pool regularly and at exit; abort if it is corrupt [or LUA_POOL_CHECK=1]"),
        ]
    }

    fn configure(&mut self, given: Option<&ArgMatches>) -> Result<(), String> {
        self.limit_bytes = setting(given, "pool-limit", "LUA_POOL_LIMIT", SIZE_FORM, parse_bytes)?;
        self.soft_limit_bytes = setting(given, "pool-soft-limit", "LUA_POOL_SOFT_LIMIT", SIZE_FORM, parse_bytes)?;
        let purge = setting(given, "pool-purge", "LUA_POOL_PURGE", PURGE_FORM, parse_purge_mode)?;
        self.purge_mode = purge.unwrap_or_default();
        let formats = "1, text or json";
        let format = setting(given, "pool-stats", "LUA_POOL_STATS", formats, |text| match text {
            "" | "0" => Some(None),
            "1" | "text" => Some(Some(Format::Text)),
            "json" => Some(Some(Format::Json)),
            _ => None,
        })?;
        self.stats = format.flatten();
        let parse_path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        self.profile = setting(given, "pool-profile", "LUA_POOL_PROFILE", "the name of a file", parse_path)?;
        let parse_rate = |text: &str| parse_bytes_from(text, 1);
        let rate_form = "a number of bytes like 1000, 64K or 16M";
        self.bytes_per_sample = setting(given, "pool-profile-bytes", "LUA_POOL_PROFILE_BYTES", rate_form, parse_rate)?;
        let switched_on = |option, variable| {
            given.is_some_and(|given| given.get_flag(option)) || env::var_os(variable).is_some_and(|it| it == "1")
        };
        self.check = switched_on("pool-check", "LUA_POOL_CHECK");
        self.hardened = switched_on("pool-hardened", "LUA_POOL_HARDENED");
        Ok(())
    }

    fn new_state(&mut self) -> *mut lua_State {
        let builder = Pool::builder().purge_mode(self.purge_mode).ends_with_state(true).hardened(self.hardened);
        let builder = builder.check_interval(if self.check { CHECK_INTERVAL } else { 0 });
        let Ok(mut pool) = builder.build() else { return ptr::null_mut() };
        pool.set_limit_bytes(self.limit_bytes);
        pool.set_soft_limit_bytes(self.soft_limit_bytes);
        let pool: &'static mut Pool = Box::leak(Box::new(pool));

        let stats = match self.stats {
            Some(Format::Text) => REPORT_TEXT,
            Some(Format::Json) => REPORT_JSON,
            None => 0,
        };
        let todo = stats | if self.check || self.hardened { CHECK } else { 0 };
        AT_EXIT.store(todo, Ordering::Relaxed);
        // SAFETY: the pool is never dropped.
        let state = unsafe { lua_newstate(pool.alloc_function(), pool.as_ud()) };
        if state.is_null() {
            return state;
        }
        if let Some(path) = &self.profile {
            let started = pool.start_profile(path, self.bytes_per_sample.unwrap_or(DEFAULT_BYTES_PER_SAMPLE));
            if let Err(message) = started {
                c_runtime::write_error(format!("lua54_pool: {message}\n").as_bytes());
                std::process::exit(1);
            }
        }
        STATE.store(state, Ordering::Relaxed);
        POOL.store(ptr::from_mut(pool), Ordering::Relaxed);
        if todo != 0 || self.profile.is_some() {
            watch_exit();
        }
        state
    }

    unsafe fn close(&mut self, state: *mut lua_State) {
        // SAFETY: the caller's promise.
        unsafe { lua_close(state) };
    }
}
