//! Pages that went back to the system from inside chunks in use: holes.
//!
//! Blocks never move, so a chunk with one survivor stays. But a page of it that has free blocks only need not be in
//! physical memory. Such a page becomes a hole: every block that reaches into one leaves the chunk's books as if it had
//! never been carved, and is carved again when its class needs blocks and no other chunk has any.

use core::ptr::{self, NonNull};

use super::chunk::{block_ranges, carved_ranges, unit_base};
use super::layout::{CHUNK_SIZE, CLASS_COUNT, ChunkHeader, FreeBlock};
use super::purge::PurgeMode;
use super::raw::RawPool;
use super::segment::runs;
use super::size_class::{Class, block_size};
use crate::os;

/// Bytes of a page, as holes are counted: a bit each.
pub const PAGE_SIZE: usize = 4096;

const PAGES: usize = CHUNK_SIZE / PAGE_SIZE;

/// After a full collection, pages go back if as many bytes as this lie free in chunks with few used blocks,
const SPARSE_BYTES_MIN: usize = 4 << 20;

/// and they are this part of all memory in use.
const SPARSE_PART_MIN: usize = 4;

/// A chunk has few used blocks if they are at most this part of all that were carved.
const SPARSE_USED_PART: u32 = 4;

/// Most full collections in a row that leave pages alone because pages were needed again.
const PAUSE_MAX: u32 = 1 << 16;

/// The books of holes, and what is remembered so that a program that needs its pages again soon keeps them.
pub(super) struct Holes {
    /// Pages that are holes now.
    pub pages: usize,
    /// Pages that became holes, ever.
    pub purged_pages: u64,
    /// Holes filled again, ever.
    filled_pages: u64,
    /// `filled_pages` when pages were last given back after a full collection, and how many those were.
    filled_before: u64,
    last_purged: u64,
    /// Full collections still to leave pages alone, and how many those will be next time.
    pause_left: u32,
    pause: u32,
}

impl Holes {
    /// Counts pages that became holes.
    pub fn count_purged(&mut self, pages: usize) {
        self.pages += pages;
        self.purged_pages += pages as u64;
    }

    /// Counts holes that are in use again.
    pub fn count_filled(&mut self, pages: usize) {
        self.pages -= pages;
        self.filled_pages += pages as u64;
    }
}

impl ChunkHeader {
    /// The holes of a chunk of small blocks: bit p is its page p.
    pub fn holes(&self) -> u16 {
        self.large_bytes as u16
    }

    fn set_holes(&mut self, holes: u16) {
        self.large_bytes = usize::from(holes);
    }

    /// Whether a block of `size` bytes at `offset` reaches into a hole.
    pub fn in_hole(&self, offset: usize, size: usize) -> bool {
        self.holes() != 0 && self.holes() & pages_of(offset, size) != 0
    }
}

/// The pages that `size` bytes at `offset` touch.
pub(super) fn pages_of(offset: usize, size: usize) -> u16 {
    let (first, last) = (offset / PAGE_SIZE, (offset + size - 1) / PAGE_SIZE);
    (u16::MAX >> (PAGES - 1 - last)) & (u16::MAX << first)
}

/// Offsets of the blocks carved so far from the chunk's first range, which has all of its pages but the first.
fn carved_offsets(header: *mut ChunkHeader, size: usize) -> impl DoubleEndedIterator<Item = usize> {
    // SAFETY: callers pass live headers of chunks of small blocks.
    let [range, _] = unsafe { carved_ranges(header) };
    // A number of steps that is known makes walking backwards cheap.
    (0..range.len() / size).map(move |index| range.start + index * size)
}

/// A bit for every place in a chunk where a block may start.
pub(super) struct BlockSet([u64; CHUNK_SIZE / 8 / 64]);

impl BlockSet {
    /// The free blocks on a chunk's list.
    ///
    /// # Safety
    /// `header` is the live header of a chunk of small blocks.
    pub unsafe fn free_of(header: *mut ChunkHeader) -> BlockSet {
        let base = unit_base(header);
        let mut free = BlockSet([0; CHUNK_SIZE / 8 / 64]);
        // SAFETY: the caller's promise; blocks on the list lie in this chunk.
        unsafe {
            let mut block = (*header).free;
            while !block.is_null() {
                free.insert(block.addr() - base.addr());
                block = (*block).next;
            }
        }
        free
    }

    fn insert(&mut self, offset: usize) {
        self.0[offset / 512] |= 1 << (offset / 8 % 64);
    }

    pub fn contains(&self, offset: usize) -> bool {
        self.0[offset / 512] & (1 << (offset / 8 % 64)) != 0
    }
}

impl RawPool {
    /// Gives back the pages of one chunk that have free blocks only. Returns how many.
    ///
    /// # Safety
    /// `header` is a queued chunk of this pool with freed blocks and with used ones.
    unsafe fn make_holes(&mut self, header: *mut ChunkHeader) -> usize {
        let base = unit_base(header);
        // SAFETY: the caller's promise. The blocks on the chunk's list are free and lie in it; those in holes are in no
        // books, and are not touched.
        unsafe {
            let class = (*header).class as usize;
            let size = block_size(class);
            let free = BlockSet::free_of(header);

            // The first page has the header. A page that is not carved to its end, or has no block, has nothing to give.
            let mut kept: u16 = 1;
            let mut end = PAGE_SIZE;
            for offset in carved_offsets(header, size) {
                if !free.contains(offset) && !(*header).in_hole(offset, size) {
                    kept |= pages_of(offset, size);
                }
                end = offset + size;
            }
            let cursor = (*header).cursor as usize;
            let carved_whole = !(PAGE_SIZE..CHUNK_SIZE).contains(&cursor);
            let rest = if carved_whole { end.next_multiple_of(PAGE_SIZE) } else { cursor };
            if rest < CHUNK_SIZE {
                kept |= pages_of(rest, CHUNK_SIZE - rest);
            }
            let old = (*header).holes();
            let fresh = !kept & !old;
            if fresh == 0 {
                return 0;
            }

            // The list anew, in address order, without the blocks in holes. Those of the first page stay on it.
            (*header).set_holes(old | fresh);
            let before = (*header).free_count();
            let (mut list, mut listed) = (ptr::null_mut::<FreeBlock>(), 0);
            let mut keep = |offset: usize| {
                let block = base.add(offset).cast::<FreeBlock>();
                (*block).next = list;
                list = block;
                listed += 1;
            };
            let first_range_start = block_ranges(header, (*header).unit as usize, size)[0].start;
            for offset in carved_offsets(header, size).rev() {
                if free.contains(offset) && !(*header).in_hole(offset, size) {
                    keep(offset);
                }
            }
            for offset in (0..first_range_start.min(PAGE_SIZE)).step_by(8).rev() {
                if free.contains(offset) {
                    keep(offset);
                }
            }
            let used = (*header).used_count();
            let dropped = before - listed;
            (*header).free = list;
            (*header).carved -= dropped;
            self.classes[class].returned += u64::from(dropped);
            (*header).listed = listed;
            let frees = if listed > 0 { used } else { 1 };
            ((*header).armed, (*header).countdown) = (frees, frees);
            if listed == 0 {
                self.classes[class].queue.remove(header);
                self.classes[class].queue.push_back(header);
            }

            self.purge_holes(base, fresh);
            fresh.count_ones() as usize
        }
    }

    /// Gives fresh holes of the chunk at `base` back to the system, runs of pages at a time, and counts them.
    ///
    /// # Safety
    /// Nobody needs what is in the pages of `fresh`.
    pub(super) unsafe fn purge_holes(&mut self, base: *mut u8, fresh: u16) {
        self.holes.count_purged(fresh.count_ones() as usize);
        for (first, count) in runs(fresh.into()) {
            // SAFETY: the caller's promise; the pages are inside the chunk.
            unsafe {
                let start = NonNull::new_unchecked(base.add(first * PAGE_SIZE));
                self.segments.memory.purge(start, count * PAGE_SIZE);
            }
        }
    }

    /// The blocks of the first hole of a chunk that has holes and no freed blocks.
    ///
    /// # Safety
    /// `header` is such a chunk, queued by `class`.
    pub(super) unsafe fn fill_hole(&mut self, class: Class, header: *mut ChunkHeader) -> *mut FreeBlock {
        let (base, size) = (unit_base(header), block_size(class));
        // SAFETY: the caller's promise. Whatever reached into a hole is no block of anybody's until it is listed here.
        unsafe {
            let (mut list, mut count) = (ptr::null_mut::<FreeBlock>(), 0);
            while list.is_null() && (*header).holes() != 0 {
                let filled = (*header).holes() & (*header).holes().wrapping_neg();
                let left = (*header).holes() & !filled;
                (*header).set_holes(left);
                self.holes.count_filled(1);
                // A block that reaches into another hole comes with that one.
                for offset in carved_offsets(header, size).rev() {
                    if pages_of(offset, size) & filled != 0 && !(*header).in_hole(offset, size) {
                        let block = base.add(offset).cast::<FreeBlock>();
                        (*block).next = list;
                        list = block;
                        count += 1;
                    }
                }
            }
            (*header).carved += count;
            let state = &mut self.classes[class];
            state.handed += u64::from(count);
            if (*header).holes() == 0 {
                state.queue.remove(header);
            }
            list
        }
    }

    /// A chunk goes back whole.
    pub(super) fn forget_holes(&mut self, holes: u16) {
        self.holes.pages -= holes.count_ones() as usize;
    }

    /// Calls `visit` for each chunk with freed blocks and used ones.
    fn for_each_partly_used(&mut self, mut visit: impl FnMut(&mut RawPool, *mut ChunkHeader)) {
        for class in 1..CLASS_COUNT {
            let mut header = self.classes[class].queue.head;
            // SAFETY: the queue holds live headers, those with freed blocks first; the next one is read before this one
            // may go to the end.
            unsafe {
                while !header.is_null() && !(*header).free.is_null() {
                    let next = (*header).next;
                    if (*header).used_count() > 0 {
                        visit(self, header);
                    }
                    header = next;
                }
            }
        }
    }

    /// Gives back every page inside chunks in use that has free blocks only. Returns how many bytes went.
    pub(super) fn purge_pages(&mut self) -> usize {
        // A hardened pool checks what is in free blocks, and tools watch them.
        let off_limits =
            self.is_hardened() || cfg!(feature = "memory-tools") || !self.segments.memory.origin.can_purge();
        if off_limits || !os::pages_come_back(PAGE_SIZE) {
            return 0;
        }
        let before = self.holes.purged_pages;
        self.for_each_partly_used(|pool, header| {
            // SAFETY: as `for_each_partly_used` promises.
            unsafe {
                // Less than a page of free blocks has no free page.
                if (*header).free_count() as usize * block_size((*header).class as Class) >= PAGE_SIZE {
                    pool.make_holes(header);
                }
            }
        });
        self.purge_mixed_pages();
        (self.holes.purged_pages - before) as usize * PAGE_SIZE
    }

    /// After a full collection: gives pages back if the heap is sparse, unless the program needed the last ones again.
    pub(super) fn purge_pages_after_collection(&mut self) {
        match self.segments.purge_mode {
            PurgeMode::Never => return,
            PurgeMode::Now => {
                self.purge_pages();
                return;
            }
            PurgeMode::Auto => {}
        }
        let mut sparse = self.sparse_mixed_bytes();
        self.for_each_partly_used(|_, header| {
            // SAFETY: as `for_each_partly_used` promises.
            let header = unsafe { &*header };
            if header.used_count() <= header.carved / SPARSE_USED_PART {
                sparse += header.free_count() as usize * block_size(header.class as Class);
            }
        });
        if sparse < SPARSE_BYTES_MIN || sparse < self.segments.used_units * CHUNK_SIZE / SPARSE_PART_MIN {
            return;
        }
        let holes = &mut self.holes;
        if holes.last_purged > 0 {
            let needed_again = (holes.filled_pages - holes.filled_before) * 2 > holes.last_purged;
            holes.pause = if needed_again { (holes.pause * 2 + 1).min(PAUSE_MAX) } else { holes.pause / 2 };
            holes.pause_left = holes.pause;
            holes.last_purged = 0;
        }
        if holes.pause_left > 0 {
            holes.pause_left -= 1;
            return;
        }
        let before = holes.purged_pages;
        self.purge_pages();
        self.holes.last_purged = self.holes.purged_pages - before;
        self.holes.filled_before = self.holes.filled_pages;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::Pool;

    /// Fills a pool with blocks of one size, and frees all but one in a hundred.
    fn sparse(size: usize, count: usize) -> (Pool, Vec<*mut u8>) {
        let mut pool = Pool::new().expect("memory");
        let blocks: Vec<_> = (0..count).map(|_| pool.allocate(size)).collect();
        let mut kept = Vec::new();
        for (index, block) in blocks.into_iter().enumerate() {
            if index * 37 % 100 == 0 {
                // SAFETY: a live block of at least 8 bytes.
                unsafe { block.cast::<usize>().write(index) };
                kept.push(block);
            } else {
                // SAFETY: live until now.
                unsafe { pool.free(block) };
            }
        }
        (pool, kept)
    }

    #[test]
    fn free_pages_between_survivors_go_back_and_serve_again_before_there_are_new_chunks() {
        for size in [16, 56, 240, 1000, 5000, 9000, 16_000] {
            let count = (8 << 20) / size;
            let (mut pool, kept) = sparse(size, count);
            // Reading the books may touch a page of them for the first time.
            pool.verify().expect("the books");
            let _ = pool.stats();
            let resident = pool.resident_bytes().expect("known");
            let went = pool.trim(0) as u64;
            pool.verify().expect("the books");
            let stats = pool.stats();
            let left = pool.resident_bytes().expect("known");
            // Where much went, much is gone. (Ends of chunks without room for another block were never touched.)
            assert!(left <= resident + (64 << 10) - went / 4, "{size}: {resident} - {went} = {left}");
            let descriptors = stats.mapped_bytes / 64;
            assert!(left <= stats.used_bytes + stats.cached_bytes - stats.hole_bytes + descriptors, "{size}");
            if (56..=9000).contains(&size) {
                assert!(stats.hole_bytes > stats.used_bytes / 4, "{size}: {stats:?}");
            }
            assert_eq!(pool.trim(0), 0, "{size}: nothing is left to give back");

            let written = (0..count).filter(|index| index * 37 % 100 == 0);
            // SAFETY: live blocks, written above.
            assert!(kept.iter().zip(written).all(|(block, index)| unsafe { block.cast::<usize>().read() } == index));
            let again: Vec<_> = (0..count - kept.len() - 200).map(|_| pool.allocate(size)).collect();
            pool.verify().expect("the books");
            for &block in &again {
                // SAFETY: allocated just now.
                unsafe { block.write_bytes(0xAA, size) };
            }
            assert!(pool.stats().used_bytes <= (count * size + count * size / 8 + (1 << 20)) as u64, "{size}");
            for block in kept.into_iter().chain(again) {
                // SAFETY: live until now.
                unsafe { pool.free(block) };
            }
            pool.verify().expect("the books");
            assert_eq!((pool.stats().live_bytes, pool.stats().classes[6].live_blocks), (0, 0));
        }
    }

    #[test]
    fn a_program_that_needs_its_pages_after_each_collection_soon_keeps_them() {
        let (mut pool, kept) = sparse(56, 400_000);
        let mut times_purged = 0;
        for _ in 0..200 {
            let before = pool.stats().purged_bytes;
            pool.full_collection_ended();
            times_purged += u32::from(pool.stats().purged_bytes > before + (4 << 20));
            let blocks: Vec<_> = (0..300_000).map(|_| pool.allocate(56)).collect();
            for block in blocks {
                // SAFETY: live until now.
                unsafe { pool.free(block) };
            }
        }
        assert!((1..=9).contains(&times_purged), "{times_purged}");
        pool.verify().expect("the books");
        assert_eq!(pool.stats().live_bytes, kept.len() as u64 * 64);
    }
}
