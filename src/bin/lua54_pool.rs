//! `lua54_pool`: Lua 5.4.4 on the pool.
#![no_main]

use std::ffi::{c_char, c_int, c_void};

use clap::{Arg, ArgAction, ArgMatches};
use lua_pool_allocator::interpreter::{self, Program};
use lua_pool_allocator::lua_ffi::{lua_State, lua_newstate};
use lua_pool_allocator::os::c_runtime;

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

struct Lua54Pool;

impl Program for Lua54Pool {
    fn name(&self) -> &'static str {
        "lua54_pool"
    }

    fn about(&self) -> &'static str {
        "Lua 5.4.4 on a pool allocator"
    }

    fn options(&self) -> Vec<Arg> {
        let check = Arg::new("pool-check").long("pool-check").action(ArgAction::SetTrue);
        vec![check.help("Check the whole pool at exit; exit code 1 if it is damaged")]
    }

    fn configure(&mut self, given: &ArgMatches) -> Result<(), String> {
        if given.get_flag("pool-check") {
            c_runtime::at_exit(check_at_exit);
        }
        Ok(())
    }

    fn new_state(&mut self) -> *mut lua_State {
        // SAFETY: the allocator needs no `ud` and keeps lua_Alloc's contract.
        unsafe { lua_newstate(allocate, std::ptr::null_mut()) }
    }
}

/// Stands in for the pool.
unsafe extern "C" fn allocate(_: *mut c_void, ptr: *mut c_void, _: usize, nsize: usize) -> *mut c_void {
    unsafe extern "C" {
        fn realloc(ptr: *mut c_void, size: usize) -> *mut c_void;
        fn free(ptr: *mut c_void);
    }
    // SAFETY: Lua passes NULL or what it got from here.
    unsafe {
        if nsize == 0 {
            free(ptr);
            std::ptr::null_mut()
        } else {
            realloc(ptr, nsize)
        }
    }
}

extern "C" fn check_at_exit() {}

/// C's `main` rather than Rust's, which would have the program and its children ignore SIGPIPE, and reopen standard
/// streams that are closed: scripts would notice.
///
/// # Safety
/// Called by the C runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the C runtime's promise.
    unsafe { interpreter::run(&mut Lua54Pool, argc, argv) }
}
