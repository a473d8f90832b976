//! Large blocks: more than [`SMALL_MAX`](super::layout::SMALL_MAX) bytes.
//!
//! Up to 2 MiB they are runs of units in a segment, so that a table that grows and dies every frame meets memory that
//! is already there; larger ones are mappings of their own, which the system can grow by moving pages. Both have a
//! chunk header where every block's header is found, with a countdown of 1: freeing one always takes the slow path.

use core::ptr::{self, NonNull};

use super::chunk::{ChunkKind, unit_base};
use super::layout::{CHUNK_SIZE, ChunkHeader, HEADER_SIZE, header_of};
use super::raw::RawPool;
use super::segment::{FIRST_UNIT_START, Segments};
use super::units::RUN_UNITS_MAX;
use crate::faults;

/// Offset of the block in a mapping of its own. It must not depend on the address: remapping moves whole pages.
const DIRECT_START: usize = FIRST_UNIT_START;

/// Requests above this cannot be: no object is larger than `isize::MAX` bytes, and there must be room for a header.
const LARGE_MAX: usize = isize::MAX as usize - 2 * CHUNK_SIZE;

/// Units for `size` bytes behind `start` bytes of header.
fn units_for(start: usize, size: usize) -> usize {
    (start + size).div_ceil(CHUNK_SIZE)
}

/// How [`Segments`] chooses the units of a block, given their number.
type AcquireUnits = fn(&mut Segments, usize) -> Option<(NonNull<u8>, usize)>;

impl RawPool {
    /// A block of `size` bytes, more than `SMALL_MAX`.
    #[cold]
    #[inline(never)]
    pub fn allocate_large(&mut self, size: usize) -> *mut u8 {
        self.allocate_large_at(size, Segments::acquire)
    }

    /// As [`RawPool::allocate_large`]; `acquire` chooses the place of a block in a segment.
    fn allocate_large_at(&mut self, size: usize, acquire: AcquireUnits) -> *mut u8 {
        if size > LARGE_MAX || faults::request_fails() {
            return ptr::null_mut();
        }
        // Sized for the worst place of the header, for the place is known only with the address.
        let run_units = units_for(FIRST_UNIT_START, size);
        // A hardened pool protects pages of its large blocks.
        let (base, units, unit, kind) = if run_units <= RUN_UNITS_MAX && !self.is_hardened() {
            match acquire(&mut self.segments, run_units) {
                Some((base, unit)) => (base.as_ptr(), run_units, unit, ChunkKind::Run),
                None => return ptr::null_mut(),
            }
        } else {
            let units = units_for(DIRECT_START, size);
            // The header counts units in 32 bits.
            let base = if u32::try_from(units).is_ok() { self.segments.map_direct(units) } else { None };
            match base {
                Some(base) => (base.as_ptr(), units, 0, ChunkKind::Direct),
                None => return ptr::null_mut(),
            }
        };
        let header = header_of(base);
        let mut fresh = ChunkHeader::new_small(base, unit, 0, ptr::from_mut(self).cast());
        let start = fresh.cursor as usize;
        fresh.kind = kind as u8;
        fresh.cursor = units as u32;
        fresh.large_bytes = size;
        // SAFETY: `base` starts `units` fresh units; the header's line is in the first, before the block.
        unsafe {
            header.write(fresh);
            self.link_large(header);
            self.large.allocations += 1;
            self.large.live_bytes += size;
            self.segments.count_work();
            self.checkpoint();
            base.add(start)
        }
    }

    /// # Safety
    /// `header` is the header of a large block that is not in the list.
    unsafe fn link_large(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; the list holds live headers.
        unsafe {
            (*header).prev = ptr::null_mut();
            (*header).next = self.large.head;
            if !self.large.head.is_null() {
                (*self.large.head).prev = header;
            }
        }
        self.large.head = header;
    }

    /// # Safety
    /// `header` is in the list of large blocks.
    unsafe fn unlink_large(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; neighbours in the list are live headers.
        unsafe {
            let (next, prev) = ((*header).next, (*header).prev);
            if prev.is_null() {
                self.large.head = next
            } else {
                (*prev).next = next
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }

    /// # Safety
    /// `header` is a large block of this pool that nobody uses any more.
    pub(super) unsafe fn free_large(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise.
        unsafe {
            self.unlink_large(header);
            self.large.frees += 1;
            self.large.live_bytes -= (*header).large_bytes;
            let (base, units) = (unit_base(header), (*header).cursor as usize);
            if (*header).kind == ChunkKind::Direct as u8 {
                self.segments.unmap_direct(base, units);
            } else {
                self.segments.release(base, (*header).unit as usize, units);
            }
        }
    }

    /// Resizes a large block to another large size.
    ///
    /// # Safety
    /// `header` is the header of the live large block `block` of this pool.
    pub(super) unsafe fn reallocate_large(
        &mut self,
        header: *mut ChunkHeader,
        block: *mut u8,
        new_size: usize,
    ) -> *mut u8 {
        if new_size > LARGE_MAX {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe {
            let old_size = (*header).large_bytes;
            if new_size > old_size && faults::request_fails() {
                return ptr::null_mut();
            }
            if let Some(same_or_moved) = self.resize_in_place(header, block, new_size) {
                self.large.live_bytes = self.large.live_bytes - old_size + new_size;
                self.checkpoint();
                return same_or_moved;
            }
            // What has outgrown its place grows on, as a rule.
            let acquire = if new_size > old_size { Segments::acquire_with_room } else { Segments::acquire };
            let new = self.allocate_large_at(new_size, acquire);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, old_size.min(new_size));
                self.free(block);
                return new;
            }
            if new_size <= old_size {
                self.shrink_large_in_place(header, block, new_size);
                return block;
            }
            ptr::null_mut()
        }
    }

    /// Resizes without copying bytes: in the units it has, by taking or leaving units behind it, or by moving pages.
    ///
    /// # Safety
    /// As for [`RawPool::reallocate_large`].
    unsafe fn resize_in_place(&mut self, header: *mut ChunkHeader, block: *mut u8, new_size: usize) -> Option<*mut u8> {
        let base = unit_base(header);
        // SAFETY: the caller's promise.
        unsafe {
            let units = (*header).cursor as usize;
            let needed = units_for(block.addr() - base.addr(), new_size);
            let direct = (*header).kind == ChunkKind::Direct as u8;
            if needed == units {
                (*header).large_bytes = new_size;
                return Some(block);
            }
            if direct {
                if needed <= RUN_UNITS_MAX || u32::try_from(needed).is_err() {
                    return None;
                }
                return self.remap_large(header, needed, new_size);
            }
            if needed > RUN_UNITS_MAX {
                return None;
            }
            let unit = (*header).unit as usize;
            if needed < units {
                self.segments.release(base.add(needed * CHUNK_SIZE), unit + needed, units - needed);
            } else if !self.segments.extend(base, unit, units, needed - units) {
                return None;
            }
            (*header).cursor = needed as u32;
            (*header).large_bytes = new_size;
            Some(block)
        }
    }

    /// Moves a mapping of its own to one of `units` units. The header's line depends on the address, so it moves too.
    ///
    /// # Safety
    /// `header` is the header of a live direct block of this pool.
    unsafe fn remap_large(&mut self, header: *mut ChunkHeader, units: usize, new_size: usize) -> Option<*mut u8> {
        // SAFETY: the caller's promise; the header is read before its page may move, and the list of large blocks is
        // mended before anybody walks it.
        unsafe {
            let base = unit_base(header);
            let old_units = (*header).cursor as usize;
            let mut moved_header = header.read();
            self.unlink_large(header);
            let moved = self.segments.remap_direct(base, old_units, units);
            let Some(new_base) = moved.map(|start| start.as_ptr()) else {
                self.link_large(header);
                return None;
            };
            moved_header.cursor = units as u32;
            moved_header.large_bytes = new_size;
            let new_header = header_of(new_base);
            new_header.write(moved_header);
            self.link_large(new_header);
            Some(new_base.add(DIRECT_START))
        }
    }

    /// Notes a smaller size for a block that could not be moved, and lets go of whole units behind it.
    ///
    /// # Safety
    /// `header` is the header of the live large block `block` of this pool; `new_size` is at most its size.
    pub(super) unsafe fn shrink_large_in_place(&mut self, header: *mut ChunkHeader, block: *mut u8, new_size: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let old_size = (*header).large_bytes;
            if (*header).kind == ChunkKind::Direct as u8 || self.resize_in_place(header, block, new_size).is_none() {
                (*header).large_bytes = new_size;
            }
            self.large.live_bytes = self.large.live_bytes - old_size + new_size;
        }
    }

    /// Offset of a large block in its first unit.
    pub(super) fn large_start(header: *mut ChunkHeader, kind: ChunkKind, unit: usize) -> usize {
        match kind {
            ChunkKind::Direct => DIRECT_START,
            _ if unit == 0 => FIRST_UNIT_START,
            _ => (header.addr() & (CHUNK_SIZE - 1)) + HEADER_SIZE,
        }
    }
}
