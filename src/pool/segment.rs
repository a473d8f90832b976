//! Segments: ranges of address space from the system, handed out in units of one chunk.
//!
//! A segment has at most 64 units, so that "free" and "free but still in physical memory" are one `u64` each. Its
//! descriptor is a line in the first page of its unit 0, opposite the chunk header's line.

use core::ptr::{self, NonNull};

use super::layout::{CHUNK_SIZE, HEADER_COLOR_MASK, HEADER_SIZE, header_of};
use crate::os;

/// Units in the largest segment: the bits of a `u64`.
const SEGMENT_UNITS_MAX: usize = 64;

/// Units in the first segment: the pool's own unit and three more, enough for a small script.
pub const FIRST_SEGMENT_UNITS: usize = 4;

/// Longest run of units that is taken from a segment; longer large blocks are mappings of their own.
pub const RUN_UNITS_MAX: usize = 32;

/// Unit 0 of a segment starts its blocks here, behind the page with the header and the segment's descriptor.
pub const FIRST_UNIT_START: usize = 4096;

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
const PURGE_WINDOW_PER_UNIT: usize = 16;

/// Units given back at the end of one window, at most: 4 MiB.
const PURGE_UNITS_MAX: usize = 64;

/// Free units that stay after a full collection in any case: 256 KiB.
const KEEP_UNITS_MIN: usize = 4;

/// Freed mappings of large blocks that are kept for the next large block, at most.
const SPARE_MAPPINGS_MAX: usize = 4;

/// Spare mappings of this many units in all are kept in any case: 4 MiB.
const SPARE_UNITS_MIN: usize = 64;

/// How many segments a search for a run, or for units still in physical memory, looks at.
const SEARCH_MAX: usize = 32;

/// Descriptor of one segment.
///
/// Identity: `dirty` is a subset of `free`; units in use = `units` - popcount(`free`).
#[repr(C, align(64))]
pub struct Segment {
    /// Links of the list of all segments.
    next: *mut Segment,
    prev: *mut Segment,
    /// Links of the list of segments with a free unit.
    room_next: *mut Segment,
    room_prev: *mut Segment,
    /// Bit u: unit u is in no use.
    free: u64,
    /// Bit u: unit u is free and may still be in physical memory.
    dirty: u64,
    units: u32,
    in_room: u32,
}

const _: () = assert!(size_of::<Segment>() == HEADER_SIZE);

impl Segment {
    /// Where the descriptor of the segment that starts at `base` is: half a page from the header of unit 0.
    fn at(base: *mut u8) -> *mut Segment {
        let header = header_of(base);
        let line = (header.addr() + CHUNK_SIZE / 32) & HEADER_COLOR_MASK;
        base.with_addr((base.addr() & !(CHUNK_SIZE - 1)) + line).cast()
    }

    fn base(this: *mut Segment) -> *mut u8 {
        this.cast::<u8>().with_addr(this.addr() & !(CHUNK_SIZE - 1))
    }

    fn all_units(units: usize) -> u64 {
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

/// A freed mapping of a large block, kept for the next one.
#[derive(Clone, Copy)]
struct Spare {
    start: *mut u8,
    /// 0 in an empty place.
    units: usize,
}

/// All the segments of a pool, and its books about units.
///
/// Identities: `used_units` = sum of units in use over all segments + `direct_units`; `dirty_units` = sum of
/// popcount(`dirty`) over all segments + units of spare mappings.
pub struct Segments {
    all: *mut Segment,
    room: *mut Segment,
    spares: [Spare; SPARE_MAPPINGS_MAX],
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
    /// No more than this many units may be used or dirty.
    pub limit_units: usize,
    purge_mode: PurgeMode,
    /// Steps of work before the window ends. Time is counted in work, not by a clock: a program that sleeps has
    /// nothing to gain from a purge.
    window_left: usize,
    /// Smallest `dirty_units` in this window: what nobody needed.
    window_low: usize,
    /// Largest `used_units` since the last full collection.
    peak_since_full: usize,
    /// By how much memory in use rose and fell between the last two full collections.
    last_swing: usize,
    /// Units whose physical memory was given back, ever.
    pub purged_units: u64,
    /// How often memory was mapped or unmapped, ever.
    pub map_changes: u64,
    /// Above this many used and dirty units, a full collection is asked for.
    soft_limit_units: usize,
    /// Where the next collection is asked for: above the soft limit memory in use may grow by an eighth in between.
    soft_trigger_units: usize,
    /// A full collection is asked for and has not come yet.
    pub collection_wanted: bool,
    /// Requests that the limit refused, ever.
    pub limit_refusals: u64,
}

impl Segments {
    /// Maps the first segment, whose unit 0 is in use from the start: the pool itself lives there.
    pub fn map_first() -> Option<NonNull<u8>> {
        os::map_aligned(FIRST_SEGMENT_UNITS * CHUNK_SIZE, CHUNK_SIZE)
    }

    /// Takes over the segment that [`Segments::map_first`] mapped.
    ///
    /// # Safety
    /// `base` is that mapping, and `self` is all zero.
    pub unsafe fn adopt_first(&mut self, base: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.add(base, FIRST_SEGMENT_UNITS) };
        let segment = Segment::at(base);
        // SAFETY: `add` wrote the descriptor.
        unsafe { (*segment).free &= !1 };
        self.limit_units = usize::MAX;
        self.set_soft_limit_units(usize::MAX);
        self.used_units = 1;
        self.peak_units = 1;
    }

    /// Address of the segment's descriptor line within its unit 0, for whoever must not step on it.
    pub fn descriptor_offset(base: *mut u8) -> usize {
        Segment::at(base).addr() - base.addr()
    }

    /// # Safety
    /// `base` starts a fresh mapping of `units` units.
    unsafe fn add(&mut self, base: *mut u8, units: usize) {
        let segment = Segment::at(base);
        let free = Segment::all_units(units);
        // SAFETY: the descriptor lies in the first page of the mapping the caller promises.
        unsafe {
            segment.write(Segment {
                next: self.all,
                prev: ptr::null_mut(),
                room_next: ptr::null_mut(),
                room_prev: ptr::null_mut(),
                free,
                dirty: 0,
                units: units as u32,
                in_room: 0,
            });
            if !self.all.is_null() {
                (*self.all).prev = segment;
            }
            self.all = segment;
            self.enter_room(segment);
        }
        self.mapped_units += units;
        self.map_changes += 1;
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
    unsafe fn leave_room(&mut self, segment: *mut Segment) {
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
    fn within_limit(&mut self, extra: usize) -> bool {
        let fits = |this: &Self| {
            (this.used_units + this.dirty_units).checked_add(extra).is_some_and(|total| total <= this.limit_units)
        };
        if !fits(self) && self.dirty_units > 0 {
            self.purge(0);
        }
        let fits = fits(self);
        self.limit_refusals += u64::from(!fits);
        fits
    }

    /// Takes `count` (1 to [`RUN_UNITS_MAX`]) units in a row: their start, and the number of the first one in its
    /// segment. `None` when the limit or the system says no.
    pub fn acquire(&mut self, count: usize) -> Option<(NonNull<u8>, usize)> {
        debug_assert!((1..=RUN_UNITS_MAX).contains(&count));
        let dirty_first = if self.dirty_units >= count { self.find(count, true) } else { None };
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
        let bits = Segment::all_units(count) << first;
        // SAFETY: `find` returned a live descriptor with all of `bits` free.
        unsafe {
            let start = Segment::base(segment).add(first * CHUNK_SIZE);
            let dirty = (*segment).dirty & bits;
            if dirty != bits && !os::restore(NonNull::new_unchecked(start), count * CHUNK_SIZE) {
                return None;
            }
            (*segment).free &= !bits;
            (*segment).dirty &= !bits;
            self.dirty_units -= dirty.count_ones() as usize;
            if (*segment).free == 0 {
                self.leave_room(segment);
            }
            self.used_units += count;
            self.note_peak();
            self.window_low = self.window_low.min(self.dirty_units);
            NonNull::new(start).map(|start| (start, first))
        }
    }

    fn note_peak(&mut self) {
        self.peak_units = self.peak_units.max(self.used_units + self.dirty_units);
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
    pub fn count_work(&mut self) {
        if self.window_left > 0 {
            self.window_left -= 1;
            return;
        }
        let unneeded = self.window_low.div_ceil(2).min(PURGE_UNITS_MAX);
        if unneeded > 0 && self.purge_mode == PurgeMode::Auto {
            self.purge(self.dirty_units - unneeded);
        }
        self.window_left = PURGE_WINDOW_MIN + PURGE_WINDOW_PER_UNIT * self.used_units;
        self.window_low = self.dirty_units;
    }

    /// Notes that a unit went free: nothing to do but in [`PurgeMode::Now`].
    fn note_release(&mut self) {
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
            self.purge(keep);
        }
        self.window_low = self.dirty_units;
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

    /// Maps another segment with room for `count` units: as large as all before it together, so that their number
    /// grows with the logarithm of the heap at first.
    fn map_segment(&mut self, count: usize) -> Option<()> {
        let wanted = self.mapped_units.clamp(2 * FIRST_SEGMENT_UNITS, SEGMENT_UNITS_MAX).max(count);
        let mut units = wanted;
        let base = loop {
            match os::map_aligned(units * CHUNK_SIZE, CHUNK_SIZE) {
                Some(base) => break base,
                None if units > count => units = (units / 2).max(count),
                None => return None,
            }
        };
        // SAFETY: mapped just now with this many units.
        unsafe { self.add(base.as_ptr(), units) };
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
            if clean > 0 && !os::restore(NonNull::new_unchecked(behind), extra * CHUNK_SIZE) {
                return false;
            }
            let dirty = ((*segment).dirty & bits).count_ones() as usize;
            (*segment).free &= !bits;
            (*segment).dirty &= !bits;
            self.dirty_units -= dirty;
            if (*segment).free == 0 {
                self.leave_room(segment);
            }
        }
        self.used_units += extra;
        self.note_peak();
        true
    }

    /// A mapping for a large block of its own: a spare one, cut or grown to size, or a new one.
    pub fn map_direct(&mut self, units: usize) -> Option<NonNull<u8>> {
        if let Some(start) = self.reuse_spare(units) {
            return Some(start);
        }
        if !self.within_limit(units) {
            return None;
        }
        let start = os::map_aligned(units.checked_mul(CHUNK_SIZE)?, CHUNK_SIZE)?;
        self.count_direct(0, units);
        Some(start)
    }

    /// The spare mapping that fits `units` best. A smaller one is grown, which moves its pages rather than asking for
    /// new ones.
    fn reuse_spare(&mut self, units: usize) -> Option<NonNull<u8>> {
        let misfit = |spare: &Spare| spare.units.abs_diff(units);
        let best = self.spares.iter_mut().filter(|spare| spare.units > 0).min_by_key(|spare| misfit(spare))?;
        let spare = *best;
        // Too small a part of what is asked for, or too large a whole: keep it for a better fit.
        if spare.units < units / 2 || spare.units / 2 > units {
            return None;
        }
        if spare.units < units && !self.within_limit(units - spare.units) {
            return None;
        }
        // The limit's own purge may have taken the spare away.
        let place = self.spares.iter_mut().find(|place| place.start == spare.start && place.units == spare.units)?;
        place.units = 0;
        self.dirty_units -= spare.units;
        self.mapped_units -= spare.units;
        let (old_length, new_length) = (spare.units * CHUNK_SIZE, units * CHUNK_SIZE);
        // SAFETY: a spare is a whole mapping of this length that nobody uses.
        unsafe {
            let start = NonNull::new_unchecked(spare.start);
            let fitted = if spare.units == units {
                Some(start)
            } else {
                os::remap_aligned(start, old_length, new_length, CHUNK_SIZE)
            };
            if fitted.is_none() {
                os::unmap(start, old_length);
            } else {
                self.count_direct(0, units);
            }
            fitted
        }
    }

    /// Frees a block from [`Segments::map_direct`]: keeps it as a spare while spares are a small part of the pool.
    ///
    /// # Safety
    /// `start` is such a mapping of `units` units, and nobody uses it any more.
    pub unsafe fn unmap_direct(&mut self, start: *mut u8, units: usize) {
        self.count_direct(units, 0);
        let spare_units = self.spare_units();
        let most = SPARE_UNITS_MIN.max(self.used_units / 4);
        if let Some(place) = self.spares.iter_mut().find(|spare| spare.units == 0)
            && spare_units + units <= most
        {
            *place = Spare { start, units };
            self.dirty_units += units;
            self.mapped_units += units;
            self.note_release();
            return;
        }
        // SAFETY: the caller's promise; a mapping does not start at 0.
        unsafe { os::unmap(NonNull::new_unchecked(start), units * CHUNK_SIZE) };
    }

    /// Unmaps spare mappings while more than `keep` units are dirty.
    fn unmap_spares(&mut self, keep: usize) {
        for index in 0..self.spares.len() {
            let Spare { start, units } = self.spares[index];
            if units > 0 && self.dirty_units > keep {
                self.spares[index].units = 0;
                self.dirty_units -= units;
                self.mapped_units -= units;
                // SAFETY: a spare is a whole mapping of this length that nobody uses.
                unsafe { os::unmap(NonNull::new_unchecked(start), units * CHUNK_SIZE) };
            }
        }
    }

    /// Calls `visit` with start and units of each spare mapping.
    pub fn for_each_spare(&self, mut visit: impl FnMut(*mut u8, usize)) {
        self.spares.iter().filter(|spare| spare.units > 0).for_each(|spare| visit(spare.start, spare.units));
    }

    /// Units of spare mappings.
    pub fn spare_units(&self) -> usize {
        self.spares.iter().map(|spare| spare.units).sum()
    }

    /// Changes the length of a block from [`Segments::map_direct`] by moving pages, where the system can.
    ///
    /// # Safety
    /// `start` is such a mapping of `old_units` units.
    pub unsafe fn remap_direct(&mut self, start: *mut u8, old_units: usize, new_units: usize) -> Option<NonNull<u8>> {
        if new_units > old_units && !self.within_limit(new_units - old_units) {
            return None;
        }
        let new_length = new_units.checked_mul(CHUNK_SIZE)?;
        // SAFETY: the caller's promise; a mapping does not start at 0.
        let moved = unsafe {
            os::remap_aligned(NonNull::new_unchecked(start), old_units * CHUNK_SIZE, new_length, CHUNK_SIZE)
        }?;
        self.count_direct(old_units, new_units);
        Some(moved)
    }

    fn count_direct(&mut self, old_units: usize, new_units: usize) {
        self.used_units = self.used_units - old_units + new_units;
        self.direct_units = self.direct_units - old_units + new_units;
        self.mapped_units = self.mapped_units - old_units + new_units;
        self.map_changes += 1;
        self.note_peak();
    }

    /// Gives free units back to the system until at most `keep` of them are in physical memory. Segments with no
    /// unit in use are unmapped whole. Returns how many units went.
    pub fn purge(&mut self, keep: usize) -> usize {
        let before = self.dirty_units;
        self.unmap_spares(keep);
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
                } else {
                    self.purge_segment(segment, excess);
                }
                segment = next;
            }
        }
        let purged = before - self.dirty_units;
        self.purged_units += purged as u64;
        purged
    }

    /// # Safety
    /// `segment` is in the room list and has no unit in use.
    unsafe fn unmap_segment(&mut self, segment: *mut Segment) {
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
            let units = (*segment).units as usize;
            self.mapped_units -= units;
            self.map_changes += 1;
            os::unmap(NonNull::new_unchecked(Segment::base(segment)), units * CHUNK_SIZE);
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
            while (*segment).dirty != 0 && left > 0 {
                let first = (*segment).dirty.trailing_zeros() as usize;
                let run = ((*segment).dirty >> first).trailing_ones() as usize;
                let count = run.min(left);
                let kept = if first == 0 { FIRST_UNIT_START } else { 0 };
                let start = Segment::base(segment).add(first * CHUNK_SIZE + kept);
                os::purge(NonNull::new_unchecked(start), count * CHUNK_SIZE - kept);
                (*segment).dirty &= !(Segment::all_units(count) << first);
                self.dirty_units -= count;
                left -= count;
            }
        }
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

    /// Unmaps every segment; the pool itself goes with the one it lives in.
    ///
    /// # Safety
    /// Nobody uses any memory of this pool, nor `self`, any more.
    pub unsafe fn unmap_all(&mut self) {
        self.unmap_spares(0);
        let mut segment = self.all;
        while !segment.is_null() {
            // SAFETY: the list holds live descriptors; the next one is read before this one is unmapped, and `self`,
            // which lies in one of them, is not touched again.
            unsafe {
                let next = (*segment).next;
                let units = (*segment).units as usize;
                os::unmap(NonNull::new_unchecked(Segment::base(segment)), units * CHUNK_SIZE);
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
