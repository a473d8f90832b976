//! `lua54_pool`: Lua 5.4.4 on the pool.
#![no_main]

use std::ffi::{c_char, c_int};
use std::{env, ptr};

use clap::{Arg, ArgAction, ArgMatches};
use lua_pool_allocator::interpreter::{self, Program};
use lua_pool_allocator::lua_ffi::{lua_State, lua_close, lua_newstate};
use lua_pool_allocator::{Pool, lua_pool_alloc};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

/// The program and the pool its state lives in.
struct Lua54Pool {
    pool: Option<Pool>,
    check: bool,
}

impl Program for Lua54Pool {
    fn name(&self) -> &'static str {
        "lua54_pool"
    }

    fn about(&self) -> &'static str {
        "Lua 5.4.4 on a pool allocator"
    }

    fn options(&self) -> Vec<Arg> {
        let check = Arg::new("pool-check").long("pool-check").action(ArgAction::SetTrue);
        vec![check.help("Check the whole pool regularly and at exit; abort if it is corrupt [or LUA_POOL_CHECK=1]")]
    }

    fn configure(&mut self, given: &ArgMatches) -> Result<(), String> {
        self.check = given.get_flag("pool-check") || env::var_os("LUA_POOL_CHECK").is_some_and(|value| value == "1");
        Ok(())
    }

    fn new_state(&mut self) -> *mut lua_State {
        let interval = if self.check { CHECK_INTERVAL } else { 0 };
        let Ok(pool) = Pool::builder().check_interval(interval).ends_with_state(true).build() else {
            return ptr::null_mut();
        };
        let pool = self.pool.insert(pool);
        // SAFETY: the pool lives in `self`, which outlives the state.
        unsafe { lua_newstate(lua_pool_alloc, pool.as_ud()) }
    }

    unsafe fn close(&mut self, state: *mut lua_State) {
        // SAFETY: the caller's promise.
        unsafe { lua_close(state) };
        if self.check
            && let Some(pool) = &self.pool
        {
            pool.verify_or_abort();
        }
    }
}

/// Events of the slow path between two checks, for every 64 KiB in use.
const CHECK_INTERVAL: u32 = 4;

/// C's `main` rather than Rust's, which would have the program and its children ignore SIGPIPE, and reopen standard
/// streams that are closed: scripts would notice.
///
/// # Safety
/// Called by the C runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the C runtime's promise.
    unsafe { interpreter::run(&mut Lua54Pool { pool: None, check: false }, argc, argv) }
}
