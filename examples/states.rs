//! Many idle Lua states in one process: what each takes, and what making and closing one costs.
//!
//!     cargo run --release --example states -- system 10000     # each on malloc
//!     cargo run --release --example states -- pools 10000      # each on a pool of its own
//!     cargo run --release --example states -- shared 10000     # all on one pool, for they are one thread's
//!
//! The Lua core is the same in all three. Resident memory is read on Linux only.

use std::process::ExitCode;
use std::time::Instant;

use lua_pool_allocator::lua_ffi::{lua_State, lua_close, lua_newstate, luaL_newstate, luaL_openlibs};
use lua_pool_allocator::{Pool, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

const LOOP_STATES: usize = 3000;

/// Where states get their memory.
enum Memory {
    System,
    Pools,
    Shared(Pool),
}

/// A state with the standard libraries. Closed before its pool goes.
struct State {
    state: *mut lua_State,
    _pool: Option<Pool>,
}

impl State {
    fn new(memory: &Memory) -> State {
        let pool = match memory {
            Memory::Pools => Some(Pool::builder().ends_with_state(true).build().expect("memory for a pool")),
            _ => None,
        };
        // SAFETY: each pool outlives its state: one's own by `drop`, the shared one in `main`.
        let state = unsafe {
            match (memory, &pool) {
                (Memory::Shared(shared), _) => lua_newstate(lua_pool_alloc, shared.as_ud()),
                (_, Some(pool)) => lua_newstate(lua_pool_alloc, pool.as_ud()),
                _ => luaL_newstate(),
            }
        };
        assert!(!state.is_null(), "memory for a state");
        // SAFETY: made just now.
        unsafe { luaL_openlibs(state) };
        State { state, _pool: pool }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody else closes it; the pool is dropped after this.
        unsafe { lua_close(self.state) };
    }
}

/// Resident memory of this process in KiB; 0 where it cannot be read.
fn resident_kilobytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let memory = match arguments.first().map(String::as_str) {
        Some("system") => Memory::System,
        Some("pools") => Memory::Pools,
        Some("shared") => Memory::Shared(Pool::new().expect("memory for a pool")),
        _ => {
            eprintln!("usage: states system|pools|shared [number of states]");
            return ExitCode::FAILURE;
        }
    };
    let count: usize = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(10_000);

    drop(State::new(&memory)); // what is needed once only
    let before = resident_kilobytes();
    let states: Vec<State> = (0..count).map(|_| State::new(&memory)).collect();
    println!("{count} idle states: {:.1} KiB each", (resident_kilobytes() - before) / count as f64);
    drop(states);

    let before = resident_kilobytes();
    let start = Instant::now();
    for _ in 0..LOOP_STATES {
        drop(State::new(&memory));
    }
    let microseconds = start.elapsed().as_secs_f64() * 1e6 / LOOP_STATES as f64;
    let growth = resident_kilobytes() - before;
    println!(
        "made and closed {LOOP_STATES} times: {microseconds:.1} microseconds each, {growth:.0} KiB more than before"
    );
    ExitCode::SUCCESS
}
