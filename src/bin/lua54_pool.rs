//! `lua54_pool`: Lua 5.4.4 on the pool.
#![no_main]

use std::ffi::{c_char, c_int};

use lua_pool_allocator::interpreter;
use lua_pool_allocator::pool_program::PoolProgram;

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

/// C's `main` rather than Rust's, which would have the program and its children ignore SIGPIPE, and reopen standard
/// streams that are closed: scripts would notice.
///
/// # Safety
/// Called by the C runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the C runtime's promise.
    unsafe { interpreter::run(&mut PoolProgram::default(), argc, argv) }
}
