//! When free units go back to the system: by windows of allocation work, after full collections, and on demand.

use core::ptr::NonNull;

use super::layout::CHUNK_SIZE;
use super::segment::{FIRST_UNIT_START, Segment, Segments, runs};

/// When free units go back to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum PurgeMode {
    /// After they were not needed for a while, and after a full collection.
    #[default]
    Auto = 0,
    /// Only when trimmed, or when the limit demands it.
    Never = 1,
    /// At once.
    Now = 2,
}

/// Steps of allocation work between two looks at how many free units nobody needed: so many, and so many more for
/// every unit in use. A collector's cycle makes about as much garbage as there is memory in use, which is at most 16
/// steps a unit.
const PURGE_WINDOW_MIN: usize = 1024;
const PURGE_WINDOW_PER_UNIT: usize = 64;

/// Units given back at the end of one window, at most: 4 MiB.
const PURGE_UNITS_MAX: usize = 64;

/// Free units that stay in any case, but for a request or a limit: 256 KiB.
const KEEP_UNITS_MIN: usize = 4;

/// For each unit that memory in use grows beyond its peak, so many free units may go back only to keep it the peak;
pub(super) const PEAK_BUDGET_PART: usize = 2;

/// and one more for so many steps of allocation work.
const PEAK_BUDGET_STEPS: usize = 256;

impl Segments {
    /// Sets when free units go back to the system.
    pub fn set_purge_mode(&mut self, mode: PurgeMode) {
        self.purge_mode = mode;
        if mode == PurgeMode::Now {
            self.purge(0);
        }
    }

    /// Counts a step of allocation work: one refill of an allocation list, or one large block. At the end of a window,
    /// half of the free units that nobody needed in all of it go back, but not many at once: a steady program soon
    /// makes no system call at all, a burst is forgotten step by step, and no frame pays for all of it.
    #[inline]
    pub fn count_work(&mut self) {
        if self.window_left > 0 {
            self.window_left -= 1;
        } else {
            self.end_window();
        }
    }

    #[cold]
    fn end_window(&mut self) {
        // A few units go free and are needed again all the time: no matter for a system call.
        let idle = self.window_low.saturating_sub(KEEP_UNITS_MIN.max(self.used_units / 32));
        let unneeded = idle.div_ceil(2).min(PURGE_UNITS_MAX);
        if unneeded > 0 && self.purge_mode == PurgeMode::Auto {
            self.retire(self.dirty_units - unneeded);
        }
        self.yield_to_pressure();
        self.window_left = PURGE_WINDOW_MIN + PURGE_WINDOW_PER_UNIT * self.used_units;
        let budget = self.peak_budget_units + self.window_left / PEAK_BUDGET_STEPS;
        self.peak_budget_units = budget.min(PEAK_BUDGET_PART * self.peak_used_units);
        self.window_low = self.dirty_units;
    }

    /// Called when memory came fresh from the system, because no free units were of use, nor could their pages be moved
    /// to it: so many of those go back that they make no new peak. A program that needs them again all the time soon
    /// keeps them.
    #[inline]
    pub(super) fn bound_cache(&mut self) {
        let held = self.used_units + self.dirty_units;
        if held > self.peak_units && self.dirty_units > 0 {
            self.bound_cache_to(held);
        }
    }

    #[cold]
    fn bound_cache_to(&mut self, held: usize) {
        let excess = self.dirty_units.min(held - self.peak_units);
        if excess <= self.peak_budget_units && self.purge_mode != PurgeMode::Never {
            let keep = self.dirty_units - excess;
            let purged = self.count_purged(|this| {
                // Spare mappings last: they go whole.
                this.purge_segments(keep);
                this.unmap_spares(keep);
            });
            self.peak_budget_units -= purged.min(self.peak_budget_units);
        }
    }

    /// Notes that a unit went free: nothing to do but in [`PurgeMode::Now`].
    pub(super) fn note_release(&mut self) {
        if self.purge_mode == PurgeMode::Now {
            self.purge(0);
        }
    }

    /// After a full collection of Lua's: what is free now will not be needed soon, except by a program that collects
    /// after each of its rounds and needs as much again. So as much stays as the last two rounds both needed.
    pub fn full_collection_ended(&mut self) {
        self.collection_wanted = false;
        self.soft_trigger_units = self.soft_limit_units.max(self.used_units.saturating_add(self.used_units / 8));
        let swing = self.peak_since_full - self.used_units.min(self.peak_since_full);
        let keep = KEEP_UNITS_MIN.max(self.used_units / 32).max(swing.min(self.last_swing));
        self.last_swing = swing;
        self.peak_since_full = self.used_units;
        if self.purge_mode == PurgeMode::Auto && self.dirty_units > keep {
            self.retire(keep);
        }
        self.window_low = self.dirty_units;
    }

    /// Gives up free units that nobody here needs, until at most `keep` are left: to the group, if there is one that
    /// takes them, or to the system.
    fn retire(&mut self, keep: usize) {
        self.offer_to_group(keep);
        self.purge(keep);
    }

    /// Gives free units back to the system until at most `keep` of them are in physical memory. Segments with no
    /// unit in use are unmapped whole. Returns how many units went.
    pub fn purge(&mut self, keep: usize) -> usize {
        self.count_purged(|this| {
            this.unmap_spares(keep);
            this.purge_segments(keep);
        })
    }

    /// Counts the units that `purge` gives back to the system.
    fn count_purged(&mut self, purge: impl FnOnce(&mut Self)) -> usize {
        let before = self.dirty_units;
        purge(self);
        self.settle();
        let purged = before - self.dirty_units;
        self.purged_units += purged as u64;
        purged
    }

    /// The part of [`Segments::purge`] that is in segments.
    fn purge_segments(&mut self, keep: usize) {
        let mut segment = self.room;
        while !segment.is_null() && self.dirty_units > keep {
            // SAFETY: the room list holds live descriptors; the next one is read before this one may be unmapped.
            unsafe {
                let next = (*segment).room_next;
                let units = (*segment).units as usize;
                let excess = self.dirty_units - keep;
                let dirty = (*segment).dirty.count_ones() as usize;
                if (*segment).free == Segment::all_units(units) && dirty <= excess {
                    self.dirty_units -= dirty;
                    self.unmap_segment(segment);
                } else if self.memory.origin.can_purge() {
                    self.purge_segment(segment, excess);
                }
                segment = next;
            }
        }
    }

    /// # Safety
    /// `segment` is in the room list and has no unit in use.
    pub(super) unsafe fn unmap_segment(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise.
        unsafe {
            self.unlink(segment);
            let units = (*segment).units as usize;
            self.mapped_units -= units;
            self.map_changes += 1;
            self.memory.unmap(NonNull::new_unchecked(Segment::base(segment)), units);
        }
    }

    /// Purges up to `most` dirty units of one segment, runs of them at a time.
    ///
    /// # Safety
    /// `segment` is a live descriptor of this pool.
    unsafe fn purge_segment(&mut self, segment: *mut Segment, most: usize) {
        let mut left = most;
        // SAFETY: the caller's promise. Dirty units are free, so nobody needs what is in them; of unit 0 the first
        // page stays, for it has the descriptor.
        unsafe {
            for (first, run) in runs((*segment).dirty) {
                let count = run.min(left);
                if count == 0 {
                    break;
                }
                let kept = if first == 0 { FIRST_UNIT_START } else { 0 };
                let start = Segment::base(segment).add(first * CHUNK_SIZE + kept);
                self.memory.purge(NonNull::new_unchecked(start), count * CHUNK_SIZE - kept);
                (*segment).dirty &= !(Segment::all_units(count) << first);
                self.dirty_units -= count;
                left -= count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Pool, PurgeMode};

    const UNIT: usize = 64 << 10;

    /// Free bytes in physical memory after a free block of 9 to 10 units was of no use for one of 19 to 20, and how far
    /// that is above the most that was ever in use.
    fn cached_after_misfit(pool: &mut Pool) -> (u64, u64) {
        let shorter = pool.allocate(9 * UNIT);
        // SAFETY: live until now.
        unsafe { pool.free(shorter) };
        let longer = pool.allocate(19 * UNIT);
        pool.verify().expect("the books");
        let stats = pool.stats();
        // SAFETY: live until now.
        unsafe { pool.free(longer) };
        (stats.cached_bytes, stats.peak_bytes - stats.used_bytes)
    }

    #[test]
    fn free_units_that_fit_nothing_make_no_new_peak() {
        let mut pool = Pool::new().expect("memory");
        assert_eq!(cached_after_misfit(&mut pool), (0, 0));

        let mut keeping = Pool::builder().purge_mode(PurgeMode::Never).build().expect("memory");
        assert_eq!(cached_after_misfit(&mut keeping), (10 * UNIT as u64, 10 * UNIT as u64));
    }
}
