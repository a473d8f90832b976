//! Calls to the system for memory: none where nothing changes, and little memory where nothing happens.
#![cfg(feature = "programs")]

use assert_cmd::Command;

use lua_pool_allocator::lua_ffi::{lua_State, lua_close, lua_newstate, luaL_openlibs};
use lua_pool_allocator::{Pool, PurgeMode, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

/// Runs a workload that measures its frames with `os.clock`, and notes at each of them how many calls there were.
const COUNT_CALLS: &str = r#"
    local first, last, path = tonumber(arg[1]), tonumber(arg[2]), arg[3]
    local clock, stats, frame, before, after = os.clock, alloc.stats, 0, nil, nil
    os.clock = function()
        frame = frame + 1
        if frame == 2 * first then before = stats().calls end
        if frame == 2 * last then after = stats().calls end
        return clock()
    end
    arg = { [0] = path, tostring(last) }
    dofile(path)
    print("calls", after - before, "at first", before > 0)
"#;

/// A burst of entities every 90 frames is part of it.
#[test]
fn a_steady_game_loop_makes_no_call_for_memory() {
    let workload = concat!(env!("CARGO_MANIFEST_DIR"), "/benchmark/game_loop.lua");
    let mut script = tempfile::NamedTempFile::new().expect("a file for the script");
    std::io::Write::write_all(&mut script, COUNT_CALLS.as_bytes()).expect("the script is written");
    let mut program = Command::new(env!("CARGO_BIN_EXE_lua54_pool"));
    let output = program.arg(script.path()).args(["600", "1200", workload]).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.ends_with("calls\t0\tat first\ttrue\n"), "{printed}");
}

/// A state with the standard libraries, closed before its pool goes.
struct State {
    state: *mut lua_State,
    pool: Pool,
}

impl State {
    fn new(purge_mode: PurgeMode) -> State {
        let pool = Pool::builder().ends_with_state(true).purge_mode(purge_mode).build().expect("memory for a pool");
        // SAFETY: the pool outlives the state.
        let state = unsafe { lua_newstate(lua_pool_alloc, pool.as_ud()) };
        assert!(!state.is_null());
        // SAFETY: made just now.
        unsafe { luaL_openlibs(state) };
        State { state, pool }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and closed only here.
        unsafe { lua_close(self.state) };
    }
}

/// glibc takes 24.2 KiB for each.
#[test]
fn an_idle_state_takes_six_pages() {
    // Closed pools leave the memory of 64 at most to the next ones.
    let states: Vec<State> = (0..200).map(|_| State::new(PurgeMode::Auto)).collect();
    let is_small = |state: &&State| state.pool.resident_bytes().is_none_or(|bytes| bytes <= 6 * 4096);
    let small = states.iter().filter(is_small).count();
    assert!(small >= 200 - 64, "{small} of 200; one takes {:?}", states[199].pool.resident_bytes());
    states.iter().for_each(|state| state.pool.verify().expect("the books"));
}

#[test]
fn a_state_made_after_another_was_closed_makes_no_call_for_memory() {
    drop((0..20).map(|_| State::new(PurgeMode::Auto)).collect::<Vec<_>>());
    // A thread that finds the lock of what closed pools left taken makes calls, which is rare.
    let with_calls = (0..100).filter(|_| State::new(PurgeMode::Auto).pool.stats().memory_calls > 0).count();
    assert!(with_calls < 10, "{with_calls} of 100");
}

/// Closed pools leave little behind, and what they leave looks like new.
#[test]
fn a_pool_does_not_see_what_another_has_left() {
    for round in 0..30 {
        let mut pool = Pool::new().expect("memory for a pool");
        let fresh = pool.stats();
        assert_eq!((fresh.used_bytes, fresh.cached_bytes, fresh.peak_bytes), (64 << 10, 0, 64 << 10), "{round}");
        assert_eq!((fresh.live_bytes, fresh.mapped_bytes, fresh.hole_bytes), (0, 256 << 10, 0), "{round}");
        assert!(fresh.classes.iter().all(|class| class.allocations == 0 && class.chunks == 0), "{round}");
        assert!(pool.resident_bytes().is_none_or(|bytes| bytes <= 64 << 10), "{round}");
        // All of the first segment, and then some.
        for size in (8..12_000).step_by(8) {
            let block = pool.allocate(size);
            assert!(!block.is_null());
            // SAFETY: a fresh block of this size.
            unsafe { block.write_bytes(0xA5, size) };
        }
        pool.verify().expect("the books");
    }
}
