//! What a host may ask of a running pool: limits, purges, counting over, checks.

use super::books::CountsBefore;
use super::layout::{CHUNK_SIZE, CLASS_COUNT};
use super::purge::PurgeMode;
use super::raw::RawPool;
use crate::lua_alloc::{lua_pool_alloc, lua_pool_alloc_hardened};
use crate::lua_ffi::lua_Alloc;

/// A limit in bytes; `usize::MAX` units are none.
fn in_bytes(units: usize) -> Option<u64> {
    (units != usize::MAX).then(|| (units * CHUNK_SIZE) as u64)
}

impl RawPool {
    /// Sets the hard limit in bytes of used and cached memory; `usize::MAX` is none. Takes effect at the next
    /// request for more; what is in use stays.
    pub fn set_limit_bytes(&mut self, limit: usize) {
        self.segments.limit_units = if limit == usize::MAX { usize::MAX } else { limit / CHUNK_SIZE };
    }

    /// The hard limit in bytes, if there is one.
    pub fn limit_bytes(&self) -> Option<u64> {
        in_bytes(self.segments.limit_units)
    }

    /// The soft limit in bytes, if there is one.
    pub fn soft_limit_bytes(&self) -> Option<u64> {
        in_bytes(self.segments.soft_limit_units())
    }

    /// Sets the soft limit in bytes of memory in use, above which a full collection is asked for; `usize::MAX` is none.
    pub fn set_soft_limit_bytes(&mut self, limit: usize) {
        self.segments.set_soft_limit_units(if limit == usize::MAX { usize::MAX } else { limit / CHUNK_SIZE });
    }

    /// Whether a full collection is asked for, because memory in use is above the soft limit.
    pub fn collection_wanted(&self) -> bool {
        self.segments.collection_wanted
    }

    /// Whether the pool is a hardened one.
    pub fn is_hardened(&self) -> bool {
        !self.hardened.is_null()
    }

    /// The `lua_Alloc` function for this pool.
    pub fn alloc_function(&self) -> lua_Alloc {
        if self.is_hardened() { lua_pool_alloc_hardened } else { lua_pool_alloc }
    }

    /// Starts counting over: allocations, frees, purges, refusals, and the peak. What is live stays counted as live.
    pub fn reset_counts(&mut self) {
        let stats = self.total_stats();
        self.classes.set_counted_before(CountsBefore {
            classes: stats.classes.map(|class| (class.allocations, class.frees)),
            large: (stats.large_allocations, stats.large_frees),
            purged_bytes: stats.purged_bytes,
            memory_calls: stats.memory_calls,
            limit_refusals: stats.limit_refusals,
        });
        self.segments.reset_peak();
    }

    /// Runs the checker after `interval` events of the slow path for every unit in use; 0 turns it off.
    pub fn set_check_interval(&mut self, interval: u32) {
        self.check_interval = interval;
        self.check_countdown = interval;
    }

    /// Sets when free memory goes back to the system.
    pub fn set_purge_mode(&mut self, mode: PurgeMode) {
        self.segments.set_purge_mode(mode);
    }

    /// Gives chunks with no used block, which their classes keep for the next burst, back to the segments.
    fn release_empty_chunks(&mut self) {
        // SAFETY: null, or the layer of this pool.
        if let Some(hardened) = unsafe { self.hardened.as_mut() } {
            hardened.trim();
        }
        for class in 1..CLASS_COUNT {
            let mut header = self.classes[class].queue.head;
            while !header.is_null() {
                // SAFETY: the queue holds live headers; the next one is read before this one may go.
                unsafe {
                    let next = (*header).next;
                    if (*header).used_count() == 0 {
                        self.release_chunk(header);
                    }
                    header = next;
                }
            }
        }
    }

    /// Gives free memory back to the system: free chunks until at most `keep_bytes` of them are left, and all free pages
    /// inside chunks in use. Returns the bytes given back.
    pub fn trim(&mut self, keep_bytes: usize) -> usize {
        self.release_empty_chunks();
        self.segments.purge(keep_bytes / CHUNK_SIZE) * CHUNK_SIZE + self.purge_pages()
    }

    /// To be called after a full collection of the state's: the moment at which most memory is known to be free.
    pub fn full_collection_ended(&mut self) {
        self.release_empty_chunks();
        self.purge_pages_after_collection();
        self.segments.full_collection_ended();
    }
}
