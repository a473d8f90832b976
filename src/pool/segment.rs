//! Segments: ranges of address space from the system, handed out in units of one chunk.
//!
//! A segment has at most 64 units, so that "free" and "free but still in physical memory" are one `u64` each. Its
//! descriptor is a line in the first page of its unit 0, opposite the chunk header's line.

use core::ptr::{self, NonNull};

use super::direct::{SPARE_MAPPINGS_MAX, Spare};
use super::layout::{CHUNK_SIZE, HEADER_COLOR_MASK, HEADER_SIZE, header_of};
use super::memory::{First, Memory};
use super::purge::{PEAK_BUDGET_PART, PurgeMode};
use crate::memory_tools;

/// Units in the largest segment: the bits of a `u64`.
pub(super) const SEGMENT_UNITS_MAX: usize = 64;

/// Units in the first segment: the pool's own unit and three more, enough for a small script.
pub const FIRST_SEGMENT_UNITS: usize = 4;

/// Longest run of units that is taken from a segment; longer large blocks are mappings of their own.
pub const RUN_UNITS_MAX: usize = 32;

/// Unit 0 of a segment starts its blocks here, behind the page with the header and the segment's descriptor.
pub const FIRST_UNIT_START: usize = 4096;

/// A block that has grown out of its place gets one with room for this many times its new size.
const ROOM_TO_GROW: usize = 2;

/// How many segments a search for a run, or for units still in physical memory, looks at.
const SEARCH_MAX: usize = 32;

/// Descriptor of one segment.
///
/// Identity: `dirty` is a subset of `free`; units in use = `units` - popcount(`free`).
#[repr(C, align(64))]
pub struct Segment {
    /// Links of the list of all segments.
    pub(super) next: *mut Segment,
    pub(super) prev: *mut Segment,
    /// Links of the list of segments with a free unit.
    pub(super) room_next: *mut Segment,
    pub(super) room_prev: *mut Segment,
    /// Bit u: unit u is in no use.
    pub(super) free: u64,
    /// Bit u: unit u is free and may still be in physical memory.
    pub(super) dirty: u64,
    pub(super) units: u32,
    pub(super) in_room: u32,
}

const _: () = assert!(size_of::<Segment>() == HEADER_SIZE);

impl Segment {
    /// Where the descriptor of the segment that starts at `base` is: half a page from the header of unit 0.
    pub(super) fn at(base: *mut u8) -> *mut Segment {
        let header = header_of(base);
        let line = (header.addr() + CHUNK_SIZE / 32) & HEADER_COLOR_MASK;
        base.with_addr((base.addr() & !(CHUNK_SIZE - 1)) + line).cast()
    }

    pub(super) fn base(this: *mut Segment) -> *mut u8 {
        this.cast::<u8>().with_addr(this.addr() & !(CHUNK_SIZE - 1))
    }

    pub(super) fn all_units(units: usize) -> u64 {
        u64::MAX >> (SEGMENT_UNITS_MAX - units)
    }
}

/// A walk over segments: base address, number of units, bits of free units.
pub struct SegmentView {
    pub base: *mut u8,
    pub units: usize,
    pub free: u64,
    pub dirty: u64,
}

/// All the segments of a pool, and its books about units.
///
/// Identities: `used_units` = sum of units in use over all segments + `direct_units`; `dirty_units` = sum of
/// popcount(`dirty`) over all segments + units of spare mappings.
pub struct Segments {
    pub(super) memory: Memory,
    pub(super) all: *mut Segment,
    pub(super) room: *mut Segment,
    pub(super) spares: [Spare; SPARE_MAPPINGS_MAX],
    /// Units of [`CHUNK_SIZE`] in use, in segments and in mappings of their own.
    pub used_units: usize,
    /// The part of `used_units` that is mappings of their own.
    pub direct_units: usize,
    /// Free units that may still be in physical memory.
    pub dirty_units: usize,
    /// Units mapped, used or not.
    pub mapped_units: usize,
    /// Largest `used_units + dirty_units` so far.
    pub peak_units: usize,
    /// Largest `used_units` so far.
    pub(super) peak_used_units: usize,
    /// Free units that may go back only so that they make no new peak.
    pub(super) peak_budget_units: usize,
    /// No more than this many units may be used or dirty.
    pub limit_units: usize,
    pub(super) purge_mode: PurgeMode,
    /// Steps of work before the window ends. Time is counted in work, not by a clock: a program that sleeps has
    /// nothing to gain from a purge.
    pub(super) window_left: usize,
    /// Smallest `dirty_units` in this window: what nobody needed.
    pub(super) window_low: usize,
    /// Largest `used_units` since the last full collection.
    pub(super) peak_since_full: usize,
    /// By how much memory in use rose and fell between the last two full collections.
    pub(super) last_swing: usize,
    /// Units whose physical memory was given back, ever.
    pub purged_units: u64,
    /// How often memory was mapped or unmapped, ever.
    pub map_changes: u64,
    /// Above this many used and dirty units, a full collection is asked for.
    pub(super) soft_limit_units: usize,
    /// Where the next collection is asked for: above the soft limit memory in use may grow by an eighth in between.
    pub(super) soft_trigger_units: usize,
    /// A full collection is asked for and has not come yet.
    pub collection_wanted: bool,
    /// Requests that the limit refused, ever.
    pub limit_refusals: u64,
}

impl Segments {
    /// Takes over the segment that [`Memory::map_first`] returned; its unit 0 is in use from the start, for the pool
    /// itself lives there.
    ///
    /// # Safety
    /// `first` is that segment, and `self` is all zero but for `memory`.
    pub unsafe fn adopt_first(&mut self, first: &First) {
        // SAFETY: the caller's promise.
        unsafe { self.add(first.base.as_ptr(), first.units, first.dirty) };
        let segment = Segment::at(first.base.as_ptr());
        // SAFETY: `add` wrote the descriptor and put it into the room list.
        unsafe {
            (*segment).free &= !1;
            (*segment).dirty &= !1;
            self.dirty_units = (*segment).dirty.count_ones() as usize;
            if (*segment).free == 0 {
                self.leave_room(segment);
            }
        }
        self.limit_units = usize::MAX;
        self.set_soft_limit_units(usize::MAX);
        self.used_units = 1;
        self.peak_units = 1 + self.dirty_units;
    }

    /// Address of the segment's descriptor line within its unit 0, for whoever must not step on it.
    pub fn descriptor_offset(base: *mut u8) -> usize {
        Segment::at(base).addr() - base.addr()
    }

    /// # Safety
    /// `base` starts a mapping of `units` units that nobody uses, of which those in `dirty` may be in physical memory.
    pub(super) unsafe fn add(&mut self, base: *mut u8, units: usize, dirty: u64) {
        let segment = Segment::at(base);
        let free = Segment::all_units(units);
        // SAFETY: the descriptor lies in the first page of the mapping the caller promises.
        unsafe {
            segment.write(Segment {
                next: ptr::null_mut(),
                prev: ptr::null_mut(),
                room_next: ptr::null_mut(),
                room_prev: ptr::null_mut(),
                free,
                dirty,
                units: units as u32,
                in_room: 0,
            });
            self.relink(segment);
        }
        self.dirty_units += dirty.count_ones() as usize;
        self.mapped_units += units;
        self.map_changes += 1;
    }

    /// Enters a segment with room into both lists.
    ///
    /// # Safety
    /// `segment` is a live descriptor in neither of them.
    pub(super) unsafe fn relink(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise; the list holds live descriptors only.
        unsafe {
            (*segment).next = self.all;
            (*segment).prev = ptr::null_mut();
            if !self.all.is_null() {
                (*self.all).prev = segment;
            }
            self.all = segment;
            self.enter_room(segment);
        }
    }

    /// Takes a segment with room out of both lists.
    ///
    /// # Safety
    /// `segment` is a live descriptor in both of them.
    pub(super) unsafe fn unlink(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise; neighbours in the list are live descriptors.
        unsafe {
            self.leave_room(segment);
            let (next, prev) = ((*segment).next, (*segment).prev);
            if prev.is_null() {
                self.all = next
            } else {
                (*prev).next = next
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }

    /// # Safety
    /// `segment` is a live descriptor of this pool that is not in the room list.
    unsafe fn enter_room(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise; the list holds live descriptors only.
        unsafe {
            (*segment).room_prev = ptr::null_mut();
            (*segment).room_next = self.room;
            (*segment).in_room = 1;
            if !self.room.is_null() {
                (*self.room).room_prev = segment;
            }
        }
        self.room = segment;
    }

    /// # Safety
    /// `segment` is in the room list.
    pub(super) unsafe fn leave_room(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise; neighbours in the list are live descriptors.
        unsafe {
            let (next, prev) = ((*segment).room_next, (*segment).room_prev);
            if prev.is_null() {
                self.room = next
            } else {
                (*prev).room_next = next
            }
            if !next.is_null() {
                (*next).room_prev = prev;
            }
            (*segment).in_room = 0;
        }
    }

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
        let dirty_first = if self.dirty_units >= count { self.find(count, true) } else { None };
        let dirty_first = match dirty_first {
            None if self.adopt_cached(count) => self.find(count, true),
            found => found,
        };
        let (segment, first) = match dirty_first {
            Some(found) => found,
            None => {
                if !self.within_limit(count) {
                    return None;
                }
                match self.find(count, false) {
                    Some(found) => found,
                    None => {
                        self.map_segment(count)?;
                        self.find(count, false)?
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
            let start = Segment::base(segment).add(first * CHUNK_SIZE);
            let dirty = (*segment).dirty & bits;
            if dirty != bits && !self.memory.origin.restore(NonNull::new_unchecked(start), count) {
                return None;
            }
            // Not the descriptor, which is in use.
            let kept = if first == 0 { FIRST_UNIT_START } else { 0 };
            memory_tools::allow(start.add(kept), count * CHUNK_SIZE - kept);
            (*segment).free &= !bits;
            (*segment).dirty &= !bits;
            self.dirty_units -= dirty.count_ones() as usize;
            if (*segment).free == 0 {
                self.leave_room(segment);
            }
            self.used_units += count;
            self.bound_cache();
            self.note_peak();
            self.window_low = self.window_low.min(self.dirty_units);
            NonNull::new(start).map(|start| (start, first))
        }
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

    /// Starts the peak over from what is used and cached now.
    pub fn reset_peak(&mut self) {
        self.peak_units = self.used_units + self.dirty_units;
    }

    /// Sets the soft limit; `usize::MAX` is none.
    pub fn set_soft_limit_units(&mut self, units: usize) {
        self.soft_limit_units = units;
        self.soft_trigger_units = units;
        self.collection_wanted = self.used_units > units;
    }

    /// The soft limit; `usize::MAX` is none.
    pub fn soft_limit_units(&self) -> usize {
        self.soft_limit_units
    }

    /// A segment with `count` free units in a row, and the first of them; only units in physical memory if `dirty`.
    fn find(&self, count: usize, dirty: bool) -> Option<(*mut Segment, usize)> {
        let mut segment = self.room;
        for _ in 0..SEARCH_MAX {
            if segment.is_null() {
                break;
            }
            // SAFETY: the room list holds live descriptors.
            let (bits, next) = unsafe {
                (if dirty { (*segment).free & (*segment).dirty } else { (*segment).free }, (*segment).room_next)
            };
            let runs = run_starts(bits, count);
            if runs != 0 {
                // Single units come from the top and runs from the bottom, where they can grow in place.
                let first = if count == 1 { runs.ilog2() } else { runs.trailing_zeros() };
                return Some((segment, first as usize));
            }
            segment = next;
        }
        None
    }

    /// A place for `count` units with room to grow behind them; in physical memory, if there is such a one.
    fn find_roomy(&self, count: usize) -> Option<(*mut Segment, usize)> {
        let roomy = (count * ROOM_TO_GROW).min(SEGMENT_UNITS_MAX);
        let mut clean = None;
        let mut segment = self.room;
        for _ in 0..SEARCH_MAX {
            if segment.is_null() {
                break;
            }
            // SAFETY: the room list holds live descriptors.
            let (free, dirty, next) = unsafe { ((*segment).free, (*segment).dirty, (*segment).room_next) };
            let places = run_starts(free, roomy);
            let dirty_places = places & run_starts(free & dirty, count);
            if dirty_places != 0 {
                return Some((segment, dirty_places.trailing_zeros() as usize));
            }
            if places != 0 && clean.is_none() {
                clean = Some((segment, places.trailing_zeros() as usize));
            }
            segment = next;
        }
        clean
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
            match self.memory.origin.map(units) {
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
            let clean = extra - ((*segment).dirty & bits).count_ones() as usize;
            // The limit's own purge may clear `dirty`, so it is read again below.
            if clean > 0 && !self.within_limit(clean) {
                return false;
            }
            let behind = start.add(count * CHUNK_SIZE);
            if clean > 0 && !self.memory.origin.restore(NonNull::new_unchecked(behind), extra) {
                return false;
            }
            memory_tools::allow(behind, extra * CHUNK_SIZE);
            let dirty = ((*segment).dirty & bits).count_ones() as usize;
            (*segment).free &= !bits;
            (*segment).dirty &= !bits;
            self.dirty_units -= dirty;
            if (*segment).free == 0 {
                self.leave_room(segment);
            }
        }
        self.used_units += extra;
        self.bound_cache();
        self.note_peak();
        true
    }

    /// Calls `visit` for each segment.
    pub fn for_each(&self, mut visit: impl FnMut(SegmentView)) {
        let mut segment = self.all;
        while !segment.is_null() {
            // SAFETY: the list holds live descriptors.
            unsafe {
                visit(SegmentView {
                    base: Segment::base(segment),
                    units: (*segment).units as usize,
                    free: (*segment).free,
                    dirty: (*segment).dirty,
                });
                segment = (*segment).next;
            }
        }
    }

    /// Lets go of every segment; the pool itself goes with the one it lives in.
    ///
    /// # Safety
    /// Nobody uses any memory of this pool, nor `self`, any more.
    pub unsafe fn unmap_all(&mut self) {
        self.unmap_spares(0);
        self.settle();
        let mut segment = self.all;
        // SAFETY: `self` lies in one of the segments and is not touched again, nor dropped. The list holds live
        // descriptors; the next one is read before this one goes.
        unsafe {
            let mut memory = ptr::read(&raw const self.memory);
            while !segment.is_null() {
                let next = (*segment).next;
                (*segment).dirty |= !(*segment).free & Segment::all_units((*segment).units as usize);
                memory.let_go(segment);
                segment = next;
            }
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

#[cfg(test)]
mod tests {
    use super::run_starts;

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
