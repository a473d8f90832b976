//! Units of segments: found, taken, made longer in place, and given back.

use core::ptr::NonNull;

use super::layout::CHUNK_SIZE;
use super::purge::PEAK_BUDGET_PART;
use super::segment::{FIRST_SEGMENT_UNITS, FIRST_UNIT_START, SEGMENT_UNITS_MAX, Segment, Segments};
use crate::memory_tools;

/// Longest run of units that is taken from a segment; longer large blocks are mappings of their own.
pub const RUN_UNITS_MAX: usize = 32;

/// A block that has grown out of its place gets one with room for this many times its new size.
const ROOM_TO_GROW: usize = 2;

/// How many segments a search for a run, or for units still in physical memory, looks at.
const SEARCH_MAX: usize = 32;

impl Segments {
    /// Whether `extra` more units of physical memory may be used; gives free units back to the system first if that
    /// is what it takes.
    pub(super) fn within_limit(&mut self, extra: usize) -> bool {
        let fits = |this: &Self| {
            (this.used_units + this.dirty_units).checked_add(extra).is_some_and(|total| total <= this.limit_units)
        };
        if !fits(self) && self.dirty_units > 0 {
            self.purge(0);
        }
        let fits = fits(self) && self.charge(extra);
        self.limit_refusals += u64::from(!fits);
        fits
    }

    /// Takes `count` (1 to [`RUN_UNITS_MAX`]) units in a row: their start, and the number of the first one in its
    /// segment. `None` when the limit or the system says no.
    pub fn acquire(&mut self, count: usize) -> Option<(NonNull<u8>, usize)> {
        debug_assert!((1..=RUN_UNITS_MAX).contains(&count));
        self.yield_to_pressure();
        let acquired = self.acquire_unsettled(count);
        self.settle();
        acquired
    }

    fn acquire_unsettled(&mut self, count: usize) -> Option<(NonNull<u8>, usize)> {
        let dirty_first = if self.dirty_units >= count { self.find_dirty(count) } else { None };
        let dirty_first = match dirty_first {
            None if self.adopt_spare(count) || self.adopt_cached(count) => self.find_dirty(count),
            found => found,
        };
        let (segment, first) = match dirty_first {
            Some(found) => found,
            None => {
                if !self.within_limit(count) {
                    return None;
                }
                match self.find_free(count, count) {
                    Some(found) => found,
                    None => {
                        self.map_segment(count)?;
                        self.find_free(count, count)?
                    }
                }
            }
        };
        self.take(segment, first, count)
    }

    /// As [`Segments::acquire`], for a block that has been growing: where the units behind it are free as well, so
    /// that it can go on growing in place. Takes address space for that where it costs nothing: the system's, with
    /// nobody to share it with.
    pub fn acquire_with_room(&mut self, count: usize) -> Option<(NonNull<u8>, usize)> {
        let total = (self.used_units + self.dirty_units).checked_add(count);
        if self.memory.is_the_systems_alone() && total.is_some_and(|total| total <= self.limit_units) {
            let place = self.find_roomy(count).or_else(|| {
                self.map_segment((count * ROOM_TO_GROW).min(SEGMENT_UNITS_MAX))?;
                self.find_roomy(count)
            });
            if let Some((segment, first)) = place {
                return self.take(segment, first, count);
            }
        }
        self.acquire(count)
    }

    /// Marks the units that a search has found as used.
    fn take(&mut self, segment: *mut Segment, first: usize, count: usize) -> Option<(NonNull<u8>, usize)> {
        let bits = Segment::all_units(count) << first;
        // SAFETY: `find` returned a live descriptor with all of `bits` free.
        unsafe {
            self.claim(segment, bits)?;
            self.window_low = self.window_low.min(self.dirty_units);
            NonNull::new(Segment::base(segment).add(first * CHUNK_SIZE)).map(|start| (start, first))
        }
    }

    /// Marks the units of `bits`, which are free and lie side by side, as used, once they are usable.
    ///
    /// # Safety
    /// `segment` is a live descriptor.
    unsafe fn claim(&mut self, segment: *mut Segment, bits: u64) -> Option<()> {
        let first = bits.trailing_zeros() as usize;
        let count = bits.count_ones() as usize;
        // The descriptor is in use.
        let kept = if first == 0 { FIRST_UNIT_START } else { 0 };
        // SAFETY: the caller's promise, and free units are nobody's.
        unsafe {
            let start = Segment::base(segment).add(first * CHUNK_SIZE + kept);
            let length = count * CHUNK_SIZE - kept;
            let dirty = (*segment).dirty & bits;
            if dirty != bits && !self.memory.origin.restore(NonNull::new_unchecked(start), length) {
                return None;
            }
            memory_tools::allow(start, length);
            (*segment).free &= !bits;
            (*segment).dirty &= !bits;
            self.dirty_units -= dirty.count_ones() as usize;
            self.used_units += count;
            if self.bring_pages_to_units(segment, bits & !dirty).is_err() {
                (*segment).free |= bits;
                (*segment).dirty |= dirty;
                self.dirty_units += dirty.count_ones() as usize;
                self.used_units -= count;
                return None;
            }
            if (*segment).free == 0 {
                self.leave_room(segment);
            }
        }
        self.bound_cache();
        self.note_peak();
        Some(())
    }

    pub(super) fn note_peak(&mut self) {
        self.peak_units = self.peak_units.max(self.used_units + self.dirty_units);
        if self.used_units > self.peak_used_units {
            self.peak_budget_units += PEAK_BUDGET_PART * (self.used_units - self.peak_used_units);
            self.peak_used_units = self.used_units;
        }
        self.peak_since_full = self.peak_since_full.max(self.used_units);
        if self.used_units > self.soft_trigger_units {
            self.collection_wanted = true;
        }
    }

    /// The first segments with room: each with its free units, and those of them in physical memory.
    fn with_room(&self) -> impl Iterator<Item = (*mut Segment, u64, u64)> {
        let mut segment = self.room;
        core::iter::from_fn(move || {
            // SAFETY: null, or a descriptor in the room list, which holds live ones.
            let here = unsafe { segment.as_ref() }?;
            let found = (segment, here.free, here.free & here.dirty);
            segment = here.room_next;
            Some(found)
        })
        .take(SEARCH_MAX)
    }

    /// A segment with `count` units in a row that are free and in physical memory, and the first of them.
    fn find_dirty(&self, count: usize) -> Option<(*mut Segment, usize)> {
        self.with_room().find_map(|(segment, _, dirty)| Some((segment, usual_place(run_starts(dirty, count), count)?)))
    }

    /// A segment with `room` free units in a row, and the first of them: of all such places the one with the most
    /// physical memory in its first `count` units, for what is there already need not be fetched from the system.
    fn find_free(&self, count: usize, room: usize) -> Option<(*mut Segment, usize)> {
        let mut best = None;
        let mut most = 0;
        for (segment, free, dirty) in self.with_room() {
            let mut starts = run_starts(free, room);
            best = best.or_else(|| Some((segment, usual_place(starts, room)?)));
            // What is whole in physical memory was looked for before, so for one unit there is none.
            if best.is_some() && (room == 1 || self.dirty_units == 0) {
                break;
            }
            while starts != 0 && dirty != 0 {
                let first = starts.trailing_zeros() as usize;
                let resident = (dirty & Segment::all_units(count) << first).count_ones() as usize;
                if resident > most {
                    best = Some((segment, first));
                    most = resident;
                }
                starts &= starts - 1;
            }
            if most == count {
                break;
            }
        }
        best
    }

    /// A place for `count` units with room to grow behind them.
    fn find_roomy(&self, count: usize) -> Option<(*mut Segment, usize)> {
        self.find_free(count, (count * ROOM_TO_GROW).min(SEGMENT_UNITS_MAX))
    }

    /// Units of the next segment, which has to have room for `count`: as many as all before it together, so that their
    /// number grows with the logarithm of the heap at first.
    pub(super) fn next_segment_units(&self, count: usize) -> usize {
        self.mapped_units.clamp(2 * FIRST_SEGMENT_UNITS, SEGMENT_UNITS_MAX).max(count)
    }

    /// Maps another segment with room for `count` units.
    fn map_segment(&mut self, count: usize) -> Option<()> {
        let mut units = self.next_segment_units(count);
        let base = loop {
            match self.memory.map(units) {
                Some(base) => break base,
                None if units > count => units = (units / 2).max(count),
                None => return None,
            }
        };
        // SAFETY: mapped just now with this many units.
        unsafe { self.add(base.as_ptr(), units, 0) };
        Some(())
    }

    /// Gives `count` units back; they stay in physical memory until purged.
    ///
    /// # Safety
    /// `start` is the first of `count` units in a row that are in use, unit number `first` of its segment.
    pub unsafe fn release(&mut self, start: *mut u8, first: usize, count: usize) {
        let bits = Segment::all_units(count) << first;
        // SAFETY: the caller's promise puts the segment's base `first` units before `start`.
        unsafe {
            let segment = Segment::at(start.sub(first * CHUNK_SIZE));
            debug_assert!((*segment).free & bits == 0);
            (*segment).free |= bits;
            (*segment).dirty |= bits;
            if (*segment).in_room == 0 {
                self.enter_room(segment);
            }
        }
        self.used_units -= count;
        self.dirty_units += count;
        self.note_release();
    }

    /// Makes a run longer in place by taking the `extra` units behind it, if they are free.
    ///
    /// # Safety
    /// `start` is the first of `count` units in use, unit number `first` of its segment.
    pub unsafe fn extend(&mut self, start: *mut u8, first: usize, count: usize, extra: usize) -> bool {
        // SAFETY: the caller's promise.
        let extended = unsafe { self.extend_unsettled(start, first, count, extra) };
        self.settle();
        extended
    }

    /// # Safety
    /// As [`Segments::extend`].
    unsafe fn extend_unsettled(&mut self, start: *mut u8, first: usize, count: usize, extra: usize) -> bool {
        let end = first + count + extra;
        // SAFETY: the caller's promise puts the segment's base `first` units before `start`.
        unsafe {
            let segment = Segment::at(start.sub(first * CHUNK_SIZE));
            if end > (*segment).units as usize {
                return false;
            }
            let bits = Segment::all_units(extra) << (first + count);
            if (*segment).free & bits != bits {
                return false;
            }
            // The limit's own purge may clear `dirty`: then there must be room for more.
            let clean_units = || extra - ((*segment).dirty & bits).count_ones() as usize;
            let mut clean = 0;
            while clean_units() > clean {
                clean = clean_units();
                if !self.within_limit(clean) {
                    return false;
                }
            }
            self.claim(segment, bits).is_some()
        }
    }
}

/// Bits at which a run of `count` set bits of `bits` starts.
fn run_starts(bits: u64, count: usize) -> u64 {
    let mut starts = bits;
    let mut have = 1;
    while have < count && starts != 0 {
        let step = have.min(count - have);
        starts &= starts >> step;
        have += step;
    }
    starts
}

/// Which of the bits of `starts` a run of `count` units starts at: single units come from the top and runs from the
/// bottom, where they can grow in place.
fn usual_place(starts: u64, count: usize) -> Option<usize> {
    let first = if count == 1 { starts.checked_ilog2() } else { (starts != 0).then(|| starts.trailing_zeros()) };
    first.map(|first| first as usize)
}

#[cfg(test)]
mod tests {
    use super::run_starts;
    use crate::Pool;

    const UNIT: usize = 64 << 10;

    #[test]
    fn a_block_takes_the_place_with_the_most_physical_memory() {
        let mut pool = Pool::new().expect("memory");
        // A block takes a unit more than these, for there is a header.
        let all = pool.allocate(29 * UNIT);
        // SAFETY: each block is live until it is freed, once.
        unsafe {
            pool.free(all);
            let [clean, guard, clean_too, dirty, last] = [9, 1, 5, 5, 1].map(|units| pool.allocate(units * UNIT));
            assert!([guard, clean_too, dirty, last].is_sorted() && clean < guard, "side by side");
            pool.free(clean);
            pool.free(clean_too);
            pool.trim(0);
            pool.free(dirty);
            assert_eq!(pool.stats().cached_bytes, 6 * UNIT as u64);
            // Room enough is at `clean`, too, but there it would all come fresh from the system.
            let block = pool.allocate(9 * UNIT);
            assert!(block > clean_too && block < last);
            assert_eq!(pool.stats().cached_bytes, 0);
            pool.verify().expect("the books");
        }
    }

    #[test]
    fn runs_of_free_units_are_found_where_they_are() {
        assert_eq!(run_starts(0b1, 1), 0b1);
        assert_eq!(run_starts(0b0111_0110, 2), 0b0011_0010);
        assert_eq!(run_starts(0b0111_0110, 3), 0b0001_0000);
        assert_eq!(run_starts(0b0111_0110, 4), 0);
        assert_eq!(run_starts(u64::MAX, 32), u64::MAX >> 31);
        assert_eq!(run_starts(u64::MAX << 32, 32), 1 << 32);
    }
}
