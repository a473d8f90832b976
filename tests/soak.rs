//! A mixed load for as long as one likes: resident memory stays flat, the checker stays clean, no round gets slower.
//!
//! `cargo test` gives it some seconds; for two hours, after which both drifts are printed, in per cent:
//! `LUA_POOL_SOAK_SECONDS=7200 cargo test --release --test soak -- --ignored --nocapture`.
#![cfg(feature = "programs")]

use std::ffi::c_int;
use std::ptr;
use std::time::{Duration, Instant};

use lua_pool_allocator::lua_ffi::{
    LUA_GCGEN, LUA_OK, lua_State, lua_close, lua_gc, lua_newstate, lua_pcall, lua_pushcfunction, lua_pushvalue,
    luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::{Pool, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

const LOAD: &str = include_str!("soak/load.lua");
const LUA_GCCOLLECT: c_int = 2;
/// Rounds between two samples.
const ROUNDS: u32 = 40;
/// Samples before which memory is not flat yet: on a busy machine they take longer than the time given.
const SAMPLES_MIN: usize = 20;

/// What was seen after some rounds.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Bytes of the pool in physical memory, right after a full collection.
    resident: u64,
    /// Time for each round, the median of them.
    round: Duration,
}

unsafe extern "C-unwind" fn open_libraries(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { luaL_openlibs(state) };
    0
}

/// A state with the load's function on its stack.
fn new_state(pool: &Pool, generational: bool) -> *mut lua_State {
    // SAFETY: the pool outlives the state, which `Soak` and `second_state` see to.
    unsafe {
        let state = lua_newstate(lua_pool_alloc, pool.as_ud());
        assert!(!state.is_null());
        if generational {
            lua_gc(state, LUA_GCGEN, 0 as c_int, 0 as c_int);
        }
        lua_pushcfunction(state, open_libraries);
        assert_eq!(lua_pcall(state, 0, 0, 0), LUA_OK);
        let loaded = luaL_loadbufferx(state, LOAD.as_ptr().cast(), LOAD.len(), c"=load".as_ptr(), ptr::null());
        assert_eq!(loaded, LUA_OK);
        assert_eq!(lua_pcall(state, 0, 1, 0), LUA_OK);
        state
    }
}

/// Time that this thread has run for: what other programs take is not in it, where the system can tell.
fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock writes to `time` and nothing else.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(failed, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(unix))]
    {
        static BEGUN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        BEGUN.get_or_init(Instant::now).elapsed()
    }
}

fn run_round(state: *mut lua_State) {
    // SAFETY: a live state with the load's function on top of its stack.
    unsafe {
        lua_pushvalue(state, -1);
        assert_eq!(lua_pcall(state, 0, 0, 0), LUA_OK);
    }
}

/// Another state in the same pool, for a few rounds: its chunks go back and forth between the two.
fn second_state(pool: &Pool) {
    let state = new_state(pool, false);
    for _ in 0..3 {
        run_round(state);
    }
    // SAFETY: live until here.
    unsafe { lua_close(state) };
}

fn soak(time: Duration, generational: bool) -> Vec<Sample> {
    let pool = Pool::new().expect("a pool");
    let state = new_state(&pool, generational);
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < time || samples.len() < SAMPLES_MIN {
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let before = processor_time();
                run_round(state);
                processor_time() - before
            })
            .collect();
        times.sort_unstable();
        second_state(&pool);
        // SAFETY: a live state that is not running.
        unsafe { lua_gc(state, LUA_GCCOLLECT) };
        pool.verify().expect("the accounting identity");
        let resident = pool.resident_bytes().unwrap_or_else(|| pool.stats().used_bytes + pool.stats().cached_bytes);
        samples.push(Sample { resident, round: times[times.len() / 2] });
    }
    // SAFETY: live until here.
    unsafe { lua_close(state) };
    pool.verify().expect("the accounting identity");
    assert_eq!(pool.stats().live_bytes, 0, "bytes left after closing the state");
    samples
}

/// The second quarter, after warming up, against the last one; of speed, only what runs for long can tell.
fn expect_flat(samples: &[Sample], speed_too: bool) {
    let quarter = samples.len() / 4;
    let (early, late) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let median = |samples: &[Sample], of: fn(&Sample) -> u64| {
        let mut values: Vec<u64> = samples.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let resident = |samples| median(samples, |sample| sample.resident);
    // The fastest: a machine that is busy otherwise makes all the others slower.
    let round = |samples: &[Sample]| samples.iter().map(|sample| sample.round.as_micros()).min().unwrap_or(0);
    let drift = |early: f64, late: f64| (late / early.max(1.0) - 1.0) * 100.0;
    println!(
        "{} samples of {ROUNDS} rounds: {} KiB resident, then {} ({:+.1} %); {} us a round, then {} ({:+.1} %)",
        samples.len(),
        resident(early) >> 10,
        resident(late) >> 10,
        drift(resident(early) as f64, resident(late) as f64),
        round(early),
        round(late),
        drift(round(early) as f64, round(late) as f64)
    );
    assert!(resident(late) <= resident(early) * 11 / 10 + (1 << 20), "resident memory grows: {samples:?}");
    // What grows with time is far beyond this.
    assert!(!speed_too || round(late) <= round(early) * 3 / 2, "rounds get slower: {samples:?}");
}

#[test]
fn some_seconds_of_mixed_load_stay_flat() {
    for generational in [false, true] {
        expect_flat(&soak(Duration::from_secs(6), generational), false);
    }
}

#[test]
#[ignore = "takes as long as LUA_POOL_SOAK_SECONDS says, a minute for each mode by default"]
fn a_long_mixed_load_stays_flat() {
    let seconds = std::env::var("LUA_POOL_SOAK_SECONDS").map_or(120, |value| value.parse().expect("seconds"));
    for generational in [false, true] {
        expect_flat(&soak(Duration::from_secs(seconds) / 2, generational), true);
    }
}
