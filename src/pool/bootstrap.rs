//! The pool's first unit. The pool itself lies in it, and around the pool the first few blocks of every size class,
//! side by side: an idle Lua state uses some forty classes, and a page for each would cost it 160 KB.
//!
//! A byte for every 8 bytes of the unit tells the class of the block that starts there. Every free in this unit goes
//! to the slow path (its header's countdown is always 1), which puts the block on its class's allocation list.

use core::ops::Range;

use super::layout::{CHUNK_SIZE, HEADER_SIZE, header_of};
use super::segment::Segments;
use super::size_class::{Class, block_size};

/// Where the class bytes are: the last eighth of the unit.
const MAP_START: usize = CHUNK_SIZE / 8 * 7;

/// Bytes of this unit that one class may take before it gets chunks of its own.
const CLASS_BYTES_MAX: u32 = 6 * 1024;

/// Offset of the pool in its unit.
pub const POOL_OFFSET: usize = 4096;

/// What is left of the pool's first unit.
pub struct Bootstrap {
    /// Offset of the next block.
    cursor: u32,
    pool_end: u32,
}

impl Bootstrap {
    /// For a pool of `pool_bytes` at [`POOL_OFFSET`].
    pub fn new(pool_bytes: usize) -> Bootstrap {
        Bootstrap { cursor: 0, pool_end: (POOL_OFFSET + pool_bytes) as u32 }
    }

    /// Offsets that blocks must not touch: header, segment descriptor, pool.
    fn reserved(&self, base: *mut u8) -> [Range<usize>; 3] {
        let header = header_of(base).addr() - base.addr();
        let descriptor = Segments::descriptor_offset(base);
        [header..header + HEADER_SIZE, descriptor..descriptor + HEADER_SIZE, POOL_OFFSET..self.pool_end as usize]
    }

    /// The next block of `class` in the unit at `base`, `None` when there is no room or the class had its share.
    ///
    /// # Safety
    /// `base` is the unit that this bootstrap describes.
    pub unsafe fn allocate(&mut self, base: *mut u8, class: Class, class_bytes: &mut u32) -> Option<*mut u8> {
        let size = block_size(class);
        if *class_bytes as usize + size > CLASS_BYTES_MAX as usize {
            return None;
        }
        let alignment = if size.is_multiple_of(16) { 16 } else { 8 };
        let mut start = (self.cursor as usize).next_multiple_of(alignment);
        let reserved = self.reserved(base);
        while let Some(hit) = reserved.iter().find(|range| start < range.end && range.start < start + size) {
            start = hit.end.next_multiple_of(alignment);
        }
        if start + size > MAP_START {
            return None;
        }
        self.cursor = (start + size) as u32;
        *class_bytes += size as u32;
        // SAFETY: `start` + `size` was checked against the end of the block area, whose map lies behind it.
        unsafe {
            base.add(MAP_START + start / 8).write(class as u8);
            Some(base.add(start))
        }
    }

    /// Class of a block of this unit; 0 if no block starts there.
    ///
    /// # Safety
    /// `block` lies in the unit at `base`.
    pub unsafe fn class_at(&self, base: *mut u8, block: *mut u8) -> Class {
        let offset = block.addr() - base.addr();
        if offset >= self.cursor as usize || !offset.is_multiple_of(8) {
            return 0;
        }
        // SAFETY: the offset is below the cursor, so its byte is inside the map.
        unsafe { base.add(MAP_START + offset / 8).read() as Class }
    }
}
