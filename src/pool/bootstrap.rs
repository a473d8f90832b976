//! The pool's first unit. The pool itself lies in it, and around the pool the first few blocks of every size class,
//! side by side: an idle Lua state uses some forty classes, and a page for each would cost it 160 KB.
//!
//! A bit for every 8 bytes of the unit tells where blocks start and end, so a block's size is the way to the next bit.
//! Every free in this unit goes to the slow path (its header's countdown is always 1). Small blocks go back to their
//! class's allocation list; larger ones, and what alignment leaves over, become ranges that any class is served from.
//!
//! ```text
//! | header, descriptor, blocks | pool | blocks ...  | books of classes with chunks |
//! 0                         4096                    BOOKS_OFFSET             65536
//! ```

use core::ops::Range;
use core::ptr;

use super::books::BOOKS_OFFSET;
use super::layout::{CHUNK_SIZE, CLASS_COUNT, FreeBlock, HEADER_SIZE, SMALL_MAX, header_of};
use super::raw::RawPool;
use super::segment::Segments;
use super::size_class::{Class, block_size, class_of};

/// Offset of the pool in its unit.
pub const POOL_OFFSET: usize = 4096;

/// Bytes of this unit that one class may have before it gets chunks of its own.
const CLASS_BYTES_MAX: usize = 6 * 1024;

/// A class that frees this many blocks of the bootstrap unit is busy, and gets a chunk: there a free is cheap, here
/// every one takes the slow path.
const BUSY_FREES: u16 = 32;

/// Freed blocks of fewer bytes go back to their class: most of Lua's objects, which will be wanted again.
pub const RANGE_MIN: usize = 64;

/// A range is cut only if this much is left, or nothing: anything less would serve nobody.
const REST_MIN: usize = 24;

/// Ranges that a search looks at.
const SEARCH_MAX: usize = 6;

/// Blocks of an odd number of 8 bytes come in pairs up to this size, so that what follows is aligned to 16 bytes.
const PAIR_MAX: usize = 128;

/// Blocks of up to this size, two thirds of those that an idle state has, come in fours.
const FOUR_MAX: usize = 32;

/// What one class has had from the bootstrap unit before it became busy.
#[derive(Clone, Copy)]
struct Counts {
    /// Blocks put on an allocation list.
    handed: u16,
    /// Blocks freed, up to [`BUSY_FREES`].
    returned: u16,
}

/// What is left of the pool's first unit, and where its blocks are. All zero at first.
#[repr(C)]
pub struct Bootstrap {
    /// Offset of what was never used.
    cursor: usize,
    /// Nothing is reserved from the cursor to here.
    clear_end: usize,
    /// Ranges that are free, latest first.
    ranges: *mut FreeBlock,
    counts: [Counts; CLASS_COUNT],
    /// Bit i: something starts at offset 8 i: a block, a free range, or what comes behind the last of them.
    starts: [u64; BOOKS_OFFSET / 512 + 1],
}

impl Bootstrap {
    /// Offsets that blocks must not touch: header, segment descriptor, pool.
    fn reserved(base: *mut u8) -> [Range<usize>; 3] {
        let header = header_of(base).addr() - base.addr();
        let descriptor = Segments::descriptor_offset(base);
        let pool_end = (POOL_OFFSET + size_of::<RawPool>()).next_multiple_of(16);
        [header..header + HEADER_SIZE, descriptor..descriptor + HEADER_SIZE, POOL_OFFSET..pool_end]
    }

    fn mark(&mut self, offset: usize) {
        self.starts[offset / 512] |= 1 << (offset / 8 % 64);
    }

    /// Bytes from what starts at `offset` to what starts next; 0 if nothing does.
    fn length_at(&self, offset: usize) -> usize {
        let first = offset / 8 + 1;
        let mut word = first / 64;
        let mut bits = self.starts.get(word).map_or(0, |bits| bits & (u64::MAX << (first % 64)));
        while bits == 0 {
            word += 1;
            match self.starts.get(word) {
                Some(&next) => bits = next,
                None => return 0,
            }
        }
        (word * 64 + bits.trailing_zeros() as usize) * 8 - offset
    }

    /// Whether a class frees so many blocks that it should have a chunk.
    pub fn is_busy(&self, class: Class) -> bool {
        self.counts[class].returned >= BUSY_FREES
    }

    /// Blocks of a class put on an allocation list here, and freed here, before it became busy.
    pub fn counted(&self, class: Class) -> (u64, u64) {
        let Counts { handed, returned } = self.counts[class];
        (handed.into(), returned.into())
    }

    /// The next blocks of `class` in the unit at `base`, at most `most`; null when there is no room, or the class is busy
    /// or had its share.
    ///
    /// # Safety
    /// `base` is the unit that this bootstrap describes.
    #[inline]
    pub unsafe fn allocate(&mut self, base: *mut u8, class: Class, most: u32) -> *mut FreeBlock {
        let Counts { handed, returned } = self.counts[class];
        let size = block_size(class);
        let has = usize::from(handed.saturating_sub(returned)) * size;
        if returned >= BUSY_FREES || has + size > CLASS_BYTES_MAX {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        let (list, count) = unsafe { self.take(base, class, most) };
        self.counts[class].handed += count as u16;
        list
    }

    /// As [`Bootstrap::allocate`], whatever the class had. The list and its length, 0 to 4, for the caller to count.
    ///
    /// # Safety
    /// The same.
    pub unsafe fn take(&mut self, base: *mut u8, class: Class, most: u32) -> (*mut FreeBlock, u32) {
        let size = block_size(class);
        // SAFETY: the caller's promise; what is taken here is in no other use.
        unsafe {
            if let Some(block) = self.take_range(base, size) {
                (*block).next = ptr::null_mut();
                return (block, 1);
            }
            let count = match size {
                _ if most < 4 => 1,
                ..=FOUR_MAX => 4,
                ..=PAIR_MAX if !size.is_multiple_of(16) => 2,
                _ => 1,
            };
            let Some(start) = self.carve(base, size, count) else {
                return (ptr::null_mut(), 0);
            };
            let mut list = ptr::null_mut();
            for index in (0..count).rev() {
                let block = base.add(start + index * size).cast::<FreeBlock>();
                (*block).next = list;
                list = block;
            }
            (list, count as u32)
        }
    }

    /// Memory for a block out of the ranges that are free.
    ///
    /// # Safety
    /// As [`Bootstrap::allocate`].
    unsafe fn take_range(&mut self, base: *mut u8, size: usize) -> Option<*mut FreeBlock> {
        let alignment = if size.is_multiple_of(16) { 16 } else { 8 };
        let mut before: *mut FreeBlock = ptr::null_mut();
        let mut range = self.ranges;
        for _ in 0..SEARCH_MAX {
            if range.is_null() {
                break;
            }
            let start = range.addr() - base.addr();
            let length = self.length_at(start);
            // SAFETY: the list holds free ranges of this unit; the rest of one is inside it.
            unsafe {
                let mut rest = (*range).next;
                let fits = start.is_multiple_of(alignment)
                    && (length == size || length.checked_sub(size).is_some_and(|left| left >= REST_MIN));
                if fits {
                    if length > size {
                        self.mark(start + size);
                        let left = base.add(start + size).cast::<FreeBlock>();
                        (*left).next = rest;
                        rest = left;
                    }
                    if before.is_null() {
                        self.ranges = rest
                    } else {
                        (*before).next = rest
                    }
                    return Some(range);
                }
                (before, range) = (range, rest);
            }
        }
        None
    }

    /// Offset of the first of `count` blocks of `size` bytes out of what was never used.
    ///
    /// # Safety
    /// As [`Bootstrap::allocate`].
    unsafe fn carve(&mut self, base: *mut u8, size: usize, count: usize) -> Option<usize> {
        let alignment = if size.is_multiple_of(16) { 16 } else { 8 };
        let bytes = size * count;
        let mut start = self.cursor.next_multiple_of(alignment);
        if start > self.cursor {
            // SAFETY: nothing from the cursor to `clear_end` was ever used.
            unsafe { self.add_range(base, self.cursor, start) };
        }
        if start + bytes > self.clear_end {
            // SAFETY: the caller's promise.
            start = unsafe { self.step_over(base, start, bytes) };
            if start + bytes > self.clear_end {
                self.cursor = start;
                return None;
            }
        }
        self.cursor = start + bytes;
        (0..=count).for_each(|index| self.mark(start + index * size));
        Some(start)
    }

    /// Where the next `bytes` from `start` on are that are not reserved, or the end of the unit's blocks.
    ///
    /// # Safety
    /// As [`Bootstrap::allocate`]; `start` is aligned to 16 bytes where that matters, and nothing behind it was ever used.
    #[cold]
    unsafe fn step_over(&mut self, base: *mut u8, mut start: usize, bytes: usize) -> usize {
        let mut reserved = Bootstrap::reserved(base);
        reserved.sort_by_key(|range| range.start);
        for range in &reserved {
            if range.end <= start {
                continue;
            }
            if start + bytes <= range.start {
                self.clear_end = range.start;
                return start;
            }
            if range.start > start {
                // SAFETY: nothing between two reserved ranges was ever used.
                unsafe { self.add_range(base, start, range.start) };
            }
            start = range.end;
        }
        self.clear_end = BOOKS_OFFSET;
        start
    }

    /// # Safety
    /// The range is inside the unit and in no use.
    unsafe fn add_range(&mut self, base: *mut u8, start: usize, end: usize) {
        self.mark(start);
        self.mark(end);
        // SAFETY: the caller's promise.
        unsafe { self.recycle(base.add(start).cast()) };
    }

    /// Makes a block a range that any class may be served from.
    ///
    /// # Safety
    /// `block` starts at a mark of this unit, and nobody uses it.
    pub unsafe fn recycle(&mut self, block: *mut FreeBlock) {
        // SAFETY: the caller's promise; a range has 8 bytes at least.
        unsafe { (*block).next = self.ranges };
        self.ranges = block;
    }

    /// Counts a freed block of a class that is not busy, and that its class's allocation list has it again.
    pub fn count_free(&mut self, class: Class, to_list: bool) {
        let counts = &mut self.counts[class];
        counts.returned += 1;
        counts.handed += u16::from(to_list);
    }

    /// Whether a block or a free range starts at an address in this unit.
    ///
    /// # Safety
    /// `block` lies in the unit at `base`.
    pub unsafe fn starts_at(&self, base: *mut u8, block: *mut u8) -> bool {
        let offset = block.addr() - base.addr();
        let reserved = Bootstrap::reserved(base).iter().any(|range| range.contains(&offset));
        // SAFETY: the caller's promise.
        !reserved && unsafe { self.class_at(base, block) } != 0
    }

    /// Class of the block that starts at an address in this unit, as its length says; 0 where nothing starts.
    ///
    /// # Safety
    /// `block` lies in the unit at `base`.
    pub unsafe fn class_at(&self, base: *mut u8, block: *mut u8) -> Class {
        let offset = block.addr() - base.addr();
        let marked = offset < self.cursor
            && offset.is_multiple_of(8)
            && self.starts[offset / 512] & (1 << (offset / 8 % 64)) != 0;
        if !marked {
            return 0;
        }
        match self.length_at(offset) {
            length @ 1..=SMALL_MAX => class_of(length),
            _ => 0,
        }
    }

    /// The free ranges, latest first.
    pub fn ranges(&self) -> *mut FreeBlock {
        self.ranges
    }
}

const _: () = assert!(BOOKS_OFFSET < CHUNK_SIZE && POOL_OFFSET + size_of::<RawPool>() < 2 * 4096);
