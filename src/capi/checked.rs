//! The allocator function with every check, for hosts that look for their own mistakes.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::error::{ErrorCode, Listener};
use super::handles::{self, Access};
use super::not_a_pool;
use crate::lua_alloc::{lua_pool_alloc, lua_pool_alloc_hardened};
use crate::pool::{NotLive, RawPool};

/// [`lua_pool_alloc`], except that nothing is believed: a null or closed pool, another thread, and a block that is
/// not a live one of this pool are reported and refused, which leaves the pool as it was. Slow.
///
/// # Safety
/// If `ud` is a live pool, no other thread uses it at this very moment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_alloc_checked(
    ud: *mut c_void,
    ptr: *mut c_void,
    osize: usize,
    nsize: usize,
) -> *mut c_void {
    let Some(listener) = handles::listener(ud) else {
        not_a_pool("lua_pool_alloc_checked", ud);
        return ptr::null_mut();
    };
    if let Access::Denied(listener) = handles::access(ud) {
        report_thread(listener);
        return ptr::null_mut();
    }
    // SAFETY: in the table, so a live pool, and this thread's. A hardened one checks everything itself.
    if unsafe { (*ud.cast::<RawPool>()).is_hardened() } {
        // SAFETY: as above.
        return unsafe { lua_pool_alloc_hardened(ud, ptr, osize, nsize) };
    }
    if !ptr.is_null() {
        // SAFETY: in the table, so a live pool, and this thread's.
        if let Err(what) = unsafe { (*ud.cast::<RawPool>()).check_live(ptr.cast()) } {
            report_block(listener, ptr, what);
            return ptr::null_mut();
        }
    }
    // SAFETY: everything was checked just now.
    unsafe { lua_pool_alloc(ud, ptr, osize, nsize) }
}

/// In debug builds, whether `pool` is one of a C host that another thread uses; it is reported then.
#[cfg(debug_assertions)]
pub(crate) fn wrong_thread(pool: *mut c_void) -> bool {
    match handles::access(pool) {
        Access::Denied(listener) => {
            report_thread(listener);
            true
        }
        Access::Granted | Access::Unknown => false,
    }
}

fn report_thread(listener: Listener) -> c_int {
    listener.report(
        ErrorCode::Thread,
        "another thread uses this pool; give each thread a pool, or call lua_pool_hand_over before the change",
    )
}

fn report_block(listener: Listener, block: *mut c_void, what: NotLive) -> c_int {
    let what = match what {
        NotLive::Foreign => "is not from this pool",
        NotLive::Inside => "is not where a block of this pool starts",
        NotLive::Freed => "was freed already",
    };
    listener.report(ErrorCode::Foreign, &format!("block {block:p} {what}"))
}
