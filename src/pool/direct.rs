//! Large blocks that are mappings of their own, and the freed ones that are kept for the next.

use core::mem;
use core::ptr::NonNull;

use super::layout::CHUNK_SIZE;
use super::purge::PurgeMode;
use super::segment::{Segment, Segments};
use crate::memory_tools;

/// Spare mappings, and parts of them, at most.
pub const SPARES_MAX: usize = 8;

/// Spares of this many units in all are kept in any case: 4 MiB.
const SPARE_UNITS_MIN: usize = 64;

/// So many are kept if with them the pool is no larger than it was lately: 32 MiB, up to which glibc's malloc, too, has
/// the next large block meet memory that is there.
const SPARE_UNITS_MAX: usize = 512;

/// A freed mapping of a large block, or a part of one, kept for the next.
#[derive(Clone, Copy)]
pub struct Spare {
    pub(super) start: *mut u8,
    /// 0 in an empty place.
    pub(super) units: usize,
}

impl Spare {
    fn end(&self) -> *mut u8 {
        self.start.wrapping_add(self.units * CHUNK_SIZE)
    }

    /// Cuts `units` units off its front.
    fn take_front(&mut self, units: usize) -> *mut u8 {
        let start = self.start;
        *self = Spare { start: start.wrapping_add(units * CHUNK_SIZE), units: self.units - units };
        start
    }
}

impl Segments {
    /// A mapping for a large block of its own: out of a spare one, a spare one grown, or a new one.
    pub fn map_direct(&mut self, units: usize) -> Option<NonNull<u8>> {
        let mapped = self.map_direct_unsettled(units);
        self.settle();
        mapped
    }

    fn map_direct_unsettled(&mut self, units: usize) -> Option<NonNull<u8>> {
        if let Some(index) = self.find_spare(units) {
            let start = self.take_spare(index, units);
            self.count_direct(0, units);
            return NonNull::new(start);
        }
        if let Some(start) = self.grow_spare(units) {
            return Some(start);
        }
        if !self.within_limit(units) {
            return None;
        }
        let start = self.memory.map(units)?;
        self.used_units += units;
        // SAFETY: mapped just now, and nobody's yet.
        let brought = unsafe { self.bring_pages(start.as_ptr(), units) };
        self.used_units -= units;
        if brought.is_err() {
            // SAFETY: as above.
            unsafe { self.memory.unmap(start, units) };
            return None;
        }
        self.count_direct(0, units);
        Some(start)
    }

    /// The shortest spare that is long enough, or just as long where mappings cannot be split.
    fn find_spare(&self, units: usize) -> Option<usize> {
        let splits = self.memory.origin.can_split();
        let fits = |index: &usize| {
            let spare = self.spares[*index].units;
            spare == units || (splits && spare > units)
        };
        (0..SPARES_MAX).filter(fits).min_by_key(|&index| self.spares[index].units)
    }

    /// The front of a spare, which is no longer counted then. What is left of it stays.
    fn take_spare(&mut self, index: usize, units: usize) -> *mut u8 {
        let start = self.spares[index].take_front(units);
        self.dirty_units -= units;
        self.mapped_units -= units;
        memory_tools::allow(start, units * CHUNK_SIZE);
        start
    }

    /// A spare that is not long enough, but long enough for its pages to be worth moving, grown.
    fn grow_spare(&mut self, units: usize) -> Option<NonNull<u8>> {
        let longest = self.spares.iter().max_by_key(|spare| spare.units).map_or(0, |spare| spare.units);
        if longest == 0 || longest < units / 2 || longest > units || !self.within_limit(units - longest) {
            return None;
        }
        // The limit's own purge may have taken the spare away.
        let index = self.spares.iter().position(|spare| spare.units == longest)?;
        let start = NonNull::new(self.take_spare(index, longest))?;
        // SAFETY: a spare is nobody's. It may be of more than one mapping, which the system refuses to move.
        unsafe {
            let grown = self.memory.remap(start, longest, units);
            if grown.is_none() {
                self.memory.unmap(start, longest);
            } else {
                self.count_direct(0, units);
            }
            grown
        }
    }

    /// Frees a block from [`Segments::map_direct`].
    ///
    /// # Safety
    /// `start` is such a mapping of `units` units, and nobody uses it any more.
    pub unsafe fn unmap_direct(&mut self, start: *mut u8, units: usize) {
        self.count_direct(units, 0);
        // SAFETY: the caller's promise.
        unsafe { self.spare_or_unmap(Spare { start, units }) };
    }

    /// Keeps a mapping that is not counted any more as a spare while spares are a small part of the pool, or the pool
    /// is no larger than it was lately.
    ///
    /// # Safety
    /// Nobody uses it.
    unsafe fn spare_or_unmap(&mut self, freed: Spare) {
        let lately = self.peak_since_full.saturating_sub(self.used_units).min(SPARE_UNITS_MAX);
        let most = lately.max(SPARE_UNITS_MIN).max(self.used_units / 4);
        if self.spare_units() + freed.units > most {
            // SAFETY: the caller's promise.
            unsafe { self.unmap_spare(freed) };
            self.settle();
            return;
        }
        self.dirty_units += freed.units;
        self.mapped_units += freed.units;
        let joined = self.join_neighbours(freed);
        // An empty place, or else the shortest spare's.
        if let Some(shortest) = self.spares.iter_mut().min_by_key(|spare| spare.units) {
            let replaced = mem::replace(shortest, joined);
            if replaced.units > 0 {
                self.dirty_units -= replaced.units;
                self.mapped_units -= replaced.units;
                // SAFETY: a spare is nobody's, and this one is in no place any more.
                unsafe { self.unmap_spare(replaced) };
                self.settle();
            }
        }
        self.note_release();
    }

    /// Takes the spares that lie next to `freed` out of their places and makes one of all.
    fn join_neighbours(&mut self, mut freed: Spare) -> Spare {
        if self.memory.origin.can_split() {
            for spare in self.spares.iter_mut().filter(|spare| spare.units > 0) {
                if spare.end() == freed.start {
                    freed = Spare { start: spare.start, units: spare.units + freed.units };
                    spare.units = 0;
                } else if freed.end() == spare.start {
                    freed.units += mem::take(&mut spare.units);
                }
            }
        }
        freed
    }

    /// Makes spares of the segments that are free and in physical memory as a whole, where they start at `end` or lie
    /// next to a spare: most were the end of it once.
    fn join_segments(&mut self, end: *mut u8) {
        if !self.memory.origin.can_split() || self.purge_mode == PurgeMode::Now {
            return;
        }
        let mut segment = self.room;
        while !segment.is_null() {
            // SAFETY: the room list holds live descriptors; the next one is read before this one goes, and no other goes.
            unsafe {
                let next = (*segment).room_next;
                let all = Spare { start: Segment::base(segment), units: (*segment).units as usize };
                let is_neighbour =
                    |spare: &Spare| spare.units > 0 && (spare.end() == all.start || all.end() == spare.start);
                let is_free = (*segment).dirty == Segment::all_units(all.units);
                if is_free && (all.start == end || self.spares.iter().any(is_neighbour)) {
                    self.unlink(segment);
                    self.dirty_units -= all.units;
                    self.mapped_units -= all.units;
                    self.spare_or_unmap(all);
                }
                segment = next;
            }
        }
    }

    /// # Safety
    /// `spare` is nobody's, and is not counted any more.
    unsafe fn unmap_spare(&mut self, spare: Spare) {
        // SAFETY: the caller's promise; a mapping does not start at 0.
        unsafe { self.memory.unmap(NonNull::new_unchecked(spare.start), spare.units) };
    }

    /// Unmaps spares, or their ends where mappings can be split, while more than `keep` units are dirty.
    pub(super) fn unmap_spares(&mut self, keep: usize) {
        let splits = self.memory.origin.can_split();
        for index in 0..SPARES_MAX {
            let Spare { start, units } = self.spares[index];
            let excess = self.dirty_units.saturating_sub(keep).min(units);
            if excess > 0 {
                let left = if splits { units - excess } else { 0 };
                self.spares[index].units = left;
                self.dirty_units -= units - left;
                self.mapped_units -= units - left;
                let end = Spare { start: start.wrapping_add(left * CHUNK_SIZE), units: units - left };
                // SAFETY: a spare is nobody's, and this part is in no place any more.
                unsafe { self.unmap_spare(end) };
            }
        }
    }

    /// Makes a segment with room for `count` units of the end of a spare, whose front may be behind a block that grows.
    pub(super) fn adopt_spare(&mut self, count: usize) -> bool {
        let Some(index) = self.find_spare(count).filter(|_| self.memory.origin.can_split()) else {
            return false;
        };
        let spare = self.spares[index];
        let units = self.next_segment_units(count).min(spare.units);
        self.spares[index].units -= units;
        let start = self.spares[index].end();
        self.dirty_units -= units;
        self.mapped_units -= units;
        memory_tools::allow(start, units * CHUNK_SIZE);
        // SAFETY: a spare is nobody's, and this part is in no place any more.
        unsafe { self.add(start, units, Segment::all_units(units)) };
        true
    }

    /// Calls `visit` with start and units of each spare mapping.
    pub fn for_each_spare(&self, mut visit: impl FnMut(*mut u8, usize)) {
        self.spares.iter().filter(|spare| spare.units > 0).for_each(|spare| visit(spare.start, spare.units));
    }

    /// Units of spare mappings.
    pub fn spare_units(&self) -> usize {
        self.spares.iter().map(|spare| spare.units).sum()
    }

    /// Changes the length of a block from [`Segments::map_direct`] where it is, or by moving pages where the system can.
    /// `None` when it has to be copied, or the limit says no.
    ///
    /// # Safety
    /// `start` is such a mapping of `old_units` units.
    pub unsafe fn remap_direct(&mut self, start: *mut u8, old_units: usize, new_units: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let moved = unsafe {
            if new_units > old_units {
                self.lengthen_direct(start, old_units, new_units)
            } else {
                self.shorten_direct(start, old_units, new_units)
            }
        };
        self.settle();
        moved
    }

    /// Units of the spare that starts at `end`, where a block before it can have them.
    fn spare_units_at(&self, end: *mut u8) -> usize {
        let behind = self.spares.iter().find(|spare| spare.units > 0 && spare.start == end);
        behind.filter(|_| self.memory.origin.can_split()).map_or(0, |spare| spare.units)
    }

    /// # Safety
    /// As [`Segments::remap_direct`].
    unsafe fn lengthen_direct(&mut self, start: *mut u8, old_units: usize, new_units: usize) -> Option<NonNull<u8>> {
        let extra = new_units - old_units;
        let end = start.wrapping_add(old_units * CHUNK_SIZE);
        if self.spare_units_at(end) < extra {
            self.join_segments(end);
        }
        let behind_units = self.spare_units_at(end).min(extra);
        // Copying into memory that is there costs less than as much new memory.
        if extra - behind_units > old_units / 2 && self.find_spare(new_units).is_some() {
            return None;
        }
        if !self.within_limit(extra - behind_units) {
            return None;
        }
        if behind_units > 0 {
            // The limit's own purge may have taken the spare away.
            let is_there = |spare: &Spare| spare.start == end && spare.units >= behind_units;
            let index = self.spares.iter().position(is_there)?;
            self.take_spare(index, behind_units);
        }
        self.count_direct(old_units, old_units + behind_units);
        if behind_units == extra {
            return NonNull::new(start);
        }
        // SAFETY: the caller's promise; a mapping does not start at 0. What was behind it is of the same mapping, or the
        // system refuses.
        let moved = unsafe { self.memory.remap(NonNull::new_unchecked(start), old_units + behind_units, new_units) };
        if moved.is_some() {
            self.count_direct(old_units + behind_units, new_units);
        } else if behind_units > 0 {
            // SAFETY: taken above.
            unsafe { self.unmap_direct(end, behind_units) };
        }
        moved
    }

    /// # Safety
    /// As [`Segments::remap_direct`].
    unsafe fn shorten_direct(&mut self, start: *mut u8, old_units: usize, new_units: usize) -> Option<NonNull<u8>> {
        if !self.memory.origin.can_split() {
            return None;
        }
        self.count_direct(old_units, new_units);
        let cut = Spare { start: start.wrapping_add(new_units * CHUNK_SIZE), units: old_units - new_units };
        // SAFETY: the caller's promise: the block ends before it.
        unsafe { self.spare_or_unmap(cut) };
        NonNull::new(start)
    }

    fn count_direct(&mut self, old_units: usize, new_units: usize) {
        self.used_units = self.used_units - old_units + new_units;
        self.direct_units = self.direct_units - old_units + new_units;
        self.mapped_units = self.mapped_units - old_units + new_units;
        self.map_changes += 1;
        self.bound_cache();
        self.note_peak();
        self.window_low = self.window_low.min(self.dirty_units);
    }
}

#[cfg(test)]
mod tests {
    use crate::os::MAPPINGS_SPLIT;
    use crate::{Pool, PurgeMode};

    const UNIT: usize = 64 << 10;

    /// A pool that had a block of 255 to 256 units, which was freed.
    fn pool_with_a_spare() -> Pool {
        let mut pool = Pool::builder().purge_mode(PurgeMode::Never).build().expect("memory");
        let block = pool.allocate(255 * UNIT);
        assert!(!block.is_null());
        // SAFETY: live until now.
        unsafe { pool.free(block) };
        assert_eq!(pool.stats().cached_bytes, 256 * UNIT as u64);
        pool
    }

    #[test]
    fn a_block_grows_into_what_an_earlier_one_left_without_a_call() {
        if !MAPPINGS_SPLIT {
            return;
        }
        let mut pool = pool_with_a_spare();
        let before = pool.stats();
        let block = pool.allocate(40 * UNIT);
        let mut size = 40 * UNIT;
        while size < 255 * UNIT {
            let longer = size + 43 * UNIT;
            // SAFETY: live, and of this size.
            let same = unsafe { pool.reallocate(block, longer) };
            assert_eq!(same, block, "at {longer} bytes");
            pool.verify().expect("the books");
            size = longer;
        }
        let after = pool.stats();
        assert_eq!((after.memory_calls, after.peak_bytes), (before.memory_calls, before.peak_bytes));
        assert_eq!(after.cached_bytes, 0);
        // SAFETY: live until now.
        unsafe { pool.free(block) };
        pool.verify().expect("the books");
    }

    #[test]
    fn shorter_large_blocks_and_chunks_use_a_spare_too() {
        if !MAPPINGS_SPLIT {
            return;
        }
        let mut pool = pool_with_a_spare();
        let before = pool.stats();
        let mut blocks: Vec<*mut u8> = (0..20).map(|_| pool.allocate(4 * UNIT)).collect();
        blocks.extend((0..400).map(|_| pool.allocate(8000)));
        assert!(blocks.iter().all(|block| !block.is_null()));
        let after = pool.stats();
        assert_eq!((after.memory_calls, after.peak_bytes), (before.memory_calls, before.peak_bytes));
        pool.verify().expect("the books");
        // SAFETY: live until now.
        blocks.into_iter().for_each(|block| unsafe { pool.free(block) });
        pool.verify().expect("the books");
    }

    #[test]
    fn a_free_segment_between_a_block_and_its_room_is_grown_into() {
        if !MAPPINGS_SPLIT {
            return;
        }
        let mut pool = pool_with_a_spare();
        let before = pool.stats();
        // Its end becomes a segment.
        let run = pool.allocate(20 * UNIT);
        let block = pool.allocate(40 * UNIT);
        // SAFETY: live until now.
        unsafe { pool.free(run) };
        // SAFETY: live, and of this size.
        let same = unsafe { pool.reallocate(block, 255 * UNIT) };
        assert_eq!(same, block);
        pool.verify().expect("the books");
        let after = pool.stats();
        assert_eq!((after.memory_calls, after.peak_bytes), (before.memory_calls, before.peak_bytes));
        // SAFETY: live until now.
        unsafe { pool.free(block) };
    }

    #[test]
    fn freed_neighbours_become_one_spare_and_go_back_in_parts() {
        let mut pool = pool_with_a_spare();
        let blocks = [(); 3].map(|()| pool.allocate(60 * UNIT));
        for block in [blocks[0], blocks[2], blocks[1]] {
            // SAFETY: live until now.
            unsafe { pool.free(block) };
            pool.verify().expect("the books");
        }
        let cached = pool.stats().cached_bytes;
        assert!(cached <= 256 * UNIT as u64);
        if MAPPINGS_SPLIT {
            assert_eq!(cached, 256 * UNIT as u64);
            let calls = pool.stats().memory_calls;
            let whole = pool.allocate(255 * UNIT);
            assert_eq!(pool.stats().memory_calls, calls);
            // SAFETY: live until now.
            unsafe { pool.free(whole) };
            pool.trim(100 * UNIT);
            assert_eq!(pool.stats().cached_bytes, 100 * UNIT as u64);
        }
        pool.trim(0);
        assert_eq!(pool.stats().cached_bytes, 0);
        pool.verify().expect("the books");
    }

    #[test]
    fn what_the_pool_never_held_lately_is_not_kept() {
        let mut pool = Pool::new().expect("memory");
        let block = pool.allocate(1023 * UNIT);
        // SAFETY: live until now.
        unsafe { pool.free(block) };
        assert_eq!(pool.stats().cached_bytes, 0, "64 MiB are more than is kept");
        pool.verify().expect("the books");
    }
}
