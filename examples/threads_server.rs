//! A server in small: worker threads take connections, each of which gets a Lua state of its own. The states' pools are
//! in one group: one limit holds for all of them together, and a new state takes over the memory that an old one left,
//! without a system call. No thread ever waits for another's allocator.
//!
//!     cargo run --release --example threads_server

use std::ffi::CStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use lua_pool_allocator::lua_ffi::{
    LUA_OK, lua_State, lua_close, lua_getglobal, lua_newstate, lua_pcall, lua_pop, lua_pushinteger, lua_tointegerx,
    luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::{Pool, PoolGroup, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

const WORKERS: usize = 4;
const CONNECTIONS: i64 = 200;
const REQUESTS: i64 = 5;
/// For all states together.
const LIMIT_BYTES: usize = 64 << 20;

/// What every state does with a request.
const HANDLER: &CStr = c"
    function handle (request)
        local words = {}
        for i = 1, 50 do words[i] = { text = 'word ' .. (request * i) % 97 } end
        table.sort(words, function (a, b) return a.text < b.text end)
        return #words
    end
";

fn main() {
    let group = PoolGroup::builder().limit_bytes(LIMIT_BYTES).build();
    let next = AtomicI64::new(1);
    let words: i64 = thread::scope(|scope| {
        let worker = || {
            let mut words = 0;
            loop {
                let connection = next.fetch_add(1, Ordering::Relaxed);
                if connection > CONNECTIONS {
                    return words;
                }
                words += serve(&group, connection);
            }
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).sum()
    });
    println!("{CONNECTIONS} connections, {} requests, {words} words", CONNECTIONS * REQUESTS);
    let stats = group.stats();
    println!(
        "group: {} bytes at the peak, {} bytes cached, {} states on memory of an earlier one, {} refusals",
        stats.peak_bytes, stats.cached_bytes, stats.reused_segments, stats.limit_refusals
    );
}

/// One connection: a pool of the group, a state on it, and the requests.
fn serve(group: &PoolGroup, connection: i64) -> i64 {
    let pool = Pool::builder().group(group).ends_with_state(true).build().expect("memory for a pool");
    // SAFETY: the pool outlives the state; both stay on this thread.
    unsafe {
        let state = lua_newstate(lua_pool_alloc, pool.as_ud());
        assert!(!state.is_null(), "no memory for a state");
        luaL_openlibs(state);
        let text = HANDLER.to_bytes();
        let loaded = luaL_loadbufferx(state, text.as_ptr().cast(), text.len(), c"=handler".as_ptr(), std::ptr::null());
        assert!(loaded == LUA_OK && lua_pcall(state, 0, 0, 0) == LUA_OK, "the handler is valid");
        let words = (0..REQUESTS).map(|request| handle(state, connection * REQUESTS + request)).sum();
        lua_close(state);
        words
    }
}

/// # Safety
/// `state` is a live state of this thread that has the handler.
unsafe fn handle(state: *mut lua_State, request: i64) -> i64 {
    // SAFETY: the caller's promise; the stack is left as it was.
    unsafe {
        lua_getglobal(state, c"handle".as_ptr());
        lua_pushinteger(state, request);
        assert!(lua_pcall(state, 1, 1, 0) == LUA_OK, "a request fits the limit");
        let answer = lua_tointegerx(state, -1, std::ptr::null_mut());
        lua_pop(state, 1);
        answer
    }
}
