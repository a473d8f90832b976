//! What liblua_pool_allocator.so does when it is preloaded into a program that links Lua dynamically: every state that
//! `luaL_newstate` makes gets a pool of its own, which `lua_close` frees. A host that brings its own allocator to
//! `lua_newstate` keeps it.
//!
//! `LD_PRELOAD=liblua_pool_allocator.so PROGRAM`; on macOS `DYLD_INSERT_LIBRARIES` and `DYLD_FORCE_FLAT_NAMESPACE=1`.
//! Where the library is merely linked, these functions pass everything on.

use std::cell::Cell;
use std::env;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::capi::{
    LUA_POOL_HARDENED, lua_pool_attach, lua_pool_close, lua_pool_config, lua_pool_function, lua_pool_new, lua_pool_of,
    statistics,
};
use crate::lua_ffi::{lua_Alloc, lua_State};
use crate::os::symbol_behind;
use crate::pool::{PurgeMode, RawPool};
use crate::settings::{CHECK_INTERVAL, PURGE_FORM, SIZE_FORM, parse_bytes, parse_purge_mode};

/// What the LUA_POOL_* variables say.
struct Settings {
    /// Whether to do anything at all.
    active: bool,
    stats: bool,
    limit_bytes: usize,
    soft_limit_bytes: usize,
    purge_mode: PurgeMode,
    check: bool,
    hardened: bool,
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let preloaded = ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES"]
            .iter()
            .any(|name| env::var_os(name).is_some_and(|list| list.to_string_lossy().contains("lua_pool_allocator")));
        let mut settings = Settings {
            active: preloaded && !switch("LUA_POOL_DISABLE"),
            stats: false,
            limit_bytes: 0,
            soft_limit_bytes: 0,
            purge_mode: PurgeMode::Auto,
            check: false,
            hardened: false,
        };
        if settings.active {
            settings.stats = switch("LUA_POOL_STATS");
            settings.check = switch("LUA_POOL_CHECK");
            settings.hardened = switch("LUA_POOL_HARDENED");
            settings.limit_bytes = value("LUA_POOL_LIMIT", SIZE_FORM, parse_bytes).unwrap_or(0);
            settings.soft_limit_bytes = value("LUA_POOL_SOFT_LIMIT", SIZE_FORM, parse_bytes).unwrap_or(0);
            settings.purge_mode = value("LUA_POOL_PURGE", PURGE_FORM, parse_purge_mode).unwrap_or_default();
        }
        settings
    })
}

/// A variable that is 1, or else 0 or unset.
fn switch(name: &str) -> bool {
    value(name, "0 or 1", |text| match text {
        "" | "0" => Some(false),
        "1" => Some(true),
        _ => None,
    })
    .unwrap_or(false)
}

/// A variable's value; one that makes no sense is reported and has no effect, for the program is not ours to end.
fn value<T>(name: &str, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let text = env::var_os(name)?;
    let text = text.to_string_lossy();
    let value = read(&text);
    if value.is_none() {
        eprintln!("lua_pool: {name}={text} has no effect: it should be {expected}");
    }
    value
}

/// The pools made here, each with the thread that made it.
static POOLS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// A pool as the variables say; null after a message if there is no memory.
fn new_pool() -> *mut c_void {
    let settings = settings();
    let config = lua_pool_config {
        limit_bytes: settings.limit_bytes,
        soft_limit_bytes: settings.soft_limit_bytes,
        purge_mode: settings.purge_mode as c_uint,
        ends_with_state: 1,
        check_interval: if settings.check { CHECK_INTERVAL } else { 0 },
        flags: if settings.hardened { LUA_POOL_HARDENED } else { 0 },
        ..lua_pool_config::default()
    };
    // SAFETY: a complete configuration without a callback.
    let pool = unsafe { lua_pool_new(&raw const config) };
    if !pool.is_null() {
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        if settings.stats && pools.is_empty() {
            report_at_exit();
        }
        if pools.try_reserve(1).is_ok() {
            pools.push((pool.expose_provenance(), thread_mark()));
        }
    }
    pool
}

/// Forgets a pool; whether it was one of ours.
fn forget(pool: *mut c_void) -> bool {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = pools.iter().position(|&(known, _)| known == pool.addr());
    place.map(|place| pools.swap_remove(place)).is_some()
}

/// # Safety
/// `pool` is live, and no other thread uses it.
unsafe fn print_statistics(pool: *mut c_void) {
    // SAFETY: the caller's promise.
    let stats = statistics(unsafe { &*pool.cast::<RawPool>() });
    eprintln!(
        "lua_pool: {} blocks handed out, {} freed, {} live bytes, {} bytes at the peak, {} refusals",
        stats.allocations, stats.frees, stats.live_bytes, stats.peak_bytes, stats.limit_refusals
    );
}

/// Has the states that are still open at exit reported too.
fn report_at_exit() {
    extern "C" fn report() {
        let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        for &(pool, thread) in pools.iter() {
            // Another thread's state may be running at this very moment.
            if thread == thread_mark() {
                // SAFETY: in the list, so live; its thread is here.
                unsafe { print_statistics(ptr::with_exposed_provenance_mut(pool)) };
            }
        }
    }
    // SAFETY: a function of the right type; the library is never unloaded while it is preloaded.
    unsafe { libc::atexit(report) };
}

/// A number that no other live thread has.
fn thread_mark() -> usize {
    IN_LUAL_NEWSTATE.with(|flag| ptr::from_ref(flag).addr())
}

thread_local! {
    /// Whether this thread is inside the real `luaL_newstate`, whose call of `lua_newstate` is to get a pool.
    static IN_LUAL_NEWSTATE: Cell<bool> = const { Cell::new(false) };
}

/// The function that this library's one of the same name stands before; null, after a message, if there is none.
fn real(name: &CStr, own: *const ()) -> *mut c_void {
    let found = symbol_behind(name, own.cast());
    if found.is_null() {
        let name = name.to_string_lossy();
        eprintln!("lua_pool: {name} was called, and no single Lua library in this program has it");
    }
    found
}

/// # Safety
/// As Lua's own.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn luaL_newstate() -> *mut lua_State {
    let real = real(c"luaL_newstate", luaL_newstate as *const ());
    if real.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: Lua's function of this name has this type; the rest is the caller's promise.
    unsafe {
        let real = std::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn() -> *mut lua_State>(real);
        if !settings().active {
            return real();
        }
        IN_LUAL_NEWSTATE.set(true);
        let state = real();
        // Still set if `lua_newstate` was called without asking the dynamic linker: then the pool comes afterwards.
        if IN_LUAL_NEWSTATE.replace(false) && !state.is_null() && lua_pool_of(state).is_null() {
            let pool = new_pool();
            if !pool.is_null() && lua_pool_attach(state, pool) != 0 {
                forget(pool);
                lua_pool_close(pool);
            }
        }
        state
    }
}

/// Only Lua 5.5 has a seed; to the others it is an argument they never look at.
///
/// # Safety
/// As Lua's own.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lua_newstate(alloc: lua_Alloc, ud: *mut c_void, seed: c_uint) -> *mut lua_State {
    type Function = unsafe extern "C-unwind" fn(lua_Alloc, *mut c_void, c_uint) -> *mut lua_State;
    let real = real(c"lua_newstate", lua_newstate as *const ());
    if real.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: Lua's function of this name has this type; the rest is the caller's promise. The pool is freed only
    // after the state.
    unsafe {
        let real = std::mem::transmute::<*mut c_void, Function>(real);
        let pool = if IN_LUAL_NEWSTATE.replace(false) { new_pool() } else { ptr::null_mut() };
        if pool.is_null() {
            return real(alloc, ud, seed);
        }
        let state = real(lua_pool_function(pool), pool, seed);
        if state.is_null() {
            forget(pool);
            lua_pool_close(pool);
        }
        state
    }
}

/// # Safety
/// As Lua's own.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lua_close(state: *mut lua_State) {
    let real = real(c"lua_close", lua_close as *const ());
    if real.is_null() {
        return;
    }
    // SAFETY: Lua's function of this name has this type; the rest is the caller's promise. The pool is ours, and no
    // state is left on it.
    unsafe {
        let real = std::mem::transmute::<*mut c_void, unsafe extern "C-unwind" fn(*mut lua_State)>(real);
        let pool = if settings().active { lua_pool_of(state) } else { ptr::null_mut() };
        let ours = !pool.is_null() && forget(pool);
        if ours && settings().stats {
            print_statistics(pool);
        }
        real(state);
        if ours {
            let _: c_int = lua_pool_close(pool);
        }
    }
}
