//! The C interface, declared and documented for its users in `include/lua_pool.h`.
//!
//! A `lua_pool *` is the address of the pool itself, which is what `lua_newstate` wants as `ud`. What else the
//! interface knows of a pool is in a table of live pools; so a null, closed or made-up pointer is told from a pool
//! without touching the memory behind it. Only the rare functions look there. [`lua_pool_alloc`] does not, except in
//! debug builds, which find a second thread on a pool that way.
//!
//! [`lua_pool_alloc`]: crate::lua_pool_alloc

mod attach;
mod checked;
mod config;
mod error;
mod groups;
mod handles;
mod profile;

use core::ffi::{c_char, c_int, c_uint, c_void};
use core::mem::size_of;
use core::ptr;

#[cfg(feature = "mlua")]
pub(crate) use attach::attach_owned;
pub(crate) use attach::pool_of_attached;
pub use attach::{lua_pool_attach, lua_pool_of};
pub use checked::lua_pool_alloc_checked;
#[cfg(debug_assertions)]
pub(crate) use checked::wrong_thread;
pub use config::{lua_pool_config, lua_pool_group_config, lua_pool_map_function, lua_pool_unmap_function};
pub use error::{ErrorCode, lua_pool_error_function, lua_pool_error_text};
pub use groups::{
    lua_pool_group_free, lua_pool_group_new, lua_pool_group_set_limit, lua_pool_group_statistics, lua_pool_group_stats,
    lua_pool_group_trim,
};

pub use profile::{lua_pool_profile_start, lua_pool_profile_stop};

pub(crate) use error::report;

use crate::lua_ffi::lua_Alloc;
use crate::pool::RawPool;
use crate::settings::LIMIT_BYTES_MIN;
use config::{Refusal, is_limit, purge_mode};
use error::Listener;
use handles::Handle;

/// Flag of [`lua_pool_config`]: as [`PoolBuilder::hardened`](crate::PoolBuilder::hardened).
pub const LUA_POOL_HARDENED: c_uint = 1;

/// Figures of a pool, as [`PoolStats`](crate::pool::stats::PoolStats) has them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct lua_pool_statistics {
    /// Bytes of live blocks.
    pub live_bytes: u64,
    /// Blocks handed out so far.
    pub allocations: u64,
    /// Blocks freed so far.
    pub frees: u64,
    /// Bytes of chunks and large blocks in use.
    pub used_bytes: u64,
    /// Bytes of free chunks that may be in physical memory.
    pub cached_bytes: u64,
    /// Largest sum of used and cached bytes so far.
    pub peak_bytes: u64,
    /// Bytes of address space.
    pub mapped_bytes: u64,
    /// Bytes given back to the system so far.
    pub purged_bytes: u64,
    /// The hard limit, or 0.
    pub limit_bytes: u64,
    /// The soft limit, or 0.
    pub soft_limit_bytes: u64,
    /// Requests that the limit refused so far.
    pub limit_refusals: u64,
    /// Bytes of pages inside chunks in use that were given back and are not in use again.
    pub hole_bytes: u64,
    /// Calls made so far for memory: map, unmap, remap, purge.
    pub memory_calls: u64,
    /// Bytes of chunks whose blocks are of any size.
    pub mixed_bytes: u64,
}

/// The version of the library, as "MAJOR.MINOR.PATCH".
#[unsafe(no_mangle)]
pub extern "C" fn lua_pool_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Makes a pool; a null `config` is all defaults. Null when the configuration is wrong or there is no memory.
///
/// # Safety
/// `config` is null or points to `config->size` readable bytes; its functions are callable as long as the pool lives,
/// `map` and `unmap` are as [`Source::new`](crate::Source::new) wants them, and `buffer` is the pool's alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_new(config: *const lua_pool_config) -> *mut c_void {
    // SAFETY: the caller's promise.
    let pool = unsafe { config::read_pool(config) }.and_then(|(listener, builder)| {
        let no_memory = || Refusal::new(ErrorCode::Memory, "lua_pool_new: not enough memory for a pool", listener);
        let pool = builder.build().map_err(|_| no_memory())?;
        let ud = pool.as_ud();
        handles::insert(Handle::new(pool, listener)).map_err(|_| no_memory())?;
        Ok(ud)
    });
    pool.unwrap_or_else(|refusal| {
        refusal.report();
        ptr::null_mut()
    })
}

/// Frees a pool and everything in it. Every state on it must have been closed.
///
/// # Safety
/// Nobody uses a block of the pool, or a state on it, any more; no other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_close(pool: *mut c_void) -> c_int {
    match handles::remove(pool) {
        Some(handle) => {
            drop(handle);
            ErrorCode::Ok as c_int
        }
        None => not_a_pool("lua_pool_close", pool),
    }
}

/// The `lua_Alloc` function for a pool: [`lua_pool_alloc`](crate::lua_pool_alloc), or
/// [`lua_pool_alloc_hardened`](crate::lua_pool_alloc_hardened) if it is hardened. For a null pool the former, which then
/// has no memory to give.
///
/// # Safety
/// `pool` is null or a live pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_function(pool: *const c_void) -> lua_Alloc {
    // SAFETY: the caller's promise.
    unsafe { pool.cast::<RawPool>().as_ref() }.map_or(crate::lua_pool_alloc, RawPool::alloc_function)
}

/// Fills in as many of the figures as fit into `size` bytes, and zero for those the library does not know.
///
/// # Safety
/// `out` has room for `size` bytes; no other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_stats(pool: *const c_void, out: *mut lua_pool_statistics, size: usize) -> c_int {
    with_pool("lua_pool_stats", pool.cast_mut(), |raw, handle| {
        if out.is_null() {
            return handle.report(ErrorCode::Argument, "lua_pool_stats: no place for the figures (NULL)");
        }
        // SAFETY: the caller's promise.
        unsafe { fill_in(&statistics(raw), out, size) };
        ErrorCode::Ok as c_int
    })
}

/// Writes as much of `figures`, which are plain integers, as fits into `size` bytes, and zeros behind.
///
/// # Safety
/// `out` has room for `size` bytes.
unsafe fn fill_in<T: Copy>(figures: &T, out: *mut T, size: usize) {
    let known = size.min(size_of::<T>());
    // SAFETY: the caller's promise.
    unsafe {
        ptr::copy_nonoverlapping(ptr::from_ref(figures).cast::<u8>(), out.cast(), known);
        out.cast::<u8>().add(known).write_bytes(0, size - known);
    }
}

/// The figures of the C interface.
pub(crate) fn statistics(raw: &RawPool) -> lua_pool_statistics {
    let stats = raw.stats();
    lua_pool_statistics {
        live_bytes: stats.live_bytes,
        allocations: stats.classes.iter().map(|class| class.allocations).sum::<u64>() + stats.large_allocations,
        frees: stats.classes.iter().map(|class| class.frees).sum::<u64>() + stats.large_frees,
        used_bytes: stats.used_bytes,
        cached_bytes: stats.cached_bytes,
        peak_bytes: stats.peak_bytes,
        mapped_bytes: stats.mapped_bytes,
        purged_bytes: stats.purged_bytes,
        limit_bytes: stats.limit_bytes.unwrap_or(0),
        soft_limit_bytes: stats.soft_limit_bytes.unwrap_or(0),
        limit_refusals: stats.limit_refusals,
        hole_bytes: stats.hole_bytes,
        memory_calls: stats.memory_calls,
        mixed_bytes: stats.mixed_bytes,
    }
}

/// Sets the hard limit in bytes; 0 lifts it.
///
/// # Safety
/// No other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_set_limit(pool: *mut c_void, limit_bytes: usize) -> c_int {
    set_limit("lua_pool_set_limit", pool, limit_bytes, RawPool::set_limit_bytes)
}

/// Sets the soft limit in bytes; 0 lifts it.
///
/// # Safety
/// No other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_set_soft_limit(pool: *mut c_void, limit_bytes: usize) -> c_int {
    set_limit("lua_pool_set_soft_limit", pool, limit_bytes, RawPool::set_soft_limit_bytes)
}

fn set_limit(function: &str, pool: *mut c_void, bytes: usize, set: fn(&mut RawPool, usize)) -> c_int {
    with_pool(function, pool, |raw, handle| {
        if !is_limit(bytes) {
            let message = format!("{function}: the limit is in bytes, 0 for none, and at least {LIMIT_BYTES_MIN}");
            return handle.report(ErrorCode::Argument, &message);
        }
        set(raw, if bytes == 0 { usize::MAX } else { bytes });
        ErrorCode::Ok as c_int
    })
}

/// Sets when free memory goes back to the system: a `LUA_POOL_PURGE_*`.
///
/// # Safety
/// No other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_set_purge_mode(pool: *mut c_void, mode: c_uint) -> c_int {
    with_pool("lua_pool_set_purge_mode", pool, |raw, handle| match purge_mode(mode) {
        Some(mode) => {
            raw.set_purge_mode(mode);
            ErrorCode::Ok as c_int
        }
        None => handle.report(ErrorCode::Argument, "lua_pool_set_purge_mode: the mode is none of LUA_POOL_PURGE_*"),
    })
}

/// Gives free memory back to the system until at most `keep_bytes` are left; `freed_bytes`, which may be null, is
/// told how much went.
///
/// # Safety
/// `freed_bytes` is null or writable; no other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_trim(pool: *mut c_void, keep_bytes: usize, freed_bytes: *mut usize) -> c_int {
    with_pool("lua_pool_trim", pool, |raw, _| {
        let freed = raw.trim(keep_bytes);
        if !freed_bytes.is_null() {
            // SAFETY: the caller's promise.
            unsafe { freed_bytes.write(freed) };
        }
        ErrorCode::Ok as c_int
    })
}

/// Runs the whole-pool checker.
///
/// # Safety
/// No other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_verify(pool: *mut c_void) -> c_int {
    with_pool("lua_pool_verify", pool, |raw, handle| match raw.verify() {
        Ok(()) => ErrorCode::Ok as c_int,
        Err(violation) => handle.report(ErrorCode::Corrupt, &format!("lua_pool_verify: {violation}")),
    })
}

/// Lets the next thread that uses the pool be its thread, for the checks of debug builds.
///
/// # Safety
/// No thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_hand_over(pool: *mut c_void) -> c_int {
    if handles::unbind_thread(pool) { ErrorCode::Ok as c_int } else { not_a_pool("lua_pool_hand_over", pool) }
}

/// Calls `action` with a pool that is live, and whom to tell of errors; reports it if there is none.
fn with_pool(function: &str, pool: *mut c_void, action: impl FnOnce(&mut RawPool, Listener) -> c_int) -> c_int {
    match handles::listener(pool) {
        // SAFETY: in the table, so live; the callers of this function were promised that no other thread uses it.
        Some(listener) => action(unsafe { &mut *pool.cast() }, listener),
        None => not_a_pool(function, pool),
    }
}

/// Reports a pointer that is no live pool.
fn not_a_pool(function: &str, pool: *mut c_void) -> c_int {
    let (code, what) = if pool.is_null() {
        (ErrorCode::Argument, "the pool is NULL")
    } else {
        (ErrorCode::Closed, "this is no pool from lua_pool_new, or it was closed already")
    };
    report(None, ptr::null_mut(), code, &format!("{function}: {what}"))
}
