//! Large blocks that are mappings of their own, and the few freed ones that are kept for the next.

use core::ptr::NonNull;

use super::layout::CHUNK_SIZE;
use super::segment::Segments;
use crate::memory_tools;

/// Freed mappings of large blocks that are kept for the next large block, at most.
pub const SPARE_MAPPINGS_MAX: usize = 4;

/// Spare mappings of this many units in all are kept in any case: 4 MiB.
const SPARE_UNITS_MIN: usize = 64;

/// A freed mapping of a large block, kept for the next one.
#[derive(Clone, Copy)]
pub struct Spare {
    pub(super) start: *mut u8,
    /// 0 in an empty place.
    pub(super) units: usize,
}

impl Segments {
    /// A mapping for a large block of its own: a spare one, cut or grown to size, or a new one.
    pub fn map_direct(&mut self, units: usize) -> Option<NonNull<u8>> {
        let mapped = self.map_direct_unsettled(units);
        self.settle();
        mapped
    }

    fn map_direct_unsettled(&mut self, units: usize) -> Option<NonNull<u8>> {
        if let Some(start) = self.reuse_spare(units) {
            return Some(start);
        }
        if !self.within_limit(units) {
            return None;
        }
        let start = self.memory.map(units)?;
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
        // SAFETY: a spare is a whole mapping of this length that nobody uses.
        unsafe {
            let start = NonNull::new_unchecked(spare.start);
            memory_tools::allow(spare.start, spare.units * CHUNK_SIZE);
            let fitted = if spare.units == units { Some(start) } else { self.memory.remap(start, spare.units, units) };
            if fitted.is_none() {
                self.memory.unmap(start, spare.units);
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
        unsafe { self.memory.unmap(NonNull::new_unchecked(start), units) };
        self.settle();
    }

    /// Unmaps spare mappings while more than `keep` units are dirty.
    pub(super) fn unmap_spares(&mut self, keep: usize) {
        for index in 0..self.spares.len() {
            let Spare { start, units } = self.spares[index];
            if units > 0 && self.dirty_units > keep {
                self.spares[index].units = 0;
                self.dirty_units -= units;
                self.mapped_units -= units;
                // SAFETY: a spare is a whole mapping of this length that nobody uses.
                unsafe { self.memory.unmap(NonNull::new_unchecked(start), units) };
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
        // SAFETY: the caller's promise; a mapping does not start at 0.
        let moved = unsafe { self.memory.remap(NonNull::new_unchecked(start), old_units, new_units) };
        if moved.is_some() {
            self.count_direct(old_units, new_units);
        }
        self.settle();
        moved
    }

    fn count_direct(&mut self, old_units: usize, new_units: usize) {
        self.used_units = self.used_units - old_units + new_units;
        self.direct_units = self.direct_units - old_units + new_units;
        self.mapped_units = self.mapped_units - old_units + new_units;
        self.map_changes += 1;
        self.bound_cache();
        self.note_peak();
    }
}
