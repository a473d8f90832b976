//! Hardened pools: misuse of memory ends the process with a line that names it, at the latest when the block is freed
//! or used again.
//!
//! A hardened pool is a pool like any other, with a layer between it and its users: all requests come through
//! [`request`], and every block is made longer. A small one:
//!
//! ```text
//!         | 16 bytes before | bytes asked for | canary: 8 bytes or more |
//! live    | canary          |                 | canary                  |
//! free    | link, seal      | fill                                      |
//! ```
//!
//! - The canary depends on a secret of the pool's and on the address. It is checked when the block is freed or resized,
//!   and by the checker.
//! - The link that the pool keeps in a free block lies outside of what its user had, and is sealed: the seal depends on
//!   the secret, the address and the link. It is checked before the link is followed.
//! - The fill is checked before the block is handed out again.
//! - Which blocks are live, and their sizes, is known from a table on the heap (`table`), where the heads of the lists
//!   are as well.
//!
//! Large blocks have pages without access around them: see `large`. The pool's own allocation lists stay empty, so
//! that a request that does not come through here finds nothing and is reported ([`RawPool::refill`]).

mod fault;
mod large;
mod misuse;
mod table;

use core::hash::{BuildHasher, Hasher};
use core::ptr;
use std::hash::RandomState;

use super::chunk::{ChunkKind, is_sound};
use super::layout::{CLASS_COUNT, ChunkHeader, FreeBlock, SMALL_MAX, header_of};
use super::raw::RawPool;
use super::size_class::{block_size, class_of_aligned};
use super::source::Origin;
use super::verify::is_block_of;
use crate::os;
use misuse::{Misuse, die};
use table::{Known, Table};

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

/// What a pool has besides if it is hardened.
pub struct Hardened {
    /// Heads of the lists of free blocks, in place of those in the pool.
    lists: [*mut FreeBlock; CLASS_COUNT],
    table: Table,
    secrets: [u64; 2],
    /// Bytes of a page, where large blocks can have pages without access around them.
    guard_bytes: Option<usize>,
}

impl Hardened {
    /// The layer of a new pool; its secrets come from the system's randomness. Pages of memory that is not the system's
    /// are not ours to protect: whoever gets it back must be able to use it.
    fn new(origin: Origin) -> Box<Hardened> {
        let can_guard = |bytes: &usize| matches!(origin, Origin::System) && *bytes <= large::GUARD_BYTES_MAX;
        // Two of these differ by one in what they hash with, not in what comes out.
        let secret = || RandomState::new().build_hasher().finish();
        Box::new(Hardened {
            lists: [ptr::null_mut(); CLASS_COUNT],
            table: Table::default(),
            secrets: [secret(), secret()],
            guard_bytes: Some(os::page_bytes()).filter(can_guard),
        })
    }

    /// The head of the list of `class`.
    pub fn list(&self, class: usize) -> *mut FreeBlock {
        self.lists[class]
    }

    /// To be told when a unit gets a chunk of small blocks: what was known of it is history.
    pub fn chunk_created(&mut self, base: *mut u8) {
        self.table.forget(base.addr());
    }

    /// To be told when a chunk of small blocks goes.
    pub fn chunk_released(&mut self, base: *mut u8) {
        self.table.retire(base.addr());
    }

    /// Gives back memory that is not needed for chunks that are gone.
    pub fn trim(&mut self) {
        self.table.trim();
    }

    /// A number that nobody can guess who does not know the secrets.
    fn keyed(&self, address: usize, value: u64) -> u64 {
        let mixed = (address as u64 ^ self.secrets[0]).wrapping_mul(self.secrets[1] | 1);
        let mixed = (mixed ^ mixed >> 32 ^ value).wrapping_mul(self.secrets[0] | 1);
        mixed ^ mixed >> 29
    }

    fn seal(&self, block: *mut FreeBlock, link: *mut FreeBlock) -> u64 {
        self.keyed(block.addr(), link.addr() as u64)
    }

    /// No byte of it is 0: a string that is one byte too long is the most common overflow.
    fn canary(&self, address: usize) -> [u8; 8] {
        (self.keyed(address, 0) | 0x0101_0101_0101_0101).to_ne_bytes()
    }

    /// Fills `length` bytes with the canary of the block at `user`.
    ///
    /// # Safety
    /// The range is the pool's, and nobody uses it.
    unsafe fn write_canary(&self, user: *mut u8, start: *mut u8, length: usize) {
        let canary = self.canary(user.addr());
        for offset in 0..length {
            // SAFETY: the caller's promise.
            unsafe { start.add(offset).write(canary[offset % 8]) };
        }
    }

    /// Whether the range still has the canary of the block at `user`.
    ///
    /// # Safety
    /// The range is the pool's.
    unsafe fn has_canary(&self, user: *mut u8, start: *mut u8, length: usize) -> bool {
        let canary = self.canary(user.addr());
        // SAFETY: the caller's promise.
        (0..length).all(|offset| unsafe { start.add(offset).read() } == canary[offset % 8])
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
    unsafe fn check_small(&self, pool: &RawPool, user: *mut u8, size: usize) -> Result<(), Misuse> {
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
    unsafe fn check_free(&self, pool: &RawPool, user: *mut u8) -> Result<(), Misuse> {
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

    /// What the checker wants to know: whether somebody wrote around a live block, or to a free one.
    pub fn verify(&self, pool: &RawPool) -> Result<(), Misuse> {
        let at = |address| pool.base().with_addr(address);
        for address in self.table.freed_small() {
            // SAFETY: the table knows the pool's free blocks.
            unsafe { self.check_free(pool, at(address)) }?;
        }
        for (address, size) in self.table.live_small() {
            // SAFETY: the table knows the pool's live blocks.
            unsafe { self.check_small(pool, at(address), size) }?;
        }
        for address in self.table.live_large() {
            // SAFETY: as above.
            unsafe { large::check(self, pool, at(address)) }?;
        }
        Ok(())
    }
}

/// What is known of a live block.
#[derive(Clone, Copy)]
struct Live {
    size: usize,
    large: bool,
}

/// The block at `user`, checked against what is known of it.
///
/// # Safety
/// `pool` is a live hardened pool.
unsafe fn live(pool: *mut RawPool, user: *mut u8, told: usize, resize: bool) -> Live {
    let block = user.addr();
    // SAFETY: the caller's promise; the table says that it is a live block, and what kind of.
    let checked = unsafe {
        let hardened = &*(*pool).hardened;
        match hardened.table.look_up(block) {
            Known::Foreign => Err(Misuse::Foreign { block }),
            Known::Nothing => Err(Misuse::NoBlock { block }),
            Known::Freed if resize => Err(Misuse::ResizeOfFreed { block }),
            Known::Freed => Err(Misuse::DoubleFree { block }),
            Known::Small(size) => hardened.check_small(&*pool, user, size).map(|()| Live { size, large: false }),
            Known::Large => large::check(hardened, &*pool, user).map(|size| Live { size, large: true }),
        }
    };
    match checked {
        // Some C modules say 0 of whatever they free.
        Ok(live) if told != 0 && told != live.size => die(Misuse::SizeMismatch { block, size: live.size, told }),
        Ok(live) => live,
        Err(misuse) => die(misuse),
    }
}

/// Whether a block of `size` bytes is a small one.
fn is_small(size: usize) -> bool {
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
unsafe fn allocate_small(pool: *mut RawPool, size: usize) -> *mut u8 {
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
unsafe fn free_small(pool: *mut RawPool, user: *mut u8) {
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
unsafe fn resize_small(pool: *mut RawPool, user: *mut u8, size: usize, must: bool) -> bool {
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

/// As `lua_pool_alloc`.
///
/// # Safety
/// `pool` is a live hardened pool that no other thread uses meanwhile.
pub unsafe fn request(pool: *mut RawPool, user: *mut u8, told: usize, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise; a block that is not a live one ends the process.
    unsafe {
        if user.is_null() {
            return allocate(pool, size);
        }
        let old = live(pool, user, told, size != 0);
        if size == 0 {
            free(pool, user, old);
            return ptr::null_mut();
        }
        if size == old.size || !old.large && resize_small(pool, user, size, false) {
            return user;
        }
        let new = allocate(pool, size);
        if !new.is_null() {
            ptr::copy_nonoverlapping(user, new, old.size.min(size));
            free(pool, user, old);
            return new;
        }
        if size > old.size {
            return ptr::null_mut();
        }
        // No memory for a smaller copy, but the block as it is will do.
        if old.large {
            large::shrink(pool, user, size);
        } else {
            resize_small(pool, user, size, true);
        }
        user
    }
}

/// # Safety
/// `pool` is a live hardened pool.
unsafe fn allocate(pool: *mut RawPool, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        match size {
            0 => ptr::null_mut(),
            _ if is_small(size) => allocate_small(pool, size),
            _ => large::allocate(pool, size),
        }
    }
}

/// # Safety
/// `user` is the live block `live` of `pool`.
unsafe fn free(pool: *mut RawPool, user: *mut u8, live: Live) {
    // SAFETY: the caller's promise.
    unsafe { if live.large { large::free(pool, user) } else { free_small(pool, user) } }
}

/// Says that a request came to a hardened pool by another way than [`request`]; no block for it.
#[cold]
pub fn report_wrong_function() -> *mut u8 {
    eprintln!(
        "lua_pool: this pool is hardened, and lua_pool_alloc is not for it: \
         give lua_newstate what lua_pool_function (in Rust Pool::alloc_function) returns"
    );
    ptr::null_mut()
}

impl RawPool {
    /// Makes this fresh pool a hardened one.
    pub fn harden(&mut self) {
        self.hardened = Box::into_raw(Hardened::new(self.segments.memory.origin));
        fault::watch(self);
    }

    /// To be called before the pool goes.
    pub(super) fn drop_hardened(&mut self) {
        if !self.hardened.is_null() {
            fault::forget(self);
            // SAFETY: the layer of this pool.
            if let Err(misuse) = unsafe { (*self.hardened).verify(self) } {
                die(misuse);
            }
            // SAFETY: from `harden`, and only taken back here.
            drop(unsafe { Box::from_raw(core::mem::replace(&mut self.hardened, ptr::null_mut())) });
        }
    }

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
