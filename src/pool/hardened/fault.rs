//! A line on standard error for accesses to the guards of large blocks, which the system ends the process for.

use std::sync::{Mutex, PoisonError};

use super::super::raw::RawPool;
use super::large;
use crate::os::{self, FaultMessage};

/// A pool whose guards are watched.
struct Watched(*const RawPool);

// SAFETY: the pool behind it is looked at only as `tell` says.
unsafe impl Send for Watched {}

/// The live hardened pools.
static POOLS: Mutex<Vec<Watched>> = Mutex::new(Vec::new());

/// Watches the guards of `pool`. Without memory for that, they end the process all the same.
pub fn watch(pool: &RawPool) {
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if pools.try_reserve(1).is_ok() {
        pools.push(Watched(pool));
        os::on_access_fault(tell);
    }
}

/// Watches them no longer.
pub fn forget(pool: &RawPool) {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner).retain(|watched| !std::ptr::eq(watched.0, pool));
}

/// What is known of an address that cannot be accessed.
fn tell(address: usize) -> Option<FaultMessage> {
    // Whoever holds the lock may be what this interrupts: no waiting.
    let pools = POOLS.try_lock().ok()?;
    pools.iter().find_map(|watched| {
        // SAFETY: the pool is live, or it would not be in the list. Another thread may be changing it; the process
        // ends either way, with a line or without.
        let misuse = unsafe {
            let pool = &*watched.0;
            large::describe(pool, pool.hardened.as_ref()?, address)?
        };
        Some(FaultMessage::new(format_args!("lua_pool: {misuse}")))
    })
}
