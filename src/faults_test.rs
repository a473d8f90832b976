//! Lua over the pool while memory fails: every request, the limit, and the system calls behind them.
//!
//! The core is `lua54_pool`'s, with the pool's fast path inside; [`faults`] has every request take the slow path, so
//! that each can fail. However a run goes, it ends well or with an error that was caught, the pool's checker is
//! clean, and closing the state gives every byte back.

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;
use std::ptr;

use crate::faults::{self, Counts};
use crate::lua_ffi::{
    LUA_GCGEN, LUA_OK, lua_Alloc, lua_State, lua_close, lua_gc, lua_newstate, lua_pcall, lua_pushcfunction,
    lua_tolstring, luaL_loadbufferx, luaL_openlibs,
};
use crate::{Pool, lua_pool_alloc};

const LUA_ERRRUN: c_int = 2;
const LUA_ERRMEM: c_int = 4;
const LUA_ERRERR: c_int = 5;

/// Numbers of requests, or of calls, none of which fails.
const NONE: Range<u64> = 0..0;
/// A check of the whole pool after so many events of the slow path.
const CHECK_INTERVAL: u32 = 500;

/// In place of `print` and of a temporary name that a failing run would leave behind; and scripts that can do less do so.
const SETTING: &str =
    "local LESS = true local function print(...) for i = 1, select('#', ...) do tostring((select(i, ...))) end end ";

/// What one run is to meet with, counted from the first step of the script itself unless it says otherwise.
#[derive(Clone, Debug)]
struct Adversity {
    requests: Range<u64>,
    calls: Range<u64>,
    limit: Option<usize>,
    /// Opening the standard libraries counts too.
    from_the_start: bool,
    generational: bool,
    hardened: bool,
}

impl Adversity {
    const fn none() -> Adversity {
        Adversity {
            requests: NONE,
            calls: NONE,
            limit: None,
            from_the_start: false,
            generational: false,
            hardened: false,
        }
    }
}

/// How a run ended.
#[derive(Debug)]
struct Ending {
    status: c_int,
    message: String,
    counts: Counts,
}

/// A script behind the prelude that all share.
fn source(script: &str) -> String {
    let name = std::env::temp_dir().join(format!("lua_pool_{:?}.tmp", std::thread::current().id()));
    let setting = format!("local TMPNAME = {:?} ", name.display().to_string());
    format!("{setting}{SETTING}{}{script}", include_str!("../tests/scripts/prelude.lua"))
}

/// Runs `source` in a state on a pool of its own, and sees to it that nothing is lost, whatever happens.
fn run(source: &str, adversity: &Adversity) -> Ending {
    faults::start();
    let builder = Pool::builder().check_interval(CHECK_INTERVAL).hardened(adversity.hardened);
    let mut pool = builder.build().expect("a pool");
    let before = faults::counts();
    let (status, message) = run_with(pool.alloc_function(), pool.as_ud(), source, adversity, || {
        let now = if adversity.from_the_start { before } else { faults::counts() };
        let shift = |range: &Range<u64>, by: u64| range.start.saturating_add(by)..range.end.saturating_add(by);
        if !adversity.requests.is_empty() {
            faults::fail_requests(shift(&adversity.requests, now.requests));
        }
        if !adversity.calls.is_empty() {
            faults::fail_calls(shift(&adversity.calls, now.calls));
        }
        if adversity.limit.is_some() {
            pool.set_limit_bytes(adversity.limit);
        }
        now
    });
    let (status, message, begun) = (status, message.0, message.1.unwrap_or(before));
    let mut counts = faults::stop();
    counts.requests -= begun.requests;
    counts.calls -= begun.calls;
    expect_nothing_left(&pool, adversity);
    Ending { status, message, counts }
}

/// Every state is closed: the pool must be whole and empty.
fn expect_nothing_left(pool: &Pool, context: &dyn std::fmt::Debug) {
    if let Err(violation) = pool.verify() {
        panic!("{context:?}: {violation}");
    }
    let live = pool.stats().live_bytes;
    assert_eq!(live, 0, "{context:?}: bytes left after closing the state");
}

unsafe extern "C-unwind" fn open_libraries(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { luaL_openlibs(state) };
    0
}

/// Makes a state, runs `source` in it and closes it. `begin` is called before the script begins, or before the state
/// is made if that counts too; its result is handed back with the message.
fn run_with<T>(
    alloc: lua_Alloc,
    ud: *mut c_void,
    source: &str,
    adversity: &Adversity,
    mut begin: impl FnMut() -> T,
) -> (c_int, (String, Option<T>)) {
    let mut begun = None;
    if adversity.from_the_start {
        begun = Some(begin());
    }
    // SAFETY: `ud` is what `alloc` expects, and outlives the state. What may raise an error runs inside of
    // `lua_pcall`, or is one of the functions that raise none.
    unsafe {
        let state = lua_newstate(alloc, ud);
        if state.is_null() {
            assert!(adversity.from_the_start, "no memory for a state");
            return (LUA_ERRMEM, ("not enough memory".into(), begun));
        }
        if adversity.generational {
            lua_gc(state, LUA_GCGEN, 0 as c_int, 0 as c_int);
        }
        lua_pushcfunction(state, open_libraries);
        let mut status = lua_pcall(state, 0, 0, 0);
        if !adversity.from_the_start {
            assert_eq!(status, LUA_OK, "the libraries can be opened");
            begun = Some(begin());
        }
        if status == LUA_OK {
            status = luaL_loadbufferx(state, source.as_ptr().cast(), source.len(), c"=script".as_ptr(), ptr::null());
        }
        if status == LUA_OK {
            status = lua_pcall(state, 0, 0, 0);
        }
        let mut message = String::new();
        if status != LUA_OK {
            let text = lua_tolstring(state, -1, ptr::null_mut());
            message = if text.is_null() {
                "an error that is no string".into()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            };
        }
        lua_close(state);
        (status, (message, begun))
    }
}

/// The script ended well, or with the one error there may be.
fn expect_well_or_out_of_memory(ending: &Ending, adversity: &Adversity) {
    let right = match ending.status {
        LUA_OK => true,
        // `table.unpack` and the like say so when there is no memory for a larger stack.
        LUA_ERRRUN | LUA_ERRMEM => ["not enough memory", "too many results to unpack", "stack overflow"]
            .iter()
            .any(|message| ending.message.contains(message)),
        // Memory failed again while a message handler ran.
        LUA_ERRERR => true,
        _ => false,
    };
    assert!(right, "{adversity:?}: {ending:?}");
}

/// How many requests fail in a row. One is made up for by the next attempt where the core makes two; then comes the
/// emergency collection, and its attempt; then the error.
const ROWS: [u64; 4] = [1, 2, 3, u64::MAX];

/// Fails each of the requests of a script, `step` apart; returns how many runs there were, and how many faults.
fn fail_each_request(script: &str, base: &Adversity, step: impl Fn(u64) -> usize) -> (u64, u64) {
    let source = source(script);
    let undisturbed = run(&source, base);
    assert_eq!(undisturbed.status, LUA_OK, "{undisturbed:?}");
    let total = undisturbed.counts.requests;
    let (mut runs, mut faults, mut errors) = (0, 0, 0);
    for first in (0..total).step_by(step(total)) {
        for row in ROWS {
            let adversity = Adversity { requests: first..first.saturating_add(row), ..base.clone() };
            let ending = run(&source, &adversity);
            expect_well_or_out_of_memory(&ending, &adversity);
            runs += 1;
            faults += ending.counts.failed;
            errors += u64::from(ending.status != LUA_OK);
        }
    }
    // Hashes differ from run to run, and some requests with them; so the last ones may be missed.
    assert!(faults >= runs * 9 / 10, "{faults} faults in {runs} runs of {total} requests");
    assert!(errors > 0, "no fault had any effect");
    println!("{total} requests, {runs} runs, {faults} faults, {errors} errors");
    (runs, faults)
}

/// A test for each script in `tests/scripts`.
macro_rules! for_each_script {
    ($body:expr, $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $body(include_str!(concat!("../tests/scripts/", stringify!($name), ".lua")));
        }
    )*};
}

/// Fails every fifth request of each script; `all` below fails the others too.
mod a_part_of_the_requests {
    use super::*;

    for_each_script! {
        |script| fail_each_request(script, &Adversity::none(), |_| 5),
        strings tables closures coroutines metatables errors formats sorting input_output system unicode loading
        control finalizers weak modules reflection constructors
    }

    #[test]
    fn large() {
        let script = include_str!("../tests/scripts/large.lua");
        fail_each_request(script, &Adversity::none(), |total| total as usize / 12);
    }

    #[test]
    fn in_a_hardened_pool() {
        let base = Adversity { hardened: true, ..Adversity::none() };
        for name in ["strings", "tables", "coroutines", "large"] {
            let (_, script) = SCRIPTS.into_iter().find(|(known, _)| *known == name).expect("a script");
            fail_each_request(script, &base, |total| (total as usize / 25).max(1));
        }
    }

    #[test]
    fn opening_the_libraries() {
        let base = Adversity { from_the_start: true, ..Adversity::none() };
        fail_each_request("", &base, |_| 3);
    }
}

/// Every script with what is to be found in `tests/scripts`, by name.
const SCRIPTS: [(&str, &str); 19] = {
    macro_rules! named {
        ($($name:ident)*) => { [$((
            stringify!($name), include_str!(concat!("../tests/scripts/", stringify!($name), ".lua")),
        )),*] };
    }
    named! {
        strings tables closures coroutines metatables errors formats sorting input_output system unicode loading
        control finalizers weak modules reflection constructors large
    }
};

#[test]
#[ignore = "takes minutes"]
fn all_requests_in_both_modes_of_the_collector() {
    let (mut runs, mut faults) = (0, 0);
    for generational in [false, true] {
        let base = Adversity { generational, ..Adversity::none() };
        for (name, script) in SCRIPTS {
            let (more_runs, more_faults) =
                fail_each_request(script, &base, |total| if name == "large" { total as usize / 40 } else { 1 });
            runs += more_runs;
            faults += more_faults;
        }
        let start = Adversity { from_the_start: true, ..base };
        let (more_runs, more_faults) = fail_each_request("", &start, |_| 1);
        runs += more_runs;
        faults += more_faults;
    }
    println!("in all: {runs} runs, {faults} faults");
}

#[test]
fn system_calls_that_fail_are_survived() {
    let (mut runs, mut failed) = (0, 0);
    let hardened = SCRIPTS.into_iter().filter(|(name, _)| ["large", "strings"].contains(name));
    for ((name, script), hardened) in
        SCRIPTS.map(|named| (named, false)).into_iter().chain(hardened.map(|it| (it, true)))
    {
        let source = source(script);
        let from_the_start = true;
        let base = Adversity { from_the_start, hardened, ..Adversity::none() };
        let calls = run(&source, &base).counts.calls;
        let step = if name == "large" { (calls as usize / 10).max(1) } else { 1 };
        for first in (0..calls).step_by(step) {
            for row in [1, 2, 8, u64::MAX] {
                let adversity = Adversity { calls: first..first.saturating_add(row), ..base.clone() };
                let ending = run(&source, &adversity);
                expect_well_or_out_of_memory(&ending, &adversity);
                runs += 1;
                failed += ending.counts.failed;
            }
        }
    }
    println!("{runs} runs, {failed} failed calls");
    assert!(failed > 0, "no call was made to fail");
}

#[test]
fn limits_are_survived() {
    let mut refused = 0;
    for (_, script) in SCRIPTS {
        let source = source(script);
        for units in [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128] {
            for hardened in [false, true] {
                let limit = Some(units << 16);
                let adversity = Adversity { limit, generational: units % 8 == 0, hardened, ..Adversity::none() };
                let ending = run(&source, &adversity);
                expect_well_or_out_of_memory(&ending, &adversity);
                refused += u64::from(ending.status != LUA_OK);
            }
        }
    }
    assert!(refused > 0, "no limit was ever in the way");
}

/// A `lua_Alloc` between Lua and a pool, with failures of its own.
struct Between {
    pool: *mut c_void,
    requests: u64,
    failing: Range<u64>,
    /// Only requests for more fail. Otherwise those for less do too, which the manual allows.
    growth_only: bool,
}

unsafe extern "C" fn between_alloc(ud: *mut c_void, ptr: *mut c_void, osize: usize, nsize: usize) -> *mut c_void {
    // SAFETY: `ud` is a `Between` that nobody else uses while Lua asks; its pool is live, and Lua keeps the rules.
    unsafe {
        let this = &mut *ud.cast::<Between>();
        if nsize > 0 && (ptr.is_null() || nsize > osize || !this.growth_only) {
            this.requests += 1;
            if this.failing.contains(&(this.requests - 1)) {
                return ptr::null_mut();
            }
        }
        lua_pool_alloc(this.pool, ptr, osize, nsize)
    }
}

/// As [`run`], with everything through `lua_Alloc` and failures there, where shrinks can fail as well.
fn run_between(source: &str, failing: Range<u64>, growth_only: bool) -> (c_int, u64) {
    let pool = Pool::builder().check_interval(CHECK_INTERVAL).build().expect("a pool");
    let mut between = Between { pool: pool.as_ud(), requests: 0, failing: NONE, growth_only };
    let ud = &raw mut between;
    let (status, (message, begun)) = run_with(between_alloc, ud.cast(), source, &Adversity::none(), || {
        // SAFETY: Lua is not running.
        let this = unsafe { &mut *ud };
        this.failing = failing.start.saturating_add(this.requests)..failing.end.saturating_add(this.requests);
        this.requests
    });
    let counts = Counts { requests: between.requests - begun.unwrap_or(0), calls: 0, failed: 0 };
    let adversity = Adversity { requests: failing, ..Adversity::none() };
    expect_nothing_left(&pool, &adversity);
    expect_well_or_out_of_memory(&Ending { status, message, counts }, &adversity);
    (status, counts.requests)
}

/// Fails requests `step` apart through `lua_Alloc`, those for less memory too or not.
fn fail_between(growth_only: bool, step: usize) {
    let (mut runs, mut errors) = (0, 0);
    for (name, script) in SCRIPTS {
        if name == "large" {
            continue;
        }
        let source = source(script);
        let (status, total) = run_between(&source, NONE, growth_only);
        assert_eq!(status, LUA_OK, "{name}");
        for first in (0..total).step_by(step) {
            for row in [1, 2, u64::MAX] {
                let (status, _) = run_between(&source, first..first.saturating_add(row), growth_only);
                runs += 1;
                errors += u64::from(status != LUA_OK);
            }
        }
    }
    println!("{runs} runs, {errors} errors");
    assert!(errors > 0, "no fault had any effect");
}

#[test]
fn growth_fails_through_lua_alloc() {
    fail_between(true, 7);
}

#[test]
fn shrinks_fail_too_through_lua_alloc() {
    fail_between(false, 7);
}

#[test]
#[ignore = "takes minutes"]
fn all_requests_fail_through_lua_alloc() {
    fail_between(true, 1);
    fail_between(false, 1);
}
