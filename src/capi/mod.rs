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
mod error;
mod handles;

use core::ffi::{c_char, c_int, c_uint, c_void};
use core::mem::{offset_of, size_of};
use core::ptr;

#[cfg(feature = "mlua")]
pub(crate) use attach::attach_owned;
pub(crate) use attach::pool_of_attached;
pub use attach::{lua_pool_attach, lua_pool_of};
pub use checked::lua_pool_alloc_checked;
#[cfg(debug_assertions)]
pub(crate) use checked::wrong_thread;
pub use error::{ErrorCode, lua_pool_error_function, lua_pool_error_text};

use crate::lua_ffi::lua_Alloc;
use crate::pool::RawPool;
use crate::settings::LIMIT_BYTES_MIN;
use crate::{Pool, PurgeMode};
use error::report;
use handles::Handle;

/// Flag of [`lua_pool_config`]: as [`PoolBuilder::hardened`](crate::PoolBuilder::hardened).
pub const LUA_POOL_HARDENED: c_uint = 1;

/// What a pool is made with. `size` says how much of it the host knows; the rest, and every zero, is a default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lua_pool_config {
    /// `sizeof(lua_pool_config)` in the host.
    pub size: usize,
    /// Hard limit in bytes; 0 is none.
    pub limit_bytes: usize,
    /// Soft limit in bytes; 0 is none.
    pub soft_limit_bytes: usize,
    /// A [`PurgeMode`].
    pub purge_mode: c_uint,
    /// As [`PoolBuilder::ends_with_state`](crate::PoolBuilder::ends_with_state): 0 or 1.
    pub ends_with_state: c_uint,
    /// As [`PoolBuilder::check_interval`](crate::PoolBuilder::check_interval); 0 never checks.
    pub check_interval: c_uint,
    /// [`LUA_POOL_HARDENED`], or 0.
    pub flags: c_uint,
    /// Is told of every error; without one, errors go to standard error.
    pub on_error: lua_pool_error_function,
    /// Passed to `on_error`.
    pub error_ud: *mut c_void,
}

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
}

/// The version of the library, as "MAJOR.MINOR.PATCH".
#[unsafe(no_mangle)]
pub extern "C" fn lua_pool_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Makes a pool; a null `config` is all defaults. Null when the configuration is wrong or there is no memory.
///
/// # Safety
/// `config` is null or points to `config->size` readable bytes; `on_error` is callable as long as the pool lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_new(config: *const lua_pool_config) -> *mut c_void {
    // SAFETY: the caller's promise.
    let config = match unsafe { read_config(config) } {
        Ok(config) => config,
        Err((message, partial)) => {
            report(partial.on_error, partial.error_ud, ErrorCode::Argument, message);
            return ptr::null_mut();
        }
    };
    let fail = |message| {
        report(config.on_error, config.error_ud, ErrorCode::Memory, message);
        ptr::null_mut()
    };
    let mut builder = Pool::builder()
        .check_interval(config.check_interval)
        .purge_mode(purge_mode(config.purge_mode).unwrap_or_default())
        .ends_with_state(config.ends_with_state != 0)
        .hardened(config.flags & LUA_POOL_HARDENED != 0);
    if config.limit_bytes != 0 {
        builder = builder.limit_bytes(config.limit_bytes);
    }
    if config.soft_limit_bytes != 0 {
        builder = builder.soft_limit_bytes(config.soft_limit_bytes);
    }
    let Ok(pool) = builder.build() else {
        return fail("lua_pool_new: not enough memory for a pool");
    };
    let ud = pool.as_ud();
    if handles::insert(Handle::new(pool, config.on_error, config.error_ud)).is_err() {
        return fail("lua_pool_new: not enough memory for a pool");
    }
    ud
}

/// A complete configuration from one of any size; or what is wrong, and as much of it as says whom to tell.
///
/// # Safety
/// As [`lua_pool_new`].
unsafe fn read_config(given: *const lua_pool_config) -> Result<lua_pool_config, (&'static str, lua_pool_config)> {
    let mut config = lua_pool_config {
        size: size_of::<lua_pool_config>(),
        limit_bytes: 0,
        soft_limit_bytes: 0,
        purge_mode: 0,
        ends_with_state: 0,
        check_interval: 0,
        flags: 0,
        on_error: None,
        error_ud: ptr::null_mut(),
    };
    if given.is_null() {
        return Ok(config);
    }
    // SAFETY: the caller's promise; `size` is the first field.
    let size = unsafe { (*given).size };
    // The first version's size: it never gets smaller. Far larger ones are a structure nobody initialized.
    if size < offset_of!(lua_pool_config, error_ud) + size_of::<*mut c_void>() || size > 4096 {
        return Err(("lua_pool_new: config->size is wrong; call lua_pool_config_init first", config));
    }
    let known = size.min(size_of::<lua_pool_config>());
    // SAFETY: both have `known` bytes, and every bit pattern the host may have written is checked below or only
    // passed back to it.
    unsafe {
        ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut config).cast(), known);
        let unknown = core::slice::from_raw_parts(given.cast::<u8>().add(known), size - known);
        if unknown.iter().any(|&byte| byte != 0) {
            return Err(("lua_pool_new: the configuration has settings of a later version of the library", config));
        }
    }
    let wrong = if config.flags & !LUA_POOL_HARDENED != 0 {
        Some("lua_pool_new: config->flags must be 0 or LUA_POOL_HARDENED")
    } else if config.ends_with_state > 1 {
        Some("lua_pool_new: config->ends_with_state is 0 or 1")
    } else if purge_mode(config.purge_mode).is_none() {
        Some("lua_pool_new: config->purge_mode is none of LUA_POOL_PURGE_*")
    } else {
        None
    };
    if let Some(message) = wrong {
        return Err((message, config));
    }
    if !is_limit(config.limit_bytes) {
        return Err(("lua_pool_new: config->limit_bytes is in bytes, 0 for none, and at least 65536", config));
    }
    if !is_limit(config.soft_limit_bytes) {
        return Err(("lua_pool_new: config->soft_limit_bytes is in bytes, 0 for none, and at least 65536", config));
    }
    Ok(config)
}

/// Whether a limit is none (0) or one that makes sense.
fn is_limit(bytes: usize) -> bool {
    bytes == 0 || bytes >= LIMIT_BYTES_MIN
}

fn purge_mode(number: c_uint) -> Option<PurgeMode> {
    [PurgeMode::Auto, PurgeMode::Never, PurgeMode::Now].into_iter().find(|&mode| mode as c_uint == number)
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
        let figures = statistics(raw);
        let known = size.min(size_of::<lua_pool_statistics>());
        // SAFETY: the caller's promise; all fields are plain integers.
        unsafe {
            ptr::copy_nonoverlapping((&raw const figures).cast::<u8>(), out.cast(), known);
            out.cast::<u8>().add(known).write_bytes(0, size - known);
        }
        ErrorCode::Ok as c_int
    })
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
fn with_pool(
    function: &str,
    pool: *mut c_void,
    action: impl FnOnce(&mut RawPool, handles::Listener) -> c_int,
) -> c_int {
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
