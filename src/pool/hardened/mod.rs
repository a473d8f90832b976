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
//! All of that is in `small`. Large blocks have pages without access around them: see `large`. The pool's own
//! allocation lists stay empty, so that a request that does not come through here finds nothing and is reported
//! ([`RawPool::refill`]).

mod fault;
mod large;
mod misuse;
mod small;
mod table;

use core::hash::{BuildHasher, Hasher};
use core::ptr;
use std::hash::RandomState;

use super::layout::{CLASS_COUNT, FreeBlock};
use super::raw::RawPool;
use super::source::Origin;
use crate::os;
use misuse::{Misuse, die};
pub use small::free_sealed;
use small::{allocate_small, free_small, is_small, resize_small};
use table::{Known, Table};

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
}
