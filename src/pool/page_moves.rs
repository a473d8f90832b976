//! Physical memory of free units moved to where it is needed, by changing page tables.
//!
//! When a request fits no free units that are in physical memory, what it gets comes fresh from the system: pages that
//! are cleared and fetched one fault at a time. Where the pool would grow beyond its peak by that, pages of free units
//! elsewhere are moved into the fresh ones instead. To the system, each moved run may be a mapping of its own from then
//! on, of which a process has some 65,000 at most.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::layout::CHUNK_SIZE;
use super::purge::PurgeMode;
use super::segment::{Segment, Segments, runs};
use crate::os::Move;

/// Runs that the pools of a process may have moved, at most. Each may make two mappings more; Linux allows 65,530 unless
/// told otherwise (vm.max_map_count).
const MOVED_RUNS_MAX: usize = 16 << 10;

/// The sum of [`PageMoves::runs`] over all pools.
static MOVED_RUNS: AtomicUsize = AtomicUsize::new(0);

/// What a pool knows of moves made so far.
#[derive(Default)]
pub struct PageMoves {
    /// Runs moved, but no more than there were units: runs begin and end with units, so there are no more mappings.
    runs: usize,
    /// The system cannot do it.
    refused: bool,
}

impl Drop for PageMoves {
    fn drop(&mut self) {
        MOVED_RUNS.fetch_sub(self.runs, Ordering::Relaxed);
    }
}

/// A range of fresh units that is not mapped any more, for a move failed half way: it must be restored before it is used.
pub struct Gap;

impl Segments {
    /// As [`Segments::bring_pages`], for the units of `fresh` in a segment.
    ///
    /// # Errors
    /// [`Gap`] as there; none of the units is in physical memory then.
    ///
    /// # Safety
    /// The units are nobody's yet, and hold nothing.
    pub(super) unsafe fn bring_pages_to_units(&mut self, segment: *mut Segment, fresh: u64) -> Result<(), Gap> {
        // Unit 0 has the descriptor.
        for (first, count) in runs(fresh & !1) {
            // SAFETY: the caller's promise.
            unsafe {
                let start = Segment::base(segment).add(first * CHUNK_SIZE);
                if let Err(gap) = self.bring_pages(start, count) {
                    for (first, count) in runs(fresh & !1) {
                        let start = Segment::base(segment).add(first * CHUNK_SIZE);
                        self.memory.purge(NonNull::new_unchecked(start), count * CHUNK_SIZE);
                    }
                    return Err(gap);
                }
            }
        }
        Ok(())
    }

    /// Moves pages of free units into `units` fresh ones at `start`, which are counted as used already, as far as with
    /// them the pool is larger than it ever was.
    ///
    /// # Errors
    /// [`Gap`] if a part of the fresh units is no longer mapped.
    ///
    /// # Safety
    /// The units are nobody's yet, and hold nothing.
    pub(super) unsafe fn bring_pages(&mut self, start: *mut u8, units: usize) -> Result<(), Gap> {
        let most = self.units_to_bring(units);
        if most == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe {
            let left = self.move_from_segments(start, most)?;
            self.move_from_spares(start.add((most - left) * CHUNK_SIZE), left)
        }
    }

    /// How many of `units` fresh units should get their pages from others.
    fn units_to_bring(&self, units: usize) -> usize {
        let excess = (self.used_units + self.dirty_units).saturating_sub(self.peak_units);
        let can_move = self.memory.origin.can_split() && !self.page_moves.refused;
        if can_move && self.purge_mode != PurgeMode::Never { excess.min(units).min(self.dirty_units) } else { 0 }
    }

    /// Returns how many of `most` units could not be moved.
    ///
    /// # Safety
    /// As [`Segments::bring_pages`].
    unsafe fn move_from_segments(&mut self, mut to: *mut u8, most: usize) -> Result<usize, Gap> {
        let mut left = most;
        let mut segment = self.room;
        // SAFETY: the room list holds live descriptors. Dirty units are free, so nobody needs what is in them; unit 0
        // stays, for it has the descriptor.
        unsafe {
            while !segment.is_null() && left > 0 {
                let mut dirty = (*segment).dirty & !1;
                let mut longest = usize::MAX;
                while left > 0 {
                    let Some((first, run)) = runs(dirty).next() else { break };
                    let count = run.min(left).min(longest);
                    let from = Segment::base(segment).add(first * CHUNK_SIZE);
                    if self.move_run(from, to, count)? {
                        let moved = Segment::all_units(count) << first;
                        (*segment).dirty &= !moved;
                        dirty &= !moved;
                        self.dirty_units -= count;
                        to = to.add(count * CHUNK_SIZE);
                        left -= count;
                    } else if self.page_moves.refused {
                        return Ok(left);
                    } else if count > 1 {
                        // Its units were moved here from several places.
                        longest = 1;
                    } else {
                        dirty &= dirty - 1;
                    }
                }
                let next = (*segment).room_next;
                // What is left of a segment with no unit in use is of no more use than fresh memory.
                if (*segment).dirty & !1 == 0 && (*segment).free == Segment::all_units((*segment).units as usize) {
                    self.dirty_units -= (*segment).dirty.count_ones() as usize;
                    self.unmap_segment(segment);
                }
                segment = next;
            }
        }
        Ok(left)
    }

    /// # Safety
    /// As [`Segments::bring_pages`].
    unsafe fn move_from_spares(&mut self, mut to: *mut u8, mut left: usize) -> Result<(), Gap> {
        for index in 0..self.spares.len() {
            let mut longest = usize::MAX;
            while left > 0 && self.spares[index].units > 0 && !self.page_moves.refused {
                let spare = self.spares[index];
                let count = spare.units.min(left).min(longest);
                let from = spare.start.wrapping_add((spare.units - count) * CHUNK_SIZE);
                // SAFETY: the caller's promise; a spare is nobody's.
                if unsafe { self.move_run(from, to, count)? } {
                    // SAFETY: as above, and it is cut off the spare.
                    unsafe { self.memory.unmap(NonNull::new_unchecked(from), count) };
                    self.spares[index].units -= count;
                    self.dirty_units -= count;
                    self.mapped_units -= count;
                    to = to.wrapping_add(count * CHUNK_SIZE);
                    left -= count;
                } else if count > 1 {
                    longest = 1;
                } else {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Moves the pages of `count` units; false if they stay where they are.
    ///
    /// # Safety
    /// Neither the units at `from` nor those at `to` are anybody's.
    unsafe fn move_run(&mut self, from: *mut u8, to: *mut u8, count: usize) -> Result<bool, Gap> {
        if !self.page_moves.note_run(self.mapped_units) {
            return Ok(false);
        }
        // SAFETY: the caller's promise; no mapping starts at 0.
        let moved = unsafe {
            let (from, to) = (NonNull::new_unchecked(from), NonNull::new_unchecked(to));
            self.memory.move_pages(from, to, count)
        };
        match moved {
            Move::Done => Ok(true),
            Move::Failed => Ok(false),
            Move::Unsupported => {
                self.page_moves.refused = true;
                Ok(false)
            }
            Move::FailedWithGap => Err(Gap),
        }
    }
}

impl PageMoves {
    /// Counts a run, if the process may have one more; `mapped_units` is the number of units of this pool.
    fn note_run(&mut self, mapped_units: usize) -> bool {
        if self.runs < mapped_units {
            if MOVED_RUNS.fetch_add(1, Ordering::Relaxed) >= MOVED_RUNS_MAX {
                MOVED_RUNS.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
            self.runs += 1;
        }
        true
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::{Pool, faults};

    const UNIT: usize = 64 << 10;

    /// A pool with blocks, full of their numbers, between which there are free runs of 4 units in physical memory.
    fn pool_with_free_runs(runs: u8) -> (Pool, Vec<*mut u8>) {
        let mut pool = Pool::new().expect("memory");
        let length = 3 * UNIT + 100;
        let mut blocks: Vec<*mut u8> = (0..2 * runs).map(|_| pool.allocate(length)).collect();
        for (number, block) in (0..).zip(&blocks) {
            assert!(!block.is_null());
            // SAFETY: a block of this length.
            unsafe { block.write_bytes(number, length) };
        }
        let freed: Vec<*mut u8> = blocks.iter().copied().step_by(2).collect();
        blocks = blocks.into_iter().skip(1).step_by(2).collect();
        // SAFETY: live until now.
        freed.into_iter().for_each(|block| unsafe { pool.free(block) });
        (pool, blocks)
    }

    fn expect_untouched(pool: &Pool, blocks: &[*mut u8]) {
        pool.verify().expect("the books");
        for (number, block) in (0..).zip(blocks) {
            let expected = [2 * number + 1; 3 * UNIT + 100];
            // SAFETY: a live block of this length.
            assert!(unsafe { core::slice::from_raw_parts(*block, expected.len()) } == expected);
        }
    }

    #[test]
    fn a_block_that_fits_nowhere_gets_the_pages_of_free_units() {
        // A run in a segment, and a mapping of its own.
        for units in [16, 40] {
            let (mut pool, blocks) = pool_with_free_runs(10);
            let before = (pool.stats(), pool.resident_bytes());
            assert!(before.0.cached_bytes >= 40 * UNIT as u64);
            let block = pool.allocate((units - 1) * UNIT);
            let after = (pool.stats(), pool.resident_bytes());
            assert!(!block.is_null());
            assert_eq!(after.0.peak_bytes, before.0.peak_bytes);
            assert_eq!(before.0.cached_bytes - after.0.cached_bytes, (units * UNIT) as u64);
            // The first unit of a segment keeps its pages, or gives them back.
            let left_behind = after.0.purged_bytes - before.0.purged_bytes;
            assert!(left_behind <= 3 * UNIT as u64, "{left_behind} bytes were given back");
            let [was, is] = [before.1, after.1].map(|bytes| bytes.expect("a count"));
            let all_came = was - left_behind..=was + 4096;
            assert!(all_came.contains(&is), "{was} bytes in physical memory before, {is} after");
            expect_untouched(&pool, &blocks);
        }
    }

    #[test]
    fn pages_that_were_moved_can_be_moved_again() {
        let (mut pool, blocks) = pool_with_free_runs(16);
        let peak = pool.stats().peak_bytes;
        for round in 0..40 {
            let lengths = [5, 9, 11, 7].map(|units| (units + round % 4) * UNIT);
            let mut live = lengths.map(|length| pool.allocate(length));
            for (block, length) in live.into_iter().zip(lengths) {
                // SAFETY: a block of this length.
                unsafe { block.write_bytes(0xEE, length) };
            }
            live.rotate_left(round % 4);
            // SAFETY: live until now.
            live.into_iter().for_each(|block| unsafe { pool.free(block) });
            expect_untouched(&pool, &blocks);
        }
        let after = pool.stats();
        assert_eq!(after.peak_bytes, peak, "64 free units are enough for all");
        assert!(after.mapped_bytes <= 2 * peak, "{} bytes are mapped", after.mapped_bytes);
    }

    #[test]
    fn segments_whose_pages_were_moved_do_not_pile_up() {
        let mut pool = Pool::new().expect("memory");
        let mut mapped = Vec::new();
        let mut last = [core::ptr::null_mut::<u8>(); 2];
        for round in 0..40 {
            let mut array = pool.allocate(UNIT);
            let mut hash = pool.allocate(UNIT);
            let mut length = UNIT;
            while length < 32 * UNIT {
                length *= 2;
                // SAFETY: live blocks of these lengths until they are freed.
                unsafe {
                    array = pool.reallocate(array, length);
                    let new = pool.allocate(length + length / 2);
                    pool.free(hash);
                    hash = new;
                }
                let mut small = [(); 300].map(|()| pool.allocate(1000));
                small.rotate_left(round);
                // SAFETY: live until now.
                small.into_iter().for_each(|block| unsafe { pool.free(block) });
            }
            // A collector comes to the last round's blocks when there are new ones.
            for block in last.into_iter().filter(|block| !block.is_null()) {
                // SAFETY: live until now.
                unsafe { pool.free(block) };
            }
            last = [array, hash];
            pool.verify().expect("the books");
            mapped.push(pool.stats().mapped_bytes / UNIT as u64);
        }
        assert!(mapped[39] <= mapped[2] * 3 / 2, "units mapped after each round: {mapped:?}");
    }

    #[test]
    fn a_move_that_fails_loses_nothing() {
        for units in [16, 40] {
            let mut failed = 0;
            for first in 0..8 {
                for count in 1..=3 {
                    let (mut pool, blocks) = pool_with_free_runs(10);
                    faults::start();
                    faults::fail_calls(first..first + count);
                    let block = pool.allocate((units - 1) * UNIT);
                    failed += faults::stop().failed;
                    expect_untouched(&pool, &blocks);
                    let again = pool.allocate((units - 1) * UNIT);
                    assert!(!again.is_null());
                    for block in [block, again].into_iter().filter(|block| !block.is_null()) {
                        // SAFETY: a live block of this length.
                        unsafe { block.write_bytes(0xEE, (units - 1) * UNIT) };
                    }
                    expect_untouched(&pool, &blocks);
                }
            }
            assert!(failed >= 12, "{failed} calls failed");
        }
    }
}
