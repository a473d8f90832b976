//! Chunks of small blocks: carving them lazily, and the queue of a class's chunks that have freed blocks.

use core::ptr;

use super::layout::{CHUNK_SIZE, CLASS_COUNT, ChunkHeader, FreeBlock, HEADER_SIZE, header_of};
use super::raw::RawPool;
use super::segment::FIRST_UNIT_START;
use super::size_class::block_size;

/// What the memory behind a [`ChunkHeader`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChunkKind {
    /// Blocks of one size class.
    Small = 1,
    /// Blocks of any size class, see `mixed`.
    Mixed = 2,
    /// The pool's first unit: the pool itself and the first blocks of every class.
    Bootstrap = 3,
    /// A large block in a run of units of a segment.
    Run = 4,
    /// A large block that is a mapping of its own.
    Direct = 5,
}

/// `cursor` of a chunk with nothing left to carve.
const EXHAUSTED: u32 = u32::MAX;

/// Blocks are carved up to the end of the page the cursor is in: memory is touched only just before its use.
const CARVE_BYTES: usize = 4096;

impl ChunkHeader {
    /// A fresh header of small blocks for the unit at `base`.
    pub fn new_small(base: *mut u8, unit: usize, class: usize, pool: *mut u8) -> ChunkHeader {
        let [behind, before] = block_ranges(header_of(base), unit, block_size(class));
        ChunkHeader {
            free: ptr::null_mut(),
            countdown: 1,
            armed: 1,
            listed: 0,
            carved: 0,
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
            pool,
            cursor: if before.is_empty() { behind.start } else { before.end } as u32,
            class: class as u8,
            kind: ChunkKind::Small as u8,
            queued: 0,
            unit: unit as u8,
            large_bytes: 0,
        }
    }

    /// Length of the list `free`.
    pub fn free_count(&self) -> u32 {
        self.listed + (self.armed - self.countdown)
    }

    /// Blocks in use or on the class's allocation list.
    pub fn used_count(&self) -> u32 {
        self.carved - self.free_count()
    }

    /// Asks for a look by the slow path after `frees` more frees.
    pub fn arm(&mut self, frees: u32) {
        self.listed = self.free_count();
        self.armed = frees;
        self.countdown = frees;
    }

    /// Whether blocks are left to carve.
    pub fn can_carve(&self) -> bool {
        self.cursor != EXHAUSTED
    }
}

/// Whether the header at `header` can be one of `pool`: cheap enough for the slow path, and enough to notice that somebody
/// wrote across it.
///
/// # Safety
/// The memory of a header can be read there.
pub unsafe fn is_sound(header: *mut ChunkHeader, pool: *const RawPool) -> bool {
    // SAFETY: the caller's promise.
    let header = unsafe { &*header };
    let small = header.kind == ChunkKind::Small as u8;
    let known = (ChunkKind::Small as u8..=ChunkKind::Direct as u8).contains(&header.kind);
    header.pool.cast_const() == pool.cast() && known && small == (header.class != 0) && header.class < CLASS_COUNT as u8
}

/// Start of the unit that `header` is in.
pub fn unit_base(header: *mut ChunkHeader) -> *mut u8 {
    header.cast::<u8>().with_addr(header.addr() & !(CHUNK_SIZE - 1))
}

/// The two ranges of offsets, behind and before the header, that blocks of `size` bytes are carved from; for a size of 0,
/// of a large block, there is none before it. A block starts at the start of each, and one ends at the end of the second.
///
/// The second is carved first, from its end: a few blocks lie in one page with the header, and where in it the header
/// does, for the first blocks of all chunks should not compete for one set of the caches.
pub fn block_ranges(header: *mut ChunkHeader, unit: usize, size: usize) -> [core::ops::Range<usize>; 2] {
    if unit == 0 {
        return [FIRST_UNIT_START..CHUNK_SIZE, 0..0];
    }
    let color = header.addr() & (CHUNK_SIZE - 1);
    let unused = color.checked_rem(size).unwrap_or(color);
    [color + HEADER_SIZE..CHUNK_SIZE, unused..color]
}

/// Those parts of them that blocks have been carved from so far, each as long as its blocks.
///
/// # Safety
/// `header` is the live header of a chunk of small blocks.
pub unsafe fn carved_ranges(header: *mut ChunkHeader) -> [core::ops::Range<usize>; 2] {
    // SAFETY: the caller's promise.
    let (class, unit, cursor) = unsafe { ((*header).class, (*header).unit, (*header).cursor) };
    let size = block_size(class as usize);
    let [behind, before] = block_ranges(header, unit as usize, size);
    let cursor = cursor as usize;
    match cursor {
        _ if cursor == EXHAUSTED as usize => [behind.start..behind.end - behind.len() % size, before],
        _ if cursor >= behind.start => [behind.start..cursor, before],
        _ => [behind.start..behind.start, cursor..before.end],
    }
}

/// Takes the first `count` of the chunk's free blocks off its list, fewer than there are. The chunk stays in its queue.
///
/// # Safety
/// `header` is a live, queued chunk of small blocks with more than `count` free ones; `count` is not 0.
pub unsafe fn take_some(header: *mut ChunkHeader, count: u32) -> *mut FreeBlock {
    // SAFETY: the caller's promise; the list has a block behind each of the first `count`.
    unsafe {
        let list = (*header).free;
        let mut last = list;
        for _ in 1..count {
            last = (*last).next;
        }
        (*header).free = (*last).next;
        (*last).next = ptr::null_mut();
        // A queued chunk counts down to its last used block; it just got more of them.
        let listed = (*header).free_count() - count;
        let used = (*header).carved - listed;
        ((*header).listed, (*header).armed, (*header).countdown) = (listed, used, used);
        list
    }
}

/// Carves the next blocks of `size` bytes, at most `most`, into a list in address order. Returns its head (null when
/// nothing is left) and its length.
///
/// # Safety
/// `header` is the live header of a chunk of small blocks of this size.
pub unsafe fn carve(header: *mut ChunkHeader, size: usize, most: u32) -> (*mut FreeBlock, u32) {
    let base = unit_base(header);
    // SAFETY: the caller's promise; every block carved lies in one of the chunk's ranges, between the cursor, below
    // which everything was handed out, and the range's end.
    unsafe {
        if (*header).cursor == EXHAUSTED {
            return (ptr::null_mut(), 0);
        }
        let [behind, before] = block_ranges(header, (*header).unit as usize, size);
        let cursor = (*header).cursor as usize;
        let (start, count) = if cursor < behind.start {
            let count = ((cursor - before.start) / size).min(most as usize);
            let start = cursor - count * size;
            (*header).cursor = if start > before.start { start } else { behind.start } as u32;
            (start, count)
        } else {
            let page_left = CARVE_BYTES - cursor % CARVE_BYTES;
            let room = (behind.end - cursor) / size;
            let count = (page_left / size).max(1).min(room).min(most as usize);
            let end = cursor + count * size;
            (*header).cursor = if end + size <= behind.end { end as u32 } else { EXHAUSTED };
            (cursor, count)
        };
        let end = start + count * size;

        let mut next = ptr::null_mut::<FreeBlock>();
        for offset in (start..end).step_by(size).rev() {
            let block = base.add(offset).cast::<FreeBlock>();
            (*block).next = next;
            next = block;
        }
        (*header).carved += count as u32;
        // A chunk with freed blocks counts down to its last used block; it just got more of them.
        if !(*header).free.is_null() {
            (*header).armed += count as u32;
            (*header).countdown += count as u32;
        }
        (next, count as u32)
    }
}

/// Chunks of one class that have freed blocks, and behind them those with holes only. Newest first: the collector frees
/// in bursts, and the chunks it came to last are still in the caches (2 to 5 % faster than oldest first on programs with
/// churn).
#[derive(Clone, Copy)]
pub struct ChunkQueue {
    pub head: *mut ChunkHeader,
    tail: *mut ChunkHeader,
}

impl ChunkQueue {
    pub const EMPTY: ChunkQueue = ChunkQueue { head: ptr::null_mut(), tail: ptr::null_mut() };

    /// # Safety
    /// `header` is live and in no queue.
    pub unsafe fn push(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; the queue holds live headers only.
        unsafe {
            (*header).prev = ptr::null_mut();
            (*header).next = self.head;
            (*header).queued = 1;
            if self.head.is_null() { self.tail = header } else { (*self.head).prev = header }
        }
        self.head = header;
    }

    /// For a chunk with holes only: it serves when no other has freed blocks.
    ///
    /// # Safety
    /// `header` is live and in no queue.
    pub unsafe fn push_back(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; the queue holds live headers only.
        unsafe {
            (*header).next = ptr::null_mut();
            (*header).prev = self.tail;
            (*header).queued = 1;
            if self.tail.is_null() { self.head = header } else { (*self.tail).next = header }
        }
        self.tail = header;
    }

    /// # Safety
    /// `header` is in this queue.
    pub unsafe fn remove(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; neighbours in the queue are live headers.
        unsafe {
            let (next, prev) = ((*header).next, (*header).prev);
            if prev.is_null() {
                self.head = next
            } else {
                (*prev).next = next
            }
            if next.is_null() {
                self.tail = prev
            } else {
                (*next).prev = prev
            }
            (*header).queued = 0;
        }
    }

    /// Whether this is the only chunk in the queue.
    pub fn is_only(&self, header: *mut ChunkHeader) -> bool {
        self.head == header && self.tail == header
    }
}
