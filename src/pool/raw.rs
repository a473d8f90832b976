//! The pool itself: fast path and slow path of allocate, free and reallocate.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::bootstrap::{Bootstrap, POOL_OFFSET};
use super::chunk::{self, ChunkKind, ChunkQueue, is_sound, unit_base};
use super::hardened::{self, Hardened};
use super::holes::Holes;
use super::layout::{AllocationLists, CHUNK_SIZE, CLASS_COUNT, ChunkHeader, FreeBlock, SMALL_MAX, header_of};
use super::memory::Memory;
use super::sample::{Core, Sampler};
use super::segment::Segments;
use super::size_class::{Class, block_size, class_of, class_of_aligned};
use crate::{faults, memory_tools, os};

/// The books of one size class.
///
/// An allocation list may have blocks of a larger class, see [`RawPool::donor`]; books are kept by the class
/// that the block's chunk is of. Identities: allocations = `handed` - blocks on allocation lists; frees = `returned` + the sum of
/// `free_count()` over the class's chunks; live = allocations - frees.
#[repr(C)]
pub struct ClassState {
    /// Chunks that have freed blocks.
    pub queue: ChunkQueue,
    /// The chunk that still has blocks to carve; may be in the queue as well.
    pub carving: *mut ChunkHeader,
    /// Blocks put on an allocation list, ever.
    pub handed: u64,
    /// Freed blocks taken back from chunks, ever.
    pub returned: u64,
    /// Chunks acquired, ever.
    pub chunks_acquired: u64,
    /// Chunks released, ever.
    pub chunks_released: u64,
    /// Free blocks of the bootstrap unit that wait until the class would need another chunk.
    pub parked: *mut FreeBlock,
    /// Length of `parked`.
    pub parked_count: u32,
    /// `chunk_clock` when the class last took a list, to tell classes in use from those that only hold memory.
    pub last_taken: u64,
    /// Bytes taken from the bootstrap unit.
    pub bootstrap_bytes: u32,
    /// Blocks of the bootstrap unit freed, as far as [`BUSY_FREES`].
    pub bootstrap_frees: u32,
}

impl ClassState {
    /// The next blocks, of `size` bytes and no more than `most`, of the chunk being carved.
    ///
    /// # Safety
    /// `carving` is a live chunk of this class with blocks left.
    unsafe fn carve(&mut self, size: usize, most: u32) -> *mut FreeBlock {
        // SAFETY: the caller's promise.
        unsafe {
            let (list, count) = chunk::carve(self.carving, size, most);
            if !(*self.carving).can_carve() {
                self.carving = ptr::null_mut();
            }
            self.handed += u64::from(count);
            list
        }
    }

    /// The parked blocks; null if there are none.
    fn take_parked(&mut self) -> *mut FreeBlock {
        let taken = self.parked;
        self.handed += u64::from(self.parked_count);
        (self.parked, self.parked_count) = (ptr::null_mut(), 0);
        taken
    }
}

/// A class that frees this many blocks of the bootstrap unit is busy, and gets a chunk: there a free is cheap, here
/// every one takes the slow path.
const BUSY_FREES: u32 = 32;

/// A class that took no list while all classes together acquired this many chunks may give blocks to a neighbour.
const STALE_CHUNKS: u64 = 2;

/// What every state with the standard libraries writes to of the pool's first unit, at least: header, pool, and blocks.
const POPULATED_BYTES: usize = 32 * 1024;

/// The books of large blocks.
pub struct LargeBooks {
    /// All large blocks, newest first.
    pub head: *mut ChunkHeader,
    /// Large blocks handed out, ever.
    pub allocations: u64,
    /// Large blocks freed, ever.
    pub frees: u64,
    /// Bytes asked for, of all live large blocks.
    pub live_bytes: usize,
}

/// What was counted up to the last [`RawPool::reset_counts`].
pub(super) struct CountsBefore {
    /// Allocations and frees of each class.
    pub classes: [(u64, u64); CLASS_COUNT - 1],
    /// Allocations and frees of large blocks.
    pub large: (u64, u64),
    pub purged_bytes: u64,
    pub limit_refusals: u64,
}

/// A pool, as it lies in its own first unit. All zero but for a few fields, so that a page of it that is never needed
/// is never touched.
///
/// The accounting identity, which [`RawPool::verify`] checks: every unit mapped is used or free; every used unit is
/// the bootstrap unit, a chunk of one class, or part of a large block; every block carved is live, on its class's
/// allocation list, or on its chunk's free list, and on one of them only.
#[repr(C)]
pub struct RawPool {
    /// Must stay first: the C fast path takes the pool's address for the address of the lists.
    pub lists: AllocationLists,
    pub(super) segments: Segments,
    pub(super) bootstrap: Bootstrap,
    pub(super) large: LargeBooks,
    /// The checker runs after this many events of the slow path for every unit in use; 0 = never.
    pub(super) check_interval: u32,
    pub(super) check_countdown: u32,
    /// The layer of a hardened pool; null in others.
    pub(super) hardened: *mut Hardened,
    /// The pool ends with its only state: whoever closes the state drops the pool right afterwards.
    pub ends_with_state: bool,
    /// Chunks acquired by all classes, ever.
    chunk_clock: u64,
    pub(super) classes: [ClassState; CLASS_COUNT],
    pub(super) counted_before: CountsBefore,
    pub(super) holes: Holes,
    /// What the Lua core on this pool can tell; null if it is none with the fast path.
    pub(super) core: *const Core,
    /// The profile that is on.
    pub(super) sampler: Option<Box<Sampler>>,
}

impl RawPool {
    /// Maps a new pool. `None` when there is no memory for it.
    pub fn create(mut memory: Memory) -> Option<NonNull<RawPool>> {
        let first = memory.map_first()?;
        let base = first.base.as_ptr();
        // SAFETY: the mapping is nobody else's, and large enough for header, descriptor and pool in its first unit. A
        // pool that is all zero but for its memory, which has no destructor to run on what was there, is valid.
        unsafe {
            let pool = base.add(POOL_OFFSET).cast::<RawPool>();
            if first.is_zero {
                os::populate(first.base, POPULATED_BYTES);
            } else {
                pool.write_bytes(0, 1);
            }
            (&raw mut (*pool).segments.memory).write(memory);
            (*pool).segments.adopt_first(&first);
            (*pool).bootstrap = Bootstrap::new(size_of::<RawPool>());
            let mut header = ChunkHeader::new_small(base, 0, 0, pool.cast());
            header.kind = ChunkKind::Bootstrap as u8;
            header_of(base).write(header);
            memory_tools::pool_created(pool);
            NonNull::new(pool)
        }
    }

    /// Gives all of the pool's memory back to the system, live blocks included.
    ///
    /// # Safety
    /// `pool` is from [`RawPool::create`]; neither it nor any of its blocks is used again.
    pub unsafe fn destroy(pool: NonNull<RawPool>) {
        // SAFETY: the caller's promise; the large list holds live headers, and the segments go last because the pool
        // lies in one of them.
        unsafe {
            let pool = pool.as_ptr();
            memory_tools::pool_destroyed(pool);
            (*pool).drop_hardened();
            drop((*pool).stop_sampling());
            let mut header = (*pool).large.head;
            while !header.is_null() {
                let next = (*header).next;
                if (*header).kind == ChunkKind::Direct as u8 {
                    (*pool).segments.unmap_direct(unit_base(header), (*header).cursor as usize);
                }
                header = next;
            }
            (*pool).segments.unmap_all();
        }
    }

    /// Whether a pool can be at an address, as far as the address tells.
    pub fn may_be_at(address: *const u8) -> bool {
        !address.is_null() && address.addr() % CHUNK_SIZE == POOL_OFFSET
    }

    /// The unit that the pool lies in.
    pub(super) fn base(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast::<u8>().wrapping_sub(POOL_OFFSET)
    }

    /// A block of at least `size` bytes, aligned to 8 bytes, to 16 if `aligned`. Null when there is no memory, and
    /// for sizes that cannot be.
    ///
    /// Cost of the fast path: load the list's head, load its next, store it.
    #[inline(always)]
    pub fn allocate(&mut self, size: usize, aligned: bool) -> *mut u8 {
        if size > SMALL_MAX {
            return self.allocate_large(size);
        }
        if size == 0 {
            return ptr::null_mut();
        }
        let class = if aligned { class_of_aligned(size) } else { class_of(size) };
        self.allocate_class(class)
    }

    #[inline(always)]
    fn allocate_class(&mut self, class: Class) -> *mut u8 {
        let block = self.lists.free[class];
        if block.is_null() {
            return self.refill(class, ptr::null_mut());
        }
        // SAFETY: the list holds free blocks of this pool, each large enough for its link.
        self.lists.free[class] = unsafe { (*block).next };
        block.cast()
    }

    /// Frees a block. Cost of the fast path: one mask, one push, one decrement.
    ///
    /// # Safety
    /// `block` is a live block of this pool; nobody uses it any more.
    #[inline(always)]
    pub unsafe fn free(&mut self, block: *mut u8) {
        let header = header_of(block);
        // SAFETY: the caller's promise; every block of a pool has a header at the address `header_of` computes.
        unsafe {
            let block = block.cast::<FreeBlock>();
            (*block).next = (*header).free;
            (*header).free = block;
            (*header).countdown -= 1;
            if (*header).countdown == 0 {
                self.free_slow(header);
            }
        }
    }

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
        let pool = ptr::from_ref(self);
        let state = &mut self.classes[class];
        // An idle state has acquired nothing, and leaves the page alone.
        if state.last_taken != self.chunk_clock {
            state.last_taken = self.chunk_clock;
        }
        let header = state.queue.head;
        if header.is_null() {
            return None;
        }
        // SAFETY: a chunk in the queue is live and has freed blocks or else holes.
        unsafe {
            if !is_sound(header, pool) {
                corrupt(header);
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
    /// a class next door that no longer needs its blocks, or a new chunk.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    unsafe fn take_fresh(&mut self, class: Class, most: u32) -> *mut FreeBlock {
        let base = self.base();
        let pool = ptr::from_mut(self).cast::<u8>();
        let state = &mut self.classes[class];
        let size = block_size(class);
        // SAFETY: `carving` is null or a live chunk of this class with blocks left; a fresh unit becomes one before
        // it is carved.
        unsafe {
            if state.carving.is_null() {
                if state.bootstrap_frees < BUSY_FREES
                    && let Some(block) = self.bootstrap.allocate(base, class, &mut state.bootstrap_bytes)
                {
                    let block = block.cast::<FreeBlock>();
                    (*block).next = ptr::null_mut();
                    state.handed += 1;
                    return block;
                }
                if state.chunks_acquired > 0 {
                    if !state.parked.is_null() {
                        return state.take_parked();
                    }
                    if let Some(donor) = self.donor(class) {
                        return self.take_freed(donor, most).unwrap_or(ptr::null_mut());
                    }
                }
                let Some((unit_start, unit)) = self.segments.acquire(1) else {
                    return self.last_resort(class);
                };
                let header = header_of(unit_start.as_ptr());
                header.write(ChunkHeader::new_small(unit_start.as_ptr(), unit, class, pool));
                if let Some(hardened) = self.hardened.as_mut() {
                    hardened.chunk_created(unit_start.as_ptr());
                }
                self.chunk_clock += 1;
                let state = &mut self.classes[class];
                state.carving = header;
                state.chunks_acquired += 1;
            }
            if !is_sound(self.classes[class].carving, self) {
                corrupt(self.classes[class].carving);
            }
            self.classes[class].carve(size, most)
        }
    }

    /// When there is no memory for another chunk: parked blocks, or those of any class with larger blocks. A script at
    /// its limit can still make a short string as long as any block is free. Null when there is none.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    unsafe fn last_resort(&mut self, class: Class) -> *mut FreeBlock {
        let parked = self.classes[class].take_parked();
        if !parked.is_null() {
            return parked;
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

    /// A class with blocks of up to twice the size that has taken none for long, but holds a chunk that is mostly
    /// free. Sizes drift in programs that run for long; without this every size once used keeps its chunks.
    ///
    /// # Safety
    /// None beyond `self`'s own invariants.
    unsafe fn donor(&self, class: Class) -> Option<Class> {
        let largest = block_size(class) * 2;
        let stride = if block_size(class).is_multiple_of(16) { 16 } else { 8 };
        (class + 1..CLASS_COUNT).take_while(|&other| block_size(other) <= largest).find(|&other| {
            let state = &self.classes[other];
            let header = state.queue.head;
            // SAFETY: a chunk in the queue is live.
            !header.is_null()
                && block_size(other).is_multiple_of(stride)
                && state.last_taken + STALE_CHUNKS < self.chunk_clock
                && unsafe { (*header).used_count() < (*header).free_count() }
        })
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
                corrupt(header);
            }
            match (*header).kind {
                kind if kind == ChunkKind::Small as u8 => self.chunk_event(header),
                kind if kind == ChunkKind::Bootstrap as u8 => self.free_bootstrap(header),
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
            let state = &mut self.classes[class];
            state.returned += 1;
            if state.bootstrap_frees < BUSY_FREES && !faults::every_request() {
                state.bootstrap_frees += 1;
                state.handed += 1;
                (*block).next = self.lists.free[class];
                self.lists.free[class] = block;
            } else {
                (*block).next = state.parked;
                state.parked = block;
                state.parked_count += 1;
            }
        }
    }

    /// The class of a block of 1 to [`SMALL_MAX`] bytes; 0 for a large block.
    ///
    /// # Safety
    /// `block` is a block of this pool, in use or free.
    #[inline]
    pub(super) unsafe fn class_of_block(&self, block: *mut u8) -> Class {
        let header = header_of(block);
        // SAFETY: the caller's promise.
        unsafe {
            match (*header).kind {
                kind if kind == ChunkKind::Bootstrap as u8 => self.bootstrap.class_at(self.base(), block),
                _ => (*header).class as Class,
            }
        }
    }

    /// Bytes that `block` can hold.
    ///
    /// # Safety
    /// `block` is a live block of this pool.
    pub unsafe fn usable_size(&self, block: *mut u8) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            match self.class_of_block(block) {
                0 => (*header_of(block)).large_bytes,
                class => block_size(class),
            }
        }
    }

    /// Changes the size of a block to `new_size` bytes (not 0), moving it if need be. Null when there is no memory
    /// for a larger one; the old block is then untouched. Making a block smaller never fails.
    ///
    /// # Safety
    /// `block` is a live block of this pool.
    pub unsafe fn reallocate(&mut self, block: *mut u8, new_size: usize, aligned: bool) -> *mut u8 {
        let header = header_of(block);
        // SAFETY: the caller's promise.
        unsafe {
            let large = (*header).kind >= ChunkKind::Run as u8;
            if large && new_size > SMALL_MAX {
                return self.reallocate_large(header, block, new_size);
            }
            let old_size = self.usable_size(block);
            if !large && new_size <= SMALL_MAX {
                let class = if aligned { class_of_aligned(new_size) } else { class_of(new_size) };
                if block_size(class) == old_size {
                    return block;
                }
            }
            let new = self.allocate(new_size, aligned);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, old_size.min(new_size));
                self.free(block);
                return new;
            }
            // No memory for a smaller copy, but the block as it is will do.
            if new_size <= old_size {
                if large {
                    self.shrink_large_in_place(header, block, new_size);
                }
                return block;
            }
            ptr::null_mut()
        }
    }

    /// Counts one event of the slow path, and runs the checker when its turn has come.
    #[inline]
    pub(super) fn checkpoint(&mut self) {
        if self.check_interval != 0 {
            self.check_countdown -= 1;
            if self.check_countdown == 0 {
                // A check walks the whole pool, so a larger pool is checked less often.
                let units = u32::try_from(self.segments.used_units).unwrap_or(u32::MAX);
                self.check_countdown = self.check_interval.saturating_mul(units).max(1);
                self.verify_or_abort();
            }
        }
    }

    /// The head of the list that allocations of `class` are served from.
    pub(super) fn list(&self, class: Class) -> *mut FreeBlock {
        // SAFETY: null, or the layer of this pool.
        unsafe { self.hardened.as_ref() }.map_or(self.lists.free[class], |hardened| hardened.list(class))
    }

    /// Runs the checker; a violation is printed and ends the process, for nothing in the pool can be trusted then.
    pub fn verify_or_abort(&self) {
        if let Err(violation) = self.verify() {
            eprintln!("lua_pool: the pool is corrupt: {violation}");
            std::process::abort();
        }
    }
}

/// Ends the process because of a header that somebody wrote across: what the pool does next would be anybody's guess.
#[cold]
#[inline(never)]
pub fn corrupt(header: *mut ChunkHeader) -> ! {
    eprintln!("lua_pool: the pool is corrupt: chunk {header:p}: somebody wrote across its header");
    std::process::abort();
}
