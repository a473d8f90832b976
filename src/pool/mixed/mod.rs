//! Mixed chunks: blocks of all sizes side by side, where free neighbours merge.
//!
//! In a program that runs for long, sizes drift. Then classes are left with chunks in which a few blocks survive, and
//! what is free between those serves no other size. Before memory grows, such a chunk becomes mixed: from then on a map
//! tells what is in use, and any class is served from what is free in a row.
//!
//! A free in a mixed chunk is as cheap as elsewhere, but every [`FREES_MAX`] of them take the slow path, which brings
//! them to the map. A class with freed blocks in chunks of its own uses these first.
//!
//! The map of a chunk lies in a block of the pool, which is never in a mixed chunk itself.

mod map;
#[cfg(all(test, not(feature = "memory-tools")))]
mod tests;

use core::ptr;
use std::collections::HashSet;

use super::chunk::{ChunkKind, ChunkQueue, carved_ranges, unit_base};
use super::holes::{BlockSet, PAGE_SIZE};
use super::layout::{CLASS_COUNT, ChunkHeader, FreeBlock, HEADER_SIZE};
use super::raw::{RawPool, corrupt};
use super::segment::FIRST_UNIT_START;
use super::size_class::{Class, block_size, class_of};
use super::verify::{Violation, require};
use map::{GRANULE, GRANULES, Map};

/// Frees in a mixed chunk until the slow path brings them to its map.
const FREES_MAX: u32 = 64;

/// Bytes of blocks that are put on an allocation list at once.
const SERVED_BYTES: usize = 2048;

/// Mixed chunks that one request looks at.
const CHUNKS_SEEN: usize = 8;

/// A mixed chunk serves until less than this is free,
const SERVING_FREE_MIN: u32 = GRANULES as u32 / 8;

/// and again when this is. Searches in chunks that are nearly full cost more than they find: with half of either,
/// fragmenting.lua takes 3 % less memory and 2 % more instructions.
const SERVING_AGAIN_FREE_MIN: u32 = GRANULES as u32 / 4;

/// A chunk is sparse if at most this part of its blocks is used.
const SPARSE_USED_PART: u32 = 4;

/// A class gives up a sparse chunk if it has at least so many chunks,
const SPARSE_CHUNKS_MIN: u64 = 4;

/// and if at least this part of them is sparse, or of those that it would take next:
const SPARSE_PART: u64 = 4;
const SPARSE_CHUNKS_SEEN: u64 = 16;

/// After a search for a sparse chunk that was of no use, memory grows by up to this part before the next search, and by
/// no more than so many chunks.
const SEARCH_PART: usize = 64;
const SEARCH_PAUSE_MAX: usize = 16;

/// The class of the blocks that maps are in.
pub const MAP_CLASS: Class = class_of(size_of::<Map>());

/// The books of mixed chunks. All zero at first.
///
/// Identity: there are `maps_taken` - `maps_returned` mixed chunks.
pub struct Mixed {
    /// Those that serve.
    queue: ChunkQueue,
    /// Blocks taken for maps, ever. No figure counts them as anybody's.
    pub maps_taken: u64,
    /// Those of them that were freed, ever.
    pub maps_returned: u64,
    /// Chunks to acquire until the next search for a sparse one, from now on and after the last search.
    pause_left: usize,
    pause: usize,
}

impl Mixed {
    /// Mixed chunks now.
    pub fn chunks(&self) -> u64 {
        self.maps_taken - self.maps_returned
    }

    /// Notes whether a search for a sparse chunk was of use: if not, the next one may wait.
    fn note_search(&mut self, was_of_use: bool, used_units: usize) {
        let longest = (used_units / SEARCH_PART).min(SEARCH_PAUSE_MAX);
        self.pause = if was_of_use { 0 } else { (self.pause * 2 + 1).min(longest) };
        self.pause_left = self.pause;
    }
}

impl ChunkHeader {
    /// The map of a mixed chunk.
    fn map(&self) -> *mut Map {
        ptr::with_exposed_provenance_mut(self.large_bytes)
    }

    /// Asks for a look by the slow path before too many frees of a mixed chunk wait for it.
    fn arm_mixed(&mut self) {
        debug_assert!(self.free.is_null() && self.carved > 0);
        self.arm(self.carved.min(FREES_MAX));
    }
}

/// The granule that starts at `block`, which lies in the chunk of `header`.
fn granule_of(header: *mut ChunkHeader, block: *mut FreeBlock) -> usize {
    (block.addr() - unit_base(header).addr()) / GRANULE
}

impl RawPool {
    /// Blocks for `class`, at most `most`, from mixed chunks, or from one that becomes mixed if memory would have to grow
    /// otherwise. Null if none has room.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    pub(super) unsafe fn take_mixed(&mut self, class: Class, most: u32) -> *mut FreeBlock {
        if !self.may_mix(class) {
            return ptr::null_mut();
        }
        // SAFETY: the queue holds live mixed chunks.
        unsafe {
            let list = self.search_mixed(class, most);
            if !list.is_null() || self.segments.dirty_units > 0 {
                return list;
            }
            if self.mixed.pause_left > 0 {
                self.mixed.pause_left -= 1;
                return list;
            }
            let list = if self.mix_sparse_chunk() { self.search_mixed(class, most) } else { list };
            self.mixed.note_search(!list.is_null(), self.segments.used_units);
            list
        }
    }

    /// A block for `class` from a sparse chunk that becomes mixed now, whatever became of the last one; null if there is
    /// none of use.
    ///
    /// # Safety
    /// As [`RawPool::take_mixed`].
    pub(super) unsafe fn mix_and_take(&mut self, class: Class) -> *mut FreeBlock {
        // SAFETY: the caller's promise.
        unsafe {
            if self.may_mix(class) && self.mix_sparse_chunk() { self.search_mixed(class, 1) } else { ptr::null_mut() }
        }
    }

    /// Whether blocks for `class` may be in mixed chunks.
    fn may_mix(&self, class: Class) -> bool {
        // Tools and hardened pools watch blocks, which must stay where they are.
        class != MAP_CLASS && !self.is_hardened() && !cfg!(feature = "memory-tools")
    }

    /// # Safety
    /// As [`RawPool::take_mixed`].
    unsafe fn search_mixed(&mut self, class: Class, most: u32) -> *mut FreeBlock {
        let mut header = self.mixed.queue.head;
        for _ in 0..CHUNKS_SEEN {
            if header.is_null() {
                break;
            }
            // SAFETY: the queue holds live mixed chunks; the next one is read before this one may leave it.
            unsafe {
                let next = (*header).next;
                if (*header).free.is_null() || self.settle_mixed(header) {
                    let list = self.serve_mixed(header, class, most);
                    let has_room = (*(*header).map()).free >= SERVING_FREE_MIN;
                    if list.is_null() || !has_room {
                        self.mixed.queue.remove(header);
                        if has_room {
                            self.mixed.queue.push_back(header);
                        }
                    }
                    if !list.is_null() {
                        return list;
                    }
                }
                header = next;
            }
        }
        ptr::null_mut()
    }

    /// Blocks for `class`, at most `most`, from what is free in a mixed chunk: a list in address order but for its end.
    ///
    /// # Safety
    /// `header` is a live mixed chunk of this pool whose freed blocks are all on its map.
    unsafe fn serve_mixed(&mut self, header: *mut ChunkHeader, class: Class, most: u32) -> *mut FreeBlock {
        let (base, size) = (unit_base(header), block_size(class));
        let most = most.min((SERVED_BYTES / size).max(1) as u32);
        let mut list: *mut FreeBlock = ptr::null_mut();
        let mut end = &raw mut list;
        let mut count = 0;
        // SAFETY: the caller's promise; what the map gives is nobody's, and lies in the chunk.
        unsafe {
            let map = (*header).map();
            (*map).serve(size / GRANULE, size.is_multiple_of(16), most, |granule| {
                let block = base.add(granule * GRANULE).cast::<FreeBlock>();
                *end = block;
                end = &raw mut (*block).next;
                count += 1;
            });
            *end = ptr::null_mut();
            if count == 0 {
                return list;
            }
            if (*map).holes != 0 {
                let mut block = list;
                while !block.is_null() {
                    let filled = (*map).fill_holes(granule_of(header, block), size / GRANULE);
                    self.holes.count_filled(filled);
                    block = (*block).next;
                }
            }
            (*header).carved += count;
            (*header).arm_mixed();
        }
        self.classes[class].handed += u64::from(count);
        list
    }

    /// Brings the freed blocks of a mixed chunk to its map. False if no block is left in use: then the chunk is gone.
    ///
    /// # Safety
    /// `header` is a live mixed chunk of this pool.
    pub(super) unsafe fn settle_mixed(&mut self, header: *mut ChunkHeader) -> bool {
        // SAFETY: the caller's promise; the list holds blocks of this chunk, which the map knows.
        unsafe {
            let map = (*header).map();
            let mut block = (*header).free;
            while !block.is_null() {
                let granule = granule_of(header, block);
                if !(*map).starts_at(granule) {
                    corrupt(header, "a block of it was freed twice");
                }
                let granules = (*map).give_back(granule);
                self.classes[class_of(granules * GRANULE)].returned += 1;
                (*header).carved -= 1;
                block = (*block).next;
            }
            (*header).free = ptr::null_mut();
            if (*header).carved == 0 {
                self.release_mixed(header);
                return false;
            }
            (*header).listed = 0;
            (*header).armed = (*header).countdown;
            (*header).arm_mixed();
            if (*header).queued == 0 && (*map).free >= SERVING_AGAIN_FREE_MIN {
                self.mixed.queue.push(header);
            }
            true
        }
    }

    /// Gives a mixed chunk back to the segments.
    ///
    /// # Safety
    /// `header` is a live mixed chunk of this pool without a block in use.
    unsafe fn release_mixed(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; the map is no mixed chunk's block, so its free touches no other.
        unsafe {
            if (*header).queued != 0 {
                self.mixed.queue.remove(header);
            }
            let map = (*header).map();
            self.forget_holes((*map).holes);
            self.segments.release(unit_base(header), (*header).unit as usize, 1);
            self.mixed.maps_returned += 1;
            self.free(map.cast());
        }
    }

    /// Makes a sparse chunk mixed. False when there is none, or no memory for its map.
    ///
    /// # Safety
    /// As [`RawPool::take_mixed`].
    unsafe fn mix_sparse_chunk(&mut self) -> bool {
        let Some(header) = (1..CLASS_COUNT).find_map(|class| self.sparse_chunk_of(class)) else {
            return false;
        };
        // SAFETY: `sparse_chunk_of` gives live, queued chunks with freed blocks.
        unsafe {
            // A chunk that was kept as the only one with free blocks, before there were others.
            if (*header).used_count() == 0 {
                self.release_chunk(header);
                return false;
            }
        }
        let map = self.take_map();
        if map.is_null() {
            return false;
        }
        // SAFETY: as above, and no map came out of that chunk.
        unsafe { self.make_mixed(header, map) };
        true
    }

    /// A sparse chunk of `class`, if it has many. A class that needs most of its chunks keeps all of them.
    fn sparse_chunk_of(&self, class: Class) -> Option<*mut ChunkHeader> {
        let state = &self.classes[class];
        let chunks = state.chunks_acquired - state.chunks_released;
        if chunks < SPARSE_CHUNKS_MIN || class == MAP_CLASS {
            return None;
        }
        let (mut sparse, mut last) = (0, None);
        let mut header = state.queue.head;
        for _ in 0..SPARSE_CHUNKS_SEEN {
            // SAFETY: chunks in the queue are live; those with freed blocks come first.
            unsafe {
                if header.is_null() || (*header).free.is_null() {
                    break;
                }
                if (*header).used_count() <= (*header).carved / SPARSE_USED_PART {
                    sparse += 1;
                    last = Some(header);
                }
                header = (*header).next;
            }
        }
        let needed = chunks.min(SPARSE_CHUNKS_SEEN) / SPARSE_PART;
        last.filter(|_| sparse >= needed.max(SPARSE_CHUNKS_MIN / 2))
    }

    /// A block for a map; null when there is no memory for it.
    fn take_map(&mut self) -> *mut Map {
        let block = self.lists.free[MAP_CLASS];
        let block = if block.is_null() {
            self.fill_list(MAP_CLASS, u32::MAX).cast()
        } else {
            // SAFETY: the list holds free blocks of this pool.
            self.lists.free[MAP_CLASS] = unsafe { (*block).next };
            block
        };
        // SAFETY: a block of this pool that nobody has.
        unsafe {
            // When there is no memory, it may be of a larger class, and so perhaps of the chunk that is to be mixed.
            if !block.is_null() && self.class_of_block(block.cast()) != MAP_CLASS {
                self.free(block.cast());
                return ptr::null_mut();
            }
        }
        self.mixed.maps_taken += u64::from(!block.is_null());
        block.cast()
    }

    /// # Safety
    /// `header` is a queued chunk of small blocks of this pool with freed ones and with used ones, `map` a block for its
    /// map.
    unsafe fn make_mixed(&mut self, header: *mut ChunkHeader, map: *mut Map) {
        let base = unit_base(header);
        // SAFETY: the caller's promise.
        unsafe {
            let (class, unit) = ((*header).class as Class, (*header).unit as usize);
            let size = block_size(class);
            map.write(Map::EMPTY);
            if unit == 0 {
                (*map).take(0, FIRST_UNIT_START / GRANULE);
            } else {
                (*map).take(granule_of(header, header.cast()), HEADER_SIZE / GRANULE);
            }
            let free = BlockSet::free_of(header);
            for range in carved_ranges(header) {
                for offset in range.step_by(size) {
                    if !free.contains(offset) && !(*header).in_hole(offset, size) {
                        (*map).take(offset / GRANULE, size / GRANULE);
                    }
                }
            }
            (*map).holes = (*header).holes();

            let state = &mut self.classes[class];
            state.queue.remove(header);
            if state.carving == header {
                state.carving = ptr::null_mut();
            }
            state.returned += u64::from((*header).free_count());
            state.chunks_released += 1;
            let used = (*header).used_count();
            header.write(ChunkHeader {
                carved: used,
                kind: ChunkKind::Mixed as u8,
                large_bytes: map.expose_provenance(),
                ..ChunkHeader::new_small(base, unit, 0, ptr::from_mut(self).cast())
            });
            (*header).arm_mixed();
            self.mixed.queue.push(header);
        }
    }

    /// Whether nothing is in use at an address in a mixed chunk.
    ///
    /// # Safety
    /// `header` is a live mixed chunk that `block` lies in.
    pub(super) unsafe fn is_free_in_mixed(header: *mut ChunkHeader, block: *mut u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { !(*(*header).map()).is_used(granule_of(header, block.cast())) }
    }

    /// The class of the block in use that starts at `block` in a mixed chunk; 0 where none starts.
    ///
    /// # Safety
    /// `header` is a live mixed chunk that `block` lies in.
    pub(super) unsafe fn class_in_mixed(header: *mut ChunkHeader, block: *mut u8) -> Class {
        let granule = granule_of(header, block.cast());
        // SAFETY: the caller's promise.
        let (map, unit) = unsafe { (&*(*header).map(), (*header).unit) };
        let reserved = block.addr() == header.addr() || (unit == 0 && granule == 0);
        if !block.addr().is_multiple_of(GRANULE) || reserved || !map.starts_at(granule) {
            return 0;
        }
        class_of(map.length_at(granule) * GRANULE)
    }

    /// Gives back the pages of mixed chunks that serve which have no block in use.
    pub(super) fn purge_mixed_pages(&mut self) {
        let mut header = self.mixed.queue.head;
        while !header.is_null() {
            // SAFETY: the queue holds live mixed chunks; the next one is read before this one may leave it. Pages without
            // a granule in use hold nothing that anybody needs.
            unsafe {
                let next = (*header).next;
                if (*header).free.is_null() || self.settle_mixed(header) {
                    let map = (*header).map();
                    let idle = (*map).idle_pages();
                    (*map).holes |= idle;
                    self.purge_holes(unit_base(header), idle);
                }
                header = next;
            }
        }
    }

    /// Bytes that lie free in mixed chunks that are sparse, and not in holes.
    pub(super) fn sparse_mixed_bytes(&self) -> usize {
        let (mut bytes, mut header) = (0, self.mixed.queue.head);
        while !header.is_null() {
            // SAFETY: the queue holds live mixed chunks.
            unsafe {
                let map = (*header).map();
                if (*map).free >= GRANULES as u32 - GRANULES as u32 / SPARSE_USED_PART {
                    bytes += (*map).free as usize * GRANULE - (*map).holes.count_ones() as usize * PAGE_SIZE;
                }
                header = (*header).next;
            }
        }
        bytes
    }

    /// Checks one mixed chunk. Returns its freed blocks that are not on its map yet, and how many of its pages are holes.
    ///
    /// # Safety
    /// `header` is the header of a mixed chunk, as its kind says.
    pub(super) unsafe fn check_mixed(&self, header: *mut ChunkHeader) -> Result<(HashSet<usize>, usize), Violation> {
        let broken = |what: &str| format!("mixed chunk {header:p}: {what}");
        // SAFETY: the caller's promise; the map is a block of this pool if the books are right, which is checked first.
        unsafe {
            let chunk = &*header;
            let map_block = chunk.map().cast::<u8>();
            require(self.owns(map_block) && self.class_of_block(map_block) == MAP_CLASS, || broken("no map"))?;
            let map = &*chunk.map();
            require(map.is_consistent(), || broken("its map contradicts itself"))?;
            let blocks = map.all_starts().filter(|&granule| {
                let block = unit_base(header).add(granule * GRANULE);
                let class = RawPool::class_in_mixed(header, block);
                class != 0 && block_size(class) == map.length_at(granule) * GRANULE
            });
            let starts = map.all_starts().count();
            require(blocks.count() + 1 == starts && chunk.carved as usize + 1 == starts, || {
                broken("blocks miscounted")
            })?;
            let armed = (1..=FREES_MAX.min(chunk.carved)).contains(&chunk.armed);
            require(armed && chunk.listed == 0 && chunk.countdown > 0, || broken("its countdown is wrong"))?;
            let mut freed = HashSet::new();
            let mut block = chunk.free;
            while !block.is_null() {
                let here = unit_base(block.cast()) == unit_base(header);
                let starts = here && RawPool::class_in_mixed(header, block.cast()) != 0;
                require(starts && freed.insert(block.addr()), || broken("a freed block is none, or freed twice"))?;
                block = (*block).next;
            }
            require(freed.len() == chunk.free_count() as usize, || broken("freed blocks miscounted"))?;
            Ok((freed, map.holes.count_ones() as usize))
        }
    }

    /// Checks the queue of mixed chunks, given all there are.
    pub(super) fn check_mixed_queue(
        &self,
        all: impl Fn(*mut ChunkHeader) -> bool,
        count: u64,
    ) -> Result<(), Violation> {
        let mut queued = HashSet::new();
        let mut header = self.mixed.queue.head;
        while !header.is_null() {
            let known = all(header) && queued.insert(header.addr());
            require(known, || format!("mixed chunk {header:p}: queued twice, or none"))?;
            // SAFETY: just checked to be a live mixed chunk.
            unsafe {
                require((*header).queued == 1, || format!("mixed chunk {header:p}: queued, and does not know"))?;
                header = (*header).next;
            }
        }
        require(self.mixed.chunks() == count, || "mixed chunks do not add up".into())
    }
}
