//! A server in small: each worker thread has a Lua state on a pool of its own, so that no thread ever waits for
//! another's allocator, and each state has a limit.
//!
//!     cargo run --release --example threads_server

use std::ffi::CStr;
use std::sync::Mutex;
use std::thread;

use lua_pool_allocator::lua_ffi::{
    LUA_OK, lua_State, lua_close, lua_getglobal, lua_newstate, lua_pcall, lua_pushinteger, lua_tointegerx,
    luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::{Pool, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

const WORKERS: usize = 4;
const REQUESTS: i64 = 1000;
const LIMIT_BYTES: usize = 16 << 20;

/// What every worker's Lua does with a request.
const HANDLER: &CStr = c"
    function handle (request)
        local words = {}
        for i = 1, 50 do words[i] = { text = 'word ' .. (request * i) % 97 } end
        table.sort(words, function (a, b) return a.text < b.text end)
        return #words
    end
";

fn main() {
    let requests: Vec<i64> = (1..=REQUESTS).collect();
    let reports = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for (worker, share) in requests.chunks(requests.len() / WORKERS).enumerate() {
            let reports = &reports;
            scope.spawn(move || {
                let report = serve(worker, share);
                reports.lock().expect("no worker panics").push(report);
            });
        }
    });
    let mut reports = reports.into_inner().expect("no worker panics");
    reports.sort();
    reports.iter().for_each(|report| println!("{report}"));
}

/// One worker: a pool, a state on it, and its share of the requests.
fn serve(worker: usize, requests: &[i64]) -> String {
    let pool = Pool::builder().limit_bytes(LIMIT_BYTES).build().expect("memory for a pool");
    // SAFETY: the pool outlives the state; both stay on this thread.
    let answers: i64 = unsafe {
        let state = lua_newstate(lua_pool_alloc, pool.as_ud());
        assert!(!state.is_null(), "no memory for a state");
        luaL_openlibs(state);
        let text = HANDLER.to_bytes();
        let loaded = luaL_loadbufferx(state, text.as_ptr().cast(), text.len(), c"=handler".as_ptr(), std::ptr::null());
        assert!(loaded == LUA_OK && lua_pcall(state, 0, 0, 0) == LUA_OK, "the handler is valid");
        let answers = requests.iter().map(|&request| handle(state, request)).sum();
        lua_close(state);
        answers
    };
    let stats = pool.stats();
    let blocks: u64 = stats.classes.iter().map(|class| class.allocations).sum();
    let (count, peak) = (requests.len(), stats.peak_bytes);
    format!(
        "worker {worker} served {count} requests, {answers} words: pool: {blocks} blocks handed out, {peak} bytes at the peak"
    )
}

/// # Safety
/// `state` is a live state of this thread that has the handler.
unsafe fn handle(state: *mut lua_State, request: i64) -> i64 {
    // SAFETY: the caller's promise; the stack is left as it was.
    unsafe {
        lua_getglobal(state, c"handle".as_ptr());
        lua_pushinteger(state, request);
        assert!(lua_pcall(state, 1, 1, 0) == LUA_OK, "a request fits its limit");
        let answer = lua_tointegerx(state, -1, std::ptr::null_mut());
        lua_pool_allocator::lua_ffi::lua_pop(state, 1);
        answer
    }
}
