//! Groups of pools in the C interface. A `lua_pool_group *` is an address that stands in a table of live groups; nobody
//! reads what is there. All of these functions may be called by any thread at any time.

use core::ffi::{c_int, c_void};
use core::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::config::{self, Refusal, is_limit, lua_pool_group_config};
use super::error::{ErrorCode, Listener};
use super::fill_in;
use crate::PoolGroup;
use crate::settings::LIMIT_BYTES_MIN;

/// Figures of a group, as [`GroupStats`](crate::pool::GroupStats) has them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct lua_pool_group_statistics {
    /// Pools that live now.
    pub pools: u64,
    /// Bytes that the pools use, or keep in their own caches.
    pub committed_bytes: u64,
    /// Bytes in the group's cache.
    pub cached_bytes: u64,
    /// Largest sum of both so far.
    pub peak_bytes: u64,
    /// The limit, or 0.
    pub limit_bytes: u64,
    /// Requests that the limit refused so far.
    pub limit_refusals: u64,
    /// How often a pool took memory out of the cache so far.
    pub reused_segments: u64,
}

/// A group and whom to tell of errors.
struct Entry {
    group: PoolGroup,
    listener: Listener,
}

// SAFETY: the host's pointers are only ever passed back to it.
unsafe impl Send for Entry {}

/// The groups that C hosts have made and not yet freed.
static GROUPS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, Vec<Entry>> {
    // Nothing under this lock panics halfway through a change.
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The group that a host means, if it is live.
pub(super) fn find(group: *const c_void) -> Option<PoolGroup> {
    lock().iter().find(|entry| entry.group.address() == group.addr()).map(|entry| entry.group.clone())
}

/// Calls `action` with a live group and whom to tell of errors; reports it if there is none.
fn with_group(function: &str, group: *const c_void, action: impl FnOnce(PoolGroup, Listener) -> c_int) -> c_int {
    let found = {
        let groups = lock();
        let entry = groups.iter().find(|entry| entry.group.address() == group.addr());
        entry.map(|entry| (entry.group.clone(), entry.listener))
    };
    match found {
        Some((group, listener)) => action(group, listener),
        None => not_a_group(function, group),
    }
}

fn not_a_group(function: &str, group: *const c_void) -> c_int {
    let (code, what) = if group.is_null() {
        (ErrorCode::Argument, "the group is NULL")
    } else {
        (ErrorCode::Closed, "this is no group from lua_pool_group_new, or it was freed already")
    };
    Listener::NOBODY.report(code, &format!("{function}: {what}"))
}

/// Makes a group; a null `config` is all defaults. Null when the configuration is wrong or there is no memory.
///
/// # Safety
/// `config` is null or points to `config->size` readable bytes; its functions are callable as long as the group or a
/// pool of it lives, by any thread; `map` and `unmap` are as [`Source::new`](crate::Source::new) wants them, and `buffer`
/// is the group's alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_group_new(config: *const lua_pool_group_config) -> *mut c_void {
    // SAFETY: the caller's promise.
    let made = unsafe { config::read_group(config) }.and_then(|(listener, builder)| {
        let mut groups = lock();
        if groups.try_reserve(1).is_err() {
            return Err(Refusal::new(ErrorCode::Memory, "lua_pool_group_new: not enough memory", listener));
        }
        let group = builder.build();
        let address = group.address();
        groups.push(Entry { group, listener });
        Ok(ptr::without_provenance_mut(address))
    });
    made.unwrap_or_else(|refusal| {
        refusal.report();
        ptr::null_mut()
    })
}

/// The host lets go of a group. It goes when its last pool is closed, or now if it has none.
#[unsafe(no_mangle)]
pub extern "C" fn lua_pool_group_free(group: *mut c_void) -> c_int {
    let removed = {
        let mut groups = lock();
        let place = groups.iter().position(|entry| entry.group.address() == group.addr());
        place.map(|place| groups.swap_remove(place))
    };
    match removed {
        // Dropped behind the lock: it may call the host's `unmap`.
        Some(_) => ErrorCode::Ok as c_int,
        None => not_a_group("lua_pool_group_free", group),
    }
}

/// Fills in as many of the figures as fit into `size` bytes, and zero for those the library does not know.
///
/// # Safety
/// `out` is null or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_group_stats(
    group: *const c_void,
    out: *mut lua_pool_group_statistics,
    size: usize,
) -> c_int {
    with_group("lua_pool_group_stats", group, |group, listener| {
        if out.is_null() {
            return listener.report(ErrorCode::Argument, "lua_pool_group_stats: no place for the figures (NULL)");
        }
        let stats = group.stats();
        let figures = lua_pool_group_statistics {
            pools: stats.pools,
            committed_bytes: stats.committed_bytes,
            cached_bytes: stats.cached_bytes,
            peak_bytes: stats.peak_bytes,
            limit_bytes: stats.limit_bytes.unwrap_or(0),
            limit_refusals: stats.limit_refusals,
            reused_segments: stats.reused_segments,
        };
        // SAFETY: the caller's promise.
        unsafe { fill_in(&figures, out, size) };
        ErrorCode::Ok as c_int
    })
}

/// Sets the limit of all pools together in bytes; 0 lifts it.
#[unsafe(no_mangle)]
pub extern "C" fn lua_pool_group_set_limit(group: *mut c_void, limit_bytes: usize) -> c_int {
    const FUNCTION: &str = "lua_pool_group_set_limit";
    with_group(FUNCTION, group, |group, listener| {
        if !is_limit(limit_bytes) {
            let message = format!("{FUNCTION}: the limit is in bytes, 0 for none, and at least {LIMIT_BYTES_MIN}");
            return listener.report(ErrorCode::Argument, &message);
        }
        group.set_limit_bytes(Some(limit_bytes).filter(|&bytes| bytes != 0));
        ErrorCode::Ok as c_int
    })
}

/// Gives memory in the group's cache back until at most `keep_bytes` are left; `freed_bytes`, which may be null, is told
/// how much went.
///
/// # Safety
/// `freed_bytes` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_group_trim(group: *mut c_void, keep_bytes: usize, freed_bytes: *mut usize) -> c_int {
    with_group("lua_pool_group_trim", group, |group, _| {
        let freed = group.trim(keep_bytes);
        if !freed_bytes.is_null() {
            // SAFETY: the caller's promise.
            unsafe { freed_bytes.write(freed) };
        }
        ErrorCode::Ok as c_int
    })
}
