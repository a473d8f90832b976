//! A pool's way to memory: the system or the user's own, and the group's limit and cache if it is in a group.

use core::ptr::NonNull;
use std::sync::Arc;

use super::group::{Cached, GroupStats, PoolGroup, Shared};
use super::layout::CHUNK_SIZE;
use super::recent;
use super::segment::{FIRST_SEGMENT_UNITS, Segment, Segments};
use super::source::Origin;
use crate::os::{self, Move};

/// Where a pool's mappings come from, and who else counts them.
pub struct Memory {
    pub(super) origin: Origin,
    group: Option<Arc<Shared>>,
    /// Units that the group has charged to this pool.
    ///
    /// Identity, for a pool in a group: `charged_units` = used and dirty units, but for the moment between asking
    /// for more and having it.
    pub(super) charged_units: usize,
    /// Calls made so far for memory: map, unmap, remap, purge.
    pub(super) calls: u64,
    /// The group's pressure when this pool last gave way to it.
    pressure_seen: usize,
}

/// A mapping for a new pool.
pub struct First {
    pub base: NonNull<u8>,
    pub units: usize,
    /// Bit u: unit u may be in physical memory.
    pub dirty: u64,
    pub is_zero: bool,
}

impl Memory {
    pub fn new(origin: Origin, group: Option<&PoolGroup>) -> Memory {
        let group = group.map(|group| Arc::clone(&group.0));
        if let Some(group) = &group {
            group.enter();
        }
        let origin = group.as_ref().map_or(origin, |group| group.origin());
        let pressure_seen = group.as_ref().map_or(0, |group| group.pressure());
        Memory { origin, group, charged_units: 0, calls: 0, pressure_seen }
    }

    /// The first segment of a pool. A small buffer may have room for a shorter one only.
    pub fn map_first(&mut self) -> Option<First> {
        if let Some(cached) = self.take_cached(1, FIRST_SEGMENT_UNITS, usize::MAX) {
            let Cached { base, units, dirty } = cached;
            return Some(First { base, units, dirty, is_zero: false });
        }
        if self.is_the_systems_alone()
            && let Some(base) = recent::take()
        {
            return Some(First { base, units: FIRST_SEGMENT_UNITS, dirty: 0, is_zero: false });
        }
        if let Some(group) = &self.group {
            if !group.charge_with_cache(1) {
                group.refuse();
                return None;
            }
            self.charged_units = 1;
        }
        let mut units = FIRST_SEGMENT_UNITS;
        loop {
            match self.map(units) {
                Some(base) => return Some(First { base, units, dirty: 0, is_zero: self.origin.maps_zeros() }),
                None if units > 1 => units /= 2,
                None => return None,
            }
        }
    }

    /// As [`Origin::map`].
    pub fn map(&mut self, units: usize) -> Option<NonNull<u8>> {
        self.calls += 1;
        self.origin.map(units)
    }

    /// As [`Origin::unmap`].
    ///
    /// # Safety
    /// The same.
    pub unsafe fn unmap(&mut self, start: NonNull<u8>, units: usize) {
        self.calls += 1;
        // SAFETY: the caller's promise.
        unsafe { self.origin.unmap(start, units) }
    }

    /// As [`Origin::remap`].
    ///
    /// # Safety
    /// The same.
    pub unsafe fn remap(&mut self, start: NonNull<u8>, old_units: usize, new_units: usize) -> Option<NonNull<u8>> {
        self.calls += 1;
        // SAFETY: the caller's promise.
        unsafe { self.origin.remap(start, old_units, new_units) }
    }

    /// As the system's `move_pages`, for `units` units of memory from the system.
    ///
    /// # Safety
    /// The same.
    pub(super) unsafe fn move_pages(&mut self, from: NonNull<u8>, to: NonNull<u8>, units: usize) -> Move {
        self.calls += 1;
        // SAFETY: the caller's promise.
        unsafe { os::move_pages(from, to, units * CHUNK_SIZE) }
    }

    /// As the system's `purge`, for memory from the system.
    ///
    /// # Safety
    /// The same.
    pub unsafe fn purge(&mut self, start: NonNull<u8>, length: usize) {
        self.calls += 1;
        // SAFETY: the caller's promise.
        unsafe { os::purge(start, length) }
    }

    /// As the system's `populate`, for memory from the system.
    ///
    /// # Safety
    /// The same.
    pub unsafe fn populate(&mut self, start: NonNull<u8>, length: usize) {
        self.calls += 1;
        // SAFETY: the caller's promise.
        unsafe { os::populate(start, length) }
    }

    /// Whether mappings come from the system, and no group counts them.
    pub(super) fn is_the_systems_alone(&self) -> bool {
        matches!(self.origin, Origin::System) && self.group.is_none()
    }

    fn take_cached(&mut self, least: usize, wanted: usize, dirty_most: usize) -> Option<Cached> {
        let cached = self.group.as_ref()?.take(least, wanted, dirty_most)?;
        self.charged_units += cached.dirty.count_ones() as usize;
        Some(cached)
    }

    /// Lets go of a segment: to the group's cache, or else back to where it came from.
    ///
    /// # Safety
    /// `segment` is the descriptor of a segment that nobody uses; its `dirty` is right.
    pub unsafe fn let_go(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise.
        unsafe {
            if !self.keep_cached(segment) {
                let base = NonNull::new_unchecked(Segment::base(segment));
                self.unmap(base, (*segment).units as usize);
            }
        }
    }

    /// Gives a segment to the group's cache, if there is one that takes it.
    ///
    /// # Safety
    /// As [`Memory::let_go`]. If this returns true, the segment is no longer this pool's.
    pub unsafe fn keep_cached(&mut self, segment: *mut Segment) -> bool {
        let Some(group) = &self.group else {
            return false;
        };
        // SAFETY: the caller's promise. The descriptor stays in unit 0, which must be in physical memory for it.
        unsafe {
            let dirty = (*segment).dirty;
            let kept = dirty & 1 != 0 && group.keep(segment);
            if kept {
                self.charged_units -= dirty.count_ones() as usize;
            }
            kept
        }
    }

    pub fn group_stats(&self) -> Option<GroupStats> {
        self.group.as_ref().map(|group| group.stats())
    }

    pub fn in_group(&self) -> bool {
        self.group.is_some()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            group.discharge(self.charged_units);
            group.leave();
        }
    }
}

impl Segments {
    /// Has the group charge for `extra` more units than are used and dirty. Free units go back if that is what it takes:
    /// this pool's, then those in the group's cache.
    pub(super) fn charge(&mut self, extra: usize) -> bool {
        if !self.memory.in_group() {
            return true;
        }
        if !self.try_charge(extra, false) && self.dirty_units > 0 {
            self.purge(0);
        }
        self.try_charge(extra, true)
    }

    fn try_charge(&mut self, extra: usize, with_cache: bool) -> bool {
        let (used, dirty) = (self.used_units, self.dirty_units);
        let memory = &mut self.memory;
        let Some(group) = &memory.group else {
            return true;
        };
        let Some(more) = (used + dirty).checked_add(extra).map(|total| total.saturating_sub(memory.charged_units))
        else {
            return false;
        };
        let charged = if with_cache { group.charge_with_cache(more) } else { group.charge(more) };
        if charged {
            memory.charged_units += more;
        } else if with_cache {
            group.refuse();
        }
        charged
    }

    /// Gives back what the group charged for units that are no longer used or dirty, or were not had after all.
    #[inline]
    pub(super) fn settle(&mut self) {
        if let Some(group) = &self.memory.group {
            let held = self.used_units + self.dirty_units;
            if self.memory.charged_units > held {
                group.discharge(self.memory.charged_units - held);
                self.memory.charged_units = held;
            }
        }
    }

    /// Gives free units back if a pool of the group has met the limit since the last look.
    pub(super) fn yield_to_pressure(&mut self) {
        if let Some(group) = &self.memory.group {
            let pressure = group.pressure();
            if pressure != self.memory.pressure_seen {
                self.memory.pressure_seen = pressure;
                self.purge(0);
            }
        }
    }

    /// Takes a segment with room for `count` units over from the group's cache.
    pub(super) fn adopt_cached(&mut self, count: usize) -> bool {
        if !self.memory.in_group() {
            return false;
        }
        let room = self.limit_units.saturating_sub(self.used_units + self.dirty_units);
        let wanted = self.next_segment_units(count);
        let Some(Cached { base, units, dirty }) = self.memory.take_cached(count, wanted, room) else {
            return false;
        };
        // SAFETY: a whole segment out of the cache, which is nobody else's.
        unsafe { self.add(base.as_ptr(), units, dirty) };
        self.note_peak();
        true
    }

    /// Gives segments with no unit in use to the group's cache until at most `keep` units are dirty here, as long as
    /// it takes them. The rest is for [`Segments::purge`].
    pub(super) fn offer_to_group(&mut self, keep: usize) {
        if !self.memory.in_group() {
            return;
        }
        let mut segment = self.room;
        while !segment.is_null() && self.dirty_units > keep {
            // SAFETY: the room list holds live descriptors; the next one is read before this one may go, and of one
            // that went only its address is used.
            unsafe {
                let next = (*segment).room_next;
                let (units, dirty) = ((*segment).units as usize, (*segment).dirty.count_ones() as usize);
                if (*segment).free == Segment::all_units(units) && dirty <= self.dirty_units - keep {
                    self.unlink(segment);
                    if self.memory.keep_cached(segment) {
                        self.dirty_units -= dirty;
                        self.mapped_units -= units;
                        self.map_changes += 1;
                    } else {
                        self.relink(segment);
                    }
                }
                segment = next;
            }
        }
    }
}
