//! Small blocks of hardened pools: canaries around live ones, sealed links and a fill in free ones.

use core::ptr;

use super::super::chunk::{ChunkKind, is_sound};
use super::super::layout::{ChunkHeader, FreeBlock, SMALL_MAX, header_of};
use super::super::raw::RawPool;
use super::super::size_class::{block_size, class_of_aligned};
use super::super::verify::is_block_of;
use super::table::Known;
use super::{Hardened, Misuse, die};

/// Bytes before a small block: link and seal while it is free.
const BEFORE: usize = 16;

/// Least bytes of canary behind a small block.
const AFTER_MIN: usize = 8;

/// What freed memory holds. As an address it is one that no process has.
const FILL: u8 = 0xDB;

/// A link with its seal, at the start of what the pool takes for a free block.
#[repr(C)]
struct SealedLink {
    link: *mut FreeBlock,
    seal: u64,
}

const _: () = assert!(size_of::<SealedLink>() == BEFORE);

impl Hardened {
    fn seal(&self, block: *mut FreeBlock, link: *mut FreeBlock) -> u64 {
        self.keyed(block.addr(), link.addr() as u64)
    }

    /// Puts a free block on the list of `class`.
    ///
    /// # Safety
    /// The block is a free one of the pool, on no list.
    unsafe fn push(&mut self, class: usize, block: *mut FreeBlock) {
        let link = self.lists[class];
        let seal = self.seal(block, link);
        // SAFETY: the caller's promise; a block has room for a link and a seal.
        unsafe { block.cast::<SealedLink>().write(SealedLink { link, seal }) };
        self.lists[class] = block;
    }

    /// Seals the links of fresh blocks, up to the first that is no fresh one.
    ///
    /// # Safety
    /// `block` is the head of a list of the pool.
    unsafe fn seal_fresh(&self, mut block: *mut FreeBlock) {
        while !block.is_null() && matches!(self.known(block), Known::Foreign | Known::Nothing) {
            // SAFETY: the caller's promise; a block has room for a link and a seal.
            unsafe {
                let link = (*block).next;
                (*block.cast::<SealedLink>()).seal = self.seal(block, link);
                block = link;
            }
        }
    }

    fn known(&self, block: *mut FreeBlock) -> Known {
        self.table.look_up(block.addr() + BEFORE)
    }

    /// Whether somebody wrote around the live small block at `user`.
    ///
    /// # Safety
    /// It is one of `pool`, with `size` bytes.
    pub(super) unsafe fn check_small(&self, pool: &RawPool, user: *mut u8, size: usize) -> Result<(), Misuse> {
        let block = user.wrapping_sub(BEFORE);
        let header = header_of(block);
        // SAFETY: the caller's promise, and the header is checked before it is believed.
        unsafe {
            if !is_sound(header, pool) {
                return Err(Misuse::CorruptHeader { header: header.addr() });
            }
            if !self.has_canary(user, block, BEFORE) {
                return Err(Misuse::WriteBefore { block: user.addr(), size });
            }
            let behind = pool.usable_size(block) - BEFORE - size;
            if !self.has_canary(user, user.add(size), behind) {
                return Err(Misuse::WriteBeyond { block: user.addr(), size });
            }
        }
        Ok(())
    }

    /// Whether somebody wrote to the free small block whose user had it at `user`.
    ///
    /// # Safety
    /// It is one of `pool`.
    pub(super) unsafe fn check_free(&self, pool: &RawPool, user: *mut u8) -> Result<(), Misuse> {
        let block = user.wrapping_sub(BEFORE);
        let header = header_of(block);
        // SAFETY: the caller's promise, and the header is checked before it is believed.
        unsafe {
            let SealedLink { link, seal } = *block.cast();
            if !is_sound(header, pool) {
                return Err(Misuse::CorruptHeader { header: header.addr() });
            }
            if seal != self.seal(block.cast(), link) {
                return Err(Misuse::CorruptLink { block: user.addr() });
            }
            // Blocks are aligned to 16 bytes, and as long as a multiple of that.
            let fill = core::slice::from_raw_parts(user.cast::<u64>(), (pool.usable_size(block) - BEFORE) / 8);
            if fill.iter().any(|&word| word != u64::from_ne_bytes([FILL; 8])) {
                return Err(Misuse::WriteAfterFree { block: user.addr() });
            }
        }
        Ok(())
    }
}

/// Whether a block of `size` bytes is a small one.
pub(super) fn is_small(size: usize) -> bool {
    size <= SMALL_MAX - BEFORE - AFTER_MIN
}

fn class_for(size: usize) -> usize {
    class_of_aligned(BEFORE + size + AFTER_MIN)
}

/// Takes a block of `class`; null when there is no memory. The fill of one that was in use before is checked.
///
/// # Safety
/// `pool` is a live hardened pool.
unsafe fn take(pool: *mut RawPool, class: usize) -> *mut FreeBlock {
    // SAFETY: the caller's promise; blocks that were in use before are checked before their links are followed.
    unsafe {
        let hardened = (*pool).hardened;
        let mut block = (*hardened).lists[class];
        let fresh_list = block.is_null();
        if fresh_list {
            (*pool).check_next_list(class);
            block = (*pool).fill_list(class, u32::MAX).cast();
            if block.is_null() {
                return block;
            }
        }
        let link = (*block).next;
        let checked = match (*hardened).known(block) {
            Known::Freed => (*hardened).check_free(&*pool, block.cast::<u8>().add(BEFORE)),
            Known::Small(_) | Known::Large => Err(Misuse::CorruptLink { block: block.addr() + BEFORE }),
            // Fresh, and sealed unless it comes right from the pool.
            _ if fresh_list || (*block.cast::<SealedLink>()).seal == (*hardened).seal(block, link) => Ok(()),
            _ => Err(Misuse::CorruptLink { block: block.addr() + BEFORE }),
        };
        if let Err(misuse) = checked {
            die(misuse);
        }
        if fresh_list {
            // What the pool has put on its list is taken over; there may be less on it than there was.
            let rest = core::mem::replace(&mut (*pool).lists.free[class], ptr::null_mut());
            (*hardened).seal_fresh(rest);
            (*hardened).lists[class] = rest;
        } else {
            (*hardened).lists[class] = link;
        }
        block
    }
}

/// # Safety
/// `pool` is a live hardened pool.
pub(super) unsafe fn allocate_small(pool: *mut RawPool, size: usize) -> *mut u8 {
    let class = class_for(size);
    // SAFETY: the caller's promise; `take` hands out blocks that nobody has.
    unsafe {
        let block = take(pool, class);
        if block.is_null() {
            return ptr::null_mut();
        }
        let hardened = (*pool).hardened;
        let user = block.cast::<u8>().add(BEFORE);
        if !(*hardened).table.make_room(user.addr(), true) {
            (*hardened).push(class, block);
            return ptr::null_mut();
        }
        (*hardened).table.set_small(user.addr(), size);
        (*hardened).write_canary(user, block.cast(), BEFORE);
        let usable = (*pool).usable_size(block.cast());
        (*hardened).write_canary(user, user.add(size), usable - BEFORE - size);
        user
    }
}

/// # Safety
/// `user` is a live small block of `pool`, whose surroundings were checked.
pub(super) unsafe fn free_small(pool: *mut RawPool, user: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        let block = user.sub(BEFORE);
        let usable = (*pool).usable_size(block);
        user.write_bytes(FILL, usable - BEFORE);
        // The checker may run while the block is neither live nor sealed.
        (*(*pool).hardened).table.set_small(user.addr(), 0);
        let class = (*pool).class_of_block(block);
        let in_bootstrap = free_sealed(pool, block.cast());
        if in_bootstrap && !(*pool).lists.free[class].is_null() {
            (*pool).lists.free[class] = ptr::null_mut();
            (*(*pool).hardened).push(class, block.cast());
        }
        (*(*pool).hardened).table.set_freed(user.addr());
    }
}

/// Frees a block for the pool itself, with a sealed link. Whether it is in the bootstrap unit.
///
/// # Safety
/// `block` is a live block of `pool`, as the pool sees it.
pub unsafe fn free_sealed(pool: *mut RawPool, block: *mut FreeBlock) -> bool {
    // SAFETY: the caller's promise. Afterwards only the bootstrap unit is sure to be there still; its links change
    // while a block is freed, those of others are what was the head of the chunk's list.
    unsafe {
        let header = header_of(block.cast());
        let in_bootstrap = (*header).kind == ChunkKind::Bootstrap as u8;
        // The checker may run while the link is another than the sealed one.
        let user = block.addr() + BEFORE;
        let was_freed = (*(*pool).hardened).known(block) == Known::Freed;
        if was_freed {
            (*(*pool).hardened).table.set_small(user, 0);
        }
        let place = &raw mut (*block.cast::<SealedLink>()).seal;
        place.write((*(*pool).hardened).seal(block, (*header).free));
        (*pool).free(block.cast());
        if in_bootstrap {
            place.write((*(*pool).hardened).seal(block, (*block).next));
        }
        if was_freed {
            (*(*pool).hardened).table.set_freed(user);
        }
        in_bootstrap
    }
}

/// Gives a small block another size where it is: within its class, or whatever the new size if it `must`.
///
/// # Safety
/// `user` is a live small block of `pool`, which has room for `size` bytes if it `must`.
pub(super) unsafe fn resize_small(pool: *mut RawPool, user: *mut u8, size: usize, must: bool) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let usable = (*pool).usable_size(user.sub(BEFORE));
        if !must && (!is_small(size) || block_size(class_for(size)) != usable) {
            return false;
        }
        let hardened = (*pool).hardened;
        (*hardened).table.set_small(user.addr(), size);
        (*hardened).write_canary(user, user.add(size), usable - BEFORE - size);
        true
    }
}

impl RawPool {
    /// Checks what the next list of freed blocks will be taken from.
    ///
    /// # Safety
    /// The pool is a hardened one.
    unsafe fn check_next_list(&self, class: usize) {
        let check = |header: *mut ChunkHeader| {
            // SAFETY: what the pool's books name is the place of a header; what is in it is checked here.
            unsafe {
                let head = (*header).free.addr();
                let sound = is_sound(header, ptr::from_ref(self)) && (head == 0 || is_block_of(header, head));
                if !sound {
                    die(Misuse::CorruptHeader { header: header.addr() });
                }
            }
        };
        let state = &self.classes[class];
        for header in [state.queue.head, state.carving] {
            if !header.is_null() {
                check(header);
            }
        }
    }
}
