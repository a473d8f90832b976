//! Many states in one process: what they cost on the system's malloc, on a pool each, on pools of one group, and with one
//! pool for all the states of a thread.
//!
//!     cargo run --release --example many_states -- threads   # speed per thread, alone and with all cores busy
//!     cargo run --release --example many_states -- churn     # making and closing states in a loop
//!     cargo run --release --example many_states -- idle      # memory of 10,000 states that do nothing

use std::ffi::{CStr, c_void};
use std::process::Command;
use std::sync::Barrier;
use std::time::Instant;
use std::{env, fs, process, ptr, thread};

use lua_pool_allocator::lua_ffi::{
    LUA_OK, lua_Alloc, lua_State, lua_close, lua_newstate, lua_pcall, luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::{Pool, PoolGroup, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

unsafe extern "C" {
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

/// The system's malloc, as Lua's own `l_alloc` uses it.
unsafe extern "C" fn system_alloc(_ud: *mut c_void, block: *mut c_void, _osize: usize, nsize: usize) -> *mut c_void {
    // SAFETY: Lua passes blocks from here.
    unsafe {
        if nsize == 0 {
            free(block);
            return ptr::null_mut();
        }
        realloc(block, nsize)
    }
}

/// Where states get their memory from.
#[derive(Clone)]
enum Allocator {
    System,
    Pool,
    Group(PoolGroup),
    Shared,
}

const NAMES: [&str; 4] = ["system", "pool", "group", "shared"];

thread_local! {
    /// The pool of all this thread's states.
    static SHARED: Pool = Pool::new().expect("memory for a pool");
}

impl Allocator {
    fn named(name: &str) -> Option<Allocator> {
        match name {
            "system" => Some(Allocator::System),
            "pool" => Some(Allocator::Pool),
            "group" => Some(Allocator::Group(PoolGroup::new())),
            "shared" => Some(Allocator::Shared),
            _ => None,
        }
    }
}

/// A state, and the pool it may have.
struct State {
    state: *mut lua_State,
    _pool: Option<Pool>,
}

impl State {
    fn new(allocator: &Allocator) -> State {
        let builder = Pool::builder().ends_with_state(true);
        let pool = match allocator {
            Allocator::System | Allocator::Shared => None,
            Allocator::Pool => Some(builder),
            Allocator::Group(group) => Some(builder.group(group)),
        };
        let pool = pool.map(|builder| builder.build().expect("memory for a pool"));
        let (alloc, ud): (lua_Alloc, _) = match (&pool, allocator) {
            (Some(pool), _) => (lua_pool_alloc, pool.as_ud()),
            (None, Allocator::Shared) => (lua_pool_alloc, SHARED.with(Pool::as_ud)),
            (None, _) => (system_alloc, ptr::null_mut()),
        };
        // SAFETY: the pool outlives the state; it is dropped behind `drop`.
        let state = unsafe { lua_newstate(alloc, ud) };
        assert!(!state.is_null(), "no memory for a state");
        // SAFETY: a fresh state.
        unsafe { luaL_openlibs(state) };
        State { state, _pool: pool }
    }

    fn run(&mut self, script: &CStr) {
        let text = script.to_bytes();
        // SAFETY: a live state of this thread; text and length are one slice's.
        unsafe {
            let loaded =
                luaL_loadbufferx(self.state, text.as_ptr().cast(), text.len(), c"=script".as_ptr(), ptr::null());
            assert!(loaded == LUA_OK && lua_pcall(self.state, 0, 0, 0) == LUA_OK, "the script is valid");
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: nobody else has the state.
        unsafe { lua_close(self.state) };
    }
}

/// Objects of several sizes that live for a while, large ones among them.
const WORK: &CStr = c"
    local kept = {}
    for i = 1, 60000 do
        kept[i % 5000 + 1] = { name = 'object ' .. i, position = { x = i, y = -i }, call = function () return i end }
        if i % 1000 == 0 then kept[i % 5000 + 1] = string.rep('x', i) end
    end
";

/// No memory at all: what the machine itself loses with all cores busy.
const CONTROL: &CStr = c"local sum = 0 for i = 1, 4e6 do sum = sum + i % 7 end";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["threads"] => {
            threads("control", &Allocator::Pool, CONTROL);
            for name in NAMES {
                threads(name, &Allocator::named(name).expect("one of the names"), WORK);
            }
        }
        ["churn"] => each_in_a_process("churn"),
        ["idle"] => each_in_a_process("idle"),
        ["churn", name] => churn(name),
        ["idle", name] => idle(name),
        _ => {
            eprintln!("many_states: say what to measure: threads, churn or idle");
            process::exit(1);
        }
    }
}

/// Every allocator in a process of its own, so that none finds what another has left.
fn each_in_a_process(what: &str) {
    for name in NAMES {
        let program = env::current_exe().expect("the path of this program");
        let status = Command::new(program).args([what, name]).status().expect("this program starts");
        assert!(status.success(), "{what} {name}: {status}");
    }
}

/// Each thread makes a state, works in it and closes it, some times; seconds of processor time that it took on average.
/// Processor time rather than the clock's: other programs that run meanwhile cost none of it.
fn cpu_seconds_per_thread(count: usize, allocator: &Allocator, script: &CStr) -> f64 {
    let barrier = Barrier::new(count);
    let total: f64 = thread::scope(|scope| {
        let worker = || {
            barrier.wait();
            let start = thread_cpu_seconds();
            for _ in 0..4 {
                State::new(allocator).run(script);
            }
            thread_cpu_seconds() - start
        };
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).sum()
    });
    total / count as f64
}

/// Processor time of this thread; the clock's where the system does not tell.
fn thread_cpu_seconds() -> f64 {
    #[cfg(unix)]
    {
        // SAFETY: a valid clock, and room for the answer.
        let time = unsafe {
            let mut time: libc::timespec = std::mem::zeroed();
            libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
            time
        };
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }
    #[cfg(not(unix))]
    {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64()
    }
}

/// The speed of a thread while all cores are busy, compared with one thread alone: the least disturbed of several
/// rounds of each, in turn.
fn threads(name: &str, allocator: &Allocator, script: &CStr) {
    const ROUNDS: usize = 8;
    let cores = thread::available_parallelism().map_or(2, |count| count.get());
    let (mut alone, mut together) = (f64::INFINITY, f64::INFINITY);
    cpu_seconds_per_thread(cores, allocator, script);
    for _ in 0..ROUNDS {
        alone = alone.min(cpu_seconds_per_thread(1, allocator, script));
        together = together.min(cpu_seconds_per_thread(cores, allocator, script));
    }
    println!(
        "{name:>7}: {:.1} ms alone, {:.1} ms with {cores} threads: speed per thread {:.3}",
        alone * 1e3,
        together * 1e3,
        alone / together
    );
}

/// Makes and closes states in a loop.
fn churn(name: &str) {
    const STATES: usize = 20_000;
    let allocator = Allocator::named(name).expect("one of the names");
    let run = |count: usize| (0..count).for_each(|_| drop(State::new(&allocator)));
    run(STATES / 20);
    let (start, before) = (Instant::now(), resident_kilobytes());
    let cpu = thread_cpu_seconds();
    run(STATES);
    println!(
        "{name:>6}: {:.1} us of processor time, {:.1} us for each of {STATES} states made and closed, resident {before} kB before, {} kB after",
        (thread_cpu_seconds() - cpu) * 1e6 / STATES as f64,
        start.elapsed().as_secs_f64() * 1e6 / STATES as f64,
        resident_kilobytes()
    );
}

/// Makes states and leaves them alone.
fn idle(name: &str) {
    const STATES: usize = 10_000;
    let allocator = Allocator::named(name).expect("one of the names");
    let before = resident_kilobytes();
    let states: Vec<State> = (0..STATES).map(|_| State::new(&allocator)).collect();
    let each = (resident_kilobytes() - before) as f64 / states.len() as f64;
    println!("{name:>6}: {each:.1} kB resident for each of {STATES} idle states");
}

/// Resident memory of this process, where Linux tells; elsewhere 0.
fn resident_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
