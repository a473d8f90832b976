//! The pool itself: its books, how it comes and goes, and the fast path of allocate, free and reallocate.

use core::ptr::{self, NonNull};

use super::books::ClassBooks;
use super::bootstrap::{Bootstrap, POOL_OFFSET};
use super::chunk::{ChunkKind, unit_base};
use super::hardened::Hardened;
use super::holes::Holes;
use super::layout::{AllocationLists, CHUNK_SIZE, ChunkHeader, FreeBlock, SMALL_MAX, header_of};
use super::memory::Memory;
use super::mixed::Mixed;
use super::sample::{Core, Sampler};
use super::segment::Segments;
use super::size_class::{Class, block_size, class_of, class_of_aligned};
use crate::memory_tools;

/// What every state with the standard libraries writes to of the pool's first unit: header, pool, and blocks.
const POPULATED_BYTES: usize = 24 * 1024;

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

/// A pool, as it lies in its own first unit: all of it that an idle state needs. All zero at first but for a few fields.
///
/// The accounting identity, which [`RawPool::verify`] checks: every unit mapped is used or free; every used unit is
/// the bootstrap unit, a chunk of one class, a mixed chunk, or part of a large block; every block carved is live, on its
/// class's allocation list, or on its chunk's free list, and on one of them only.
#[repr(C)]
pub struct RawPool {
    /// Must stay first: the C fast path takes the pool's address for the address of the lists.
    pub lists: AllocationLists,
    pub(super) segments: Segments,
    pub(super) large: LargeBooks,
    /// The checker runs after this many events of the slow path for every unit in use; 0 = never.
    pub(super) check_interval: u32,
    pub(super) check_countdown: u32,
    /// The layer of a hardened pool; null in others.
    pub(super) hardened: *mut Hardened,
    /// The pool ends with its only state: whoever closes the state drops the pool right afterwards.
    pub ends_with_state: bool,
    pub(super) classes: ClassBooks,
    pub(super) holes: Holes,
    pub(super) mixed: Mixed,
    /// What the Lua core on this pool can tell; null if it is none with the fast path.
    pub(super) core: *const Core,
    /// The profile that is on.
    pub(super) sampler: Option<Box<Sampler>>,
    pub(super) bootstrap: Bootstrap,
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
                memory.populate(first.base, POPULATED_BYTES);
            } else {
                pool.write_bytes(0, 1);
            }
            (&raw mut (*pool).segments.memory).write(memory);
            (*pool).segments.adopt_first(&first);
            (&raw mut (*pool).classes).write(ClassBooks::closed(base));
            let mut header = ChunkHeader::new_small(base, 0, 0, pool.cast());
            header.kind = ChunkKind::Bootstrap as u8;
            header_of(base).write(header);
            memory_tools::pool_created(pool);
            NonNull::new(pool)
        }
    }

    /// Lets go of all of the pool's memory, live blocks included: to the system, its group, or the next pool.
    ///
    /// # Safety
    /// `pool` is from [`RawPool::create`]; neither it nor any of its blocks is used again.
    pub unsafe fn destroy(pool: NonNull<RawPool>) {
        // SAFETY: the caller's promise; the large list holds live headers, and the segments go last because the pool
        // lies in one of them.
        unsafe {
            let pool = pool.as_ptr();
            memory_tools::pool_destroyed(pool);
            // Whoever uses a hardened pool that is gone should notice.
            let keep_first = !(*pool).is_hardened();
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
            (*pool).segments.unmap_all(keep_first);
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
                kind if kind == ChunkKind::Mixed as u8 => RawPool::class_in_mixed(header, block),
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

/// What is wrong with a header that cannot be one.
pub const OVERWRITTEN: &str = "somebody wrote across its header";

/// Ends the process because of what is wrong with a chunk: what the pool does next would be anybody's guess.
#[cold]
#[inline(never)]
pub fn corrupt(header: *mut ChunkHeader, what: &str) -> ! {
    eprintln!("lua_pool: the pool is corrupt: chunk {header:p}: {what}");
    std::process::abort();
}
