//! The slow path of small blocks: filling a class's allocation list, and what a chunk's countdown ends with.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::bootstrap::RANGE_MIN;
use super::chunk::{self, ChunkKind, is_sound, unit_base};
use super::hardened;
use super::layout::{CLASS_COUNT, ChunkHeader, FreeBlock, header_of};
use super::raw::{OVERWRITTEN, RawPool, corrupt};
use super::size_class::{Class, block_size};
use crate::faults;

impl RawPool {
    /// Fills the allocation list of `class` and takes one block from it; null when there is no memory, and in a
    /// hardened pool, where it must not come to this. `thread` is the Lua thread that wants it, null if that is not
    /// known.
    #[cold]
    #[inline(never)]
    pub fn refill(&mut self, class: Class, thread: *mut c_void) -> *mut u8 {
        if !self.hardened.is_null() {
            return hardened::report_wrong_function();
        }
        if self.sampler.is_some() { self.refill_sampled(class, thread) } else { self.fill_list(class, u32::MAX) }
    }

    /// Fills the allocation list of `class` with at most `most` blocks, where that can be chosen, and takes one of
    /// them, in any pool.
    #[inline]
    pub(super) fn fill_list(&mut self, class: Class, most: u32) -> *mut u8 {
        debug_assert!(self.lists.free[class].is_null());
        if faults::request_fails() {
            return ptr::null_mut();
        }
        // SAFETY: queue and carving chunk of a class hold live headers of this pool, whose blocks have this size.
        let list = unsafe { self.take_freed(class, most).unwrap_or_else(|| self.take_fresh(class, most)) };
        if list.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: `list` is a list of free blocks of this class.
        self.lists.free[class] = unsafe { (*list).next };
        self.segments.count_work();
        if faults::every_request() {
            self.take_back_list(class);
        }
        self.checkpoint();
        list.cast()
    }

    /// Frees what is on the allocation list of `class`, so that the next request takes the slow path again.
    fn take_back_list(&mut self, class: Class) {
        while let Some(block) = NonNull::new(self.lists.free[class]) {
            // SAFETY: the list holds free blocks of this pool; each is taken off it, and then nobody has it.
            unsafe {
                self.lists.free[class] = block.as_ref().next;
                if self.hardened.is_null() {
                    self.free(block.as_ptr().cast());
                } else {
                    hardened::free_sealed(self, block.as_ptr());
                }
            }
        }
    }

    /// The list of the queue's newest chunk, `most` blocks of it.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    unsafe fn take_freed(&mut self, class: Class, most: u32) -> Option<*mut FreeBlock> {
        // No class has a chunk yet: an idle state leaves the books of chunks alone.
        if !self.classes.are_open() {
            return None;
        }
        let pool = ptr::from_ref(self);
        let state = &mut self.classes[class];
        let header = state.queue.head;
        if header.is_null() {
            return None;
        }
        // SAFETY: a chunk in the queue is live and has freed blocks or else holes.
        unsafe {
            if !is_sound(header, pool) {
                corrupt(header, OVERWRITTEN);
            }
            if (*header).free.is_null() {
                return Some(self.fill_hole(class, header));
            }
            if most < (*header).free_count() {
                state.returned += u64::from(most);
                state.handed += u64::from(most);
                return Some(chunk::take_some(header, most));
            }
            state.queue.remove(header);
            let (list, count) = ((*header).free, (*header).free_count());
            (*header).free = ptr::null_mut();
            // Now every block counts as used; the next free makes the chunk available again.
            (*header).arm(1);
            (*header).listed = 0;
            if (*header).holes() != 0 {
                state.queue.push_back(header);
            }
            state.returned += u64::from(count);
            state.handed += u64::from(count);
            Some(list)
        }
    }

    /// Blocks from somewhere else than the class's own freed ones: from the chunk being carved, the bootstrap unit,
    /// mixed chunks, or a new chunk.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    unsafe fn take_fresh(&mut self, class: Class, most: u32) -> *mut FreeBlock {
        let base = self.base();
        let size = block_size(class);
        // SAFETY: `carving` is null or a live chunk of this class with blocks left.
        unsafe {
            if self.classes[class].carving.is_null() {
                let list = self.bootstrap.allocate(base, class, most);
                if !list.is_null() {
                    return list;
                }
                let state = &self.classes[class];
                if state.chunks_acquired > 0 {
                    if !state.parked.is_null() {
                        return self.classes[class].take_parked();
                    }
                    let list = self.take_mixed(class, most);
                    if !list.is_null() {
                        return list;
                    }
                }
                if !self.acquire_chunk(class) {
                    let used_units = self.segments.used_units;
                    let list = self.mix_and_take(class);
                    if !list.is_null() {
                        return list;
                    }
                    // The search may have set an empty chunk free.
                    if self.segments.used_units == used_units || !self.acquire_chunk(class) {
                        return self.last_resort(class);
                    }
                }
            }
            if !is_sound(self.classes[class].carving, self) {
                corrupt(self.classes[class].carving, OVERWRITTEN);
            }
            self.classes[class].carve(size, most)
        }
    }

    /// Gives `class` a new chunk to carve; false when there is no memory for one.
    fn acquire_chunk(&mut self, class: Class) -> bool {
        let Some((unit_start, unit)) = self.segments.acquire(1) else { return false };
        let pool = ptr::from_mut(self).cast::<u8>();
        let header = header_of(unit_start.as_ptr());
        // SAFETY: the unit is nobody's yet, and its header lies in it; the pool owns its books for hardened pools.
        unsafe {
            header.write(ChunkHeader::new_small(unit_start.as_ptr(), unit, class, pool));
            if let Some(hardened) = self.hardened.as_mut() {
                hardened.chunk_created(unit_start.as_ptr());
            }
        }
        let state = &mut self.classes[class];
        state.carving = header;
        state.chunks_acquired += 1;
        true
    }

    /// When there is no memory for another chunk: what is left of the bootstrap unit, parked blocks, or those of any
    /// class with larger blocks. A script at its limit can still make a short string as long as any block is free. Null
    /// when there is none.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    unsafe fn last_resort(&mut self, class: Class) -> *mut FreeBlock {
        let base = self.base();
        // SAFETY: the bootstrap unit is the one that the pool lies in.
        let (list, count) = unsafe { self.bootstrap.take(base, class, 1) };
        let state = &mut self.classes[class];
        state.handed += u64::from(count);
        if !list.is_null() {
            return list;
        }
        if !state.parked.is_null() {
            return state.take_parked();
        }
        let stride = if block_size(class).is_multiple_of(16) { 16 } else { 8 };
        for other in (class + 1..CLASS_COUNT).filter(|&other| block_size(other).is_multiple_of(stride)) {
            // SAFETY: queue and carving chunk of a class hold live headers of this pool, whose blocks have its size.
            unsafe {
                if let Some(list) = self.take_freed(other, u32::MAX) {
                    return list;
                }
                let state = &mut self.classes[other];
                if !state.carving.is_null() {
                    return state.carve(block_size(other), u32::MAX);
                }
            }
        }
        ptr::null_mut()
    }

    /// What [`RawPool::free`] does when a countdown ends.
    ///
    /// # Safety
    /// `header` is a live header of this pool whose countdown has just reached 0.
    #[cold]
    #[inline(never)]
    pub unsafe fn free_slow(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise.
        unsafe {
            if !is_sound(header, self) {
                corrupt(header, OVERWRITTEN);
            }
            match (*header).kind {
                kind if kind == ChunkKind::Small as u8 => self.chunk_event(header),
                kind if kind == ChunkKind::Bootstrap as u8 => self.free_bootstrap(header),
                kind if kind == ChunkKind::Mixed as u8 => {
                    self.settle_mixed(header);
                }
                _ => self.free_large(header),
            }
        }
        self.checkpoint();
    }

    /// A chunk got its first freed block, or its last used block was freed.
    ///
    /// # Safety
    /// As for [`RawPool::free_slow`], with a chunk of small blocks.
    unsafe fn chunk_event(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; `class` of a small chunk's header is a valid index.
        unsafe {
            let class = (*header).class as usize;
            let state = &mut self.classes[class];
            let used = (*header).used_count();
            if (*header).queued == 0 {
                state.queue.push(header);
            } else if used > 0 {
                // It had holes only, and waited behind those with freed blocks.
                state.queue.remove(header);
                state.queue.push(header);
            }
            (*header).arm(used);
            // The last chunk with free blocks is kept: the next burst starts with it.
            if used > 0 || state.queue.is_only(header) {
                return;
            }
            self.release_chunk(header);
        }
    }

    /// Gives a chunk with no used block back to the segments.
    ///
    /// # Safety
    /// `header` is a queued chunk of this pool, all of whose carved blocks are free.
    pub(super) unsafe fn release_chunk(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise.
        unsafe {
            let state = &mut self.classes[(*header).class as usize];
            state.queue.remove(header);
            if state.carving == header {
                state.carving = ptr::null_mut();
            }
            state.returned += u64::from((*header).carved);
            state.chunks_released += 1;
            if let Some(hardened) = self.hardened.as_mut() {
                hardened.chunk_released(unit_base(header));
            }
            self.forget_holes((*header).holes());
            self.segments.release(unit_base(header), (*header).unit as usize, 1);
        }
    }

    /// # Safety
    /// `header` is the bootstrap unit's, with one block on its list.
    unsafe fn free_bootstrap(&mut self, header: *mut ChunkHeader) {
        // SAFETY: the caller's promise; the block was carved from this unit, so its class is on the map.
        unsafe {
            let block = (*header).free;
            (*header).free = (*block).next;
            (*header).countdown = 1;
            let class = self.bootstrap.class_at(self.base(), block.cast());
            let busy = self.bootstrap.is_busy(class);
            // What tools or a hardened pool watch goes to its class as it is.
            let may_cut = self.hardened.is_null() && !cfg!(feature = "memory-tools");
            let to_list = !busy && !faults::every_request() && (!may_cut || block_size(class) < RANGE_MIN);
            if busy {
                self.classes[class].returned += 1;
            } else {
                self.bootstrap.count_free(class, to_list);
            }
            if to_list {
                (*block).next = self.lists.free[class];
                self.lists.free[class] = block;
            } else if may_cut {
                self.bootstrap.recycle(block);
            } else {
                let state = &mut self.classes[class];
                (*block).next = state.parked;
                state.parked = block;
                state.parked_count += 1;
            }
        }
    }
}
