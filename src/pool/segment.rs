//! Segments: ranges of address space from the system, handed out in units of one chunk.
//!
//! A segment has at most 64 units, so that "free" and "free but still in physical memory" are one `u64` each. Its
//! descriptor is a line in the first page of its unit 0, opposite the chunk header's line.

use core::mem;
use core::ptr::{self, NonNull};

use super::direct::{SPARES_MAX, Spare};
use super::layout::{CHUNK_SIZE, HEADER_COLOR_MASK, HEADER_SIZE, header_of};
use super::memory::{First, Memory};
use super::page_moves::PageMoves;
use super::purge::PurgeMode;
use super::recent;

/// Units in the largest segment: the bits of a `u64`.
pub(super) const SEGMENT_UNITS_MAX: usize = 64;

/// Units in the first segment: the pool's own unit and three more, enough for a small script.
pub const FIRST_SEGMENT_UNITS: usize = 4;

/// Unit 0 of a segment starts its blocks here, behind the page with the header and the segment's descriptor.
pub const FIRST_UNIT_START: usize = 4096;

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

/// The runs of set bits of `bits`: the first bit of each, and their number.
pub(super) fn runs(mut bits: u64) -> impl Iterator<Item = (usize, usize)> {
    core::iter::from_fn(move || {
        let first = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        let count = (bits >> first).trailing_ones() as usize;
        bits &= !(Segment::all_units(count) << first);
        Some((first, count))
    })
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
    pub(super) spares: [Spare; SPARES_MAX],
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
    pub(super) page_moves: PageMoves,
}

impl Segments {
    /// Takes over the segment that [`Memory::map_first`] returned; its unit 0 is in use from the start, for the pool
    /// itself lives there.
    ///
    /// # Safety
    /// `first` is that segment, and `self` is all zero but for `memory`.
    #[inline]
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
    pub(super) unsafe fn enter_room(&mut self, segment: *mut Segment) {
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

    /// Lets go of every segment; the pool itself goes with the one it lies in, which is kept for the next pool if
    /// `keep_first` and there is room for it.
    ///
    /// # Safety
    /// Nobody uses any memory of this pool, nor `self`, any more.
    pub unsafe fn unmap_all(&mut self, keep_first: bool) {
        self.unmap_spares(0);
        self.settle();
        mem::take(&mut self.page_moves);
        let keep_first = keep_first && self.purge_mode != PurgeMode::Now && self.memory.is_the_systems_alone();
        let own_unit = ptr::from_ref(self).addr() & !(CHUNK_SIZE - 1);
        let mut segment = self.all;
        // SAFETY: `self` lies in one of the segments and is not touched again, nor dropped. The list holds live
        // descriptors; the next one is read before this one goes.
        unsafe {
            let mut memory = ptr::read(&raw const self.memory);
            while !segment.is_null() {
                let next = (*segment).next;
                (*segment).dirty |= !(*segment).free & Segment::all_units((*segment).units as usize);
                let base = NonNull::new_unchecked(Segment::base(segment));
                let is_first = base.addr().get() == own_unit && (*segment).units as usize == FIRST_SEGMENT_UNITS;
                if !(is_first && keep_first && recent::keep(base, (*segment).dirty & !1)) {
                    memory.let_go(segment);
                }
                segment = next;
            }
        }
    }
}
