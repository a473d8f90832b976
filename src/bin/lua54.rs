//! `lua54`: Lua 5.4.4 on the system's malloc.
#![no_main]

use std::ffi::{c_char, c_int};

use lua_pool_allocator::interpreter::{self, Program};
use lua_pool_allocator::lua_ffi::{lua_State, luaL_newstate};

#[link(name = "lua54", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

struct Lua54;

impl Program for Lua54 {
    fn name(&self) -> &'static str {
        "lua54"
    }

    fn about(&self) -> &'static str {
        "Lua 5.4.4 on the system's malloc; the plain twin of lua54_pool"
    }

    fn new_state(&mut self) -> *mut lua_State {
        // SAFETY: nothing is asked of the caller.
        unsafe { luaL_newstate() }
    }
}

/// C's `main` rather than Rust's, which would have the program and its children ignore SIGPIPE, and reopen standard
/// streams that are closed: scripts would notice.
///
/// # Safety
/// Called by the C runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the C runtime's promise.
    unsafe { interpreter::run(&mut Lua54, argc, argv) }
}
