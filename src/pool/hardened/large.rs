//! Large blocks of a hardened pool: mappings of their own, which are gone as soon as they are freed, with a page
//! without access on both sides.
//!
//! ```text
//! | header, record | no access | canary | bytes asked for, up to 16 | canary, 15 bytes at most | no access |
//! ```
//!
//! So the first byte beyond a block, or the first after its 16, ends the process where it is touched. Where the system
//! refuses to protect pages, canaries have to do.

use core::ptr;

use super::super::chunk::{ChunkKind, is_sound};
use super::super::layout::header_of;
use super::super::raw::RawPool;
use super::table::GRANULE;
use super::{Hardened, Misuse, die};
use crate::os;

/// Largest page for which the block still starts in the first [`CHUNK_SIZE`](super::super::layout::CHUNK_SIZE) bytes.
pub const GUARD_BYTES_MAX: usize = 16 * 1024;

/// Canary behind a block without guard pages, at least.
const UNGUARDED_BEHIND: usize = 16;

/// What is known of a large block, where the pool thinks that the block starts. Nobody gets there from the block.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Record {
    user: *mut u8,
    size: usize,
    /// Start of what may be touched; the canary before the block starts here.
    start: *mut u8,
    /// End of what may be touched.
    end: *mut u8,
    /// Bytes of each guard, 0 if there are none.
    guard_bytes: usize,
    /// Depends on the secret and on all of the above.
    seal: u64,
}

const RECORD_BYTES: usize = size_of::<Record>();

impl Record {
    fn sealed(mut self, hardened: &Hardened) -> Record {
        self.seal = self.seal_for(hardened);
        self
    }

    fn seal_for(&self, hardened: &Hardened) -> u64 {
        let parts = [self.size, self.start.addr(), self.end.addr(), self.guard_bytes];
        parts.iter().fold(0, |sum, &part| hardened.keyed(self.user.addr(), sum ^ part as u64))
    }
}

/// The record of the large block at `user`.
///
/// # Safety
/// It is one of `pool`.
unsafe fn record(hardened: &Hardened, pool: &RawPool, user: *mut u8) -> Result<*mut Record, Misuse> {
    let header = header_of(user);
    // SAFETY: the block starts in its first unit, which has a header; the header is checked before it is believed,
    // and so is the record.
    unsafe {
        let place = RawPool::large_start(header, ChunkKind::Direct, 0);
        let record = super::super::chunk::unit_base(header).add(place).cast::<Record>();
        let sound = is_sound(header, pool) && (*record).user == user && (*record).seal == (*record).seal_for(hardened);
        if sound { Ok(record) } else { Err(Misuse::CorruptHeader { header: header.addr() }) }
    }
}

/// Size of the large block at `user`, if nobody wrote around it.
///
/// # Safety
/// It is one of `pool`.
pub unsafe fn check(hardened: &Hardened, pool: &RawPool, user: *mut u8) -> Result<usize, Misuse> {
    // SAFETY: the caller's promise; all between start and end of a sound record may be touched.
    unsafe {
        let Record { size, start, end, .. } = *record(hardened, pool, user)?;
        if !hardened.has_canary(user, start, user.addr() - start.addr()) {
            return Err(Misuse::WriteBefore { block: user.addr(), size });
        }
        if !hardened.has_canary(user, user.add(size), end.addr() - user.addr() - size) {
            return Err(Misuse::WriteBeyond { block: user.addr(), size });
        }
        Ok(size)
    }
}

/// A large block; null when there is no memory.
///
/// # Safety
/// `pool` is a live hardened pool.
pub unsafe fn allocate(pool: *mut RawPool, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the arithmetic stays inside the block that the pool gives, which nobody else has.
    unsafe {
        let hardened = (*pool).hardened;
        let guard_bytes = (*hardened).guard_bytes.unwrap_or(0);
        // Rounded up to pages, both guards, and what it takes to get to the next page.
        let Some(total) = size.checked_add(RECORD_BYTES + UNGUARDED_BEHIND + GRANULE + 4 * guard_bytes) else {
            return ptr::null_mut();
        };
        let block = (*pool).allocate_large(total);
        if block.is_null() {
            return block;
        }
        let fresh = lay_out(block, size, guard_bytes);
        if !(*hardened).table.make_room(fresh.user.addr(), false) {
            let _ = release(pool, block, fresh);
            return ptr::null_mut();
        }
        (*hardened).table.set_large(fresh.user.addr());
        block.cast::<Record>().write(fresh.sealed(&*hardened));
        write_canaries(&*hardened, &fresh);
        fresh.user
    }
}

/// Where things are in the pool's block at `block`; the guards are in place.
///
/// # Safety
/// The block is large enough.
unsafe fn lay_out(block: *mut u8, size: usize, guard_bytes: usize) -> Record {
    let rounded = size.next_multiple_of(GRANULE);
    // SAFETY: the caller's promise.
    unsafe {
        let free = block.add(RECORD_BYTES);
        if guard_bytes > 0 {
            let guard = free.add(free.align_offset(guard_bytes));
            let start = guard.add(guard_bytes);
            let end = start.add(rounded.next_multiple_of(guard_bytes));
            if os::protect(guard, guard_bytes, false) {
                if os::protect(end, guard_bytes, false) {
                    return Record { user: end.sub(rounded), size, start, end, guard_bytes, seal: 0 };
                }
                // A guard that stays would be one that nobody knows of; this one was accessible a moment ago.
                os::protect(guard, guard_bytes, true);
            }
        }
        let end = free.add(rounded + UNGUARDED_BEHIND);
        Record { user: free, size, start: free, end, guard_bytes: 0, seal: 0 }
    }
}

/// # Safety
/// The record is of a block of the pool's.
unsafe fn write_canaries(hardened: &Hardened, record: &Record) {
    let Record { user, size, start, end, .. } = *record;
    // SAFETY: the caller's promise.
    unsafe {
        hardened.write_canary(user, start, user.addr() - start.addr());
        hardened.write_canary(user, user.add(size), end.addr() - user.addr() - size);
    }
}

/// Gives the pool's block at `block` back to the system.
///
/// # Safety
/// Nobody uses the block, whose record is `record`.
unsafe fn release(pool: *mut RawPool, block: *mut u8, record: Record) -> bool {
    let Record { start, end, guard_bytes, .. } = record;
    // SAFETY: the caller's promise. The pool may keep a mapping for later, which must not have guards then.
    unsafe {
        let open = guard_bytes == 0
            || os::protect(start.sub(guard_bytes), guard_bytes, true) && os::protect(end, guard_bytes, true);
        if open {
            (*pool).free(block);
            (*pool).segments.unmap_spares(0);
            (*pool).segments.settle();
        }
        open
    }
}

/// Frees a large block.
///
/// # Safety
/// `user` is a live one of `pool`.
pub unsafe fn free(pool: *mut RawPool, user: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe {
        match record(&*(*pool).hardened, &*pool, user) {
            Ok(place) => {
                (*(*pool).hardened).table.set_large_freed(user.addr());
                // If the system takes no guard away, the block stays as it is: unused, and counted as live.
                let _ = release(pool, place.cast(), *place);
            }
            Err(misuse) => die(misuse),
        }
    }
}

/// Notes a smaller size for a block that could not be moved.
///
/// # Safety
/// `user` is a live large block of `pool` of at least `size` bytes.
pub unsafe fn shrink(pool: *mut RawPool, user: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let hardened = &*(*pool).hardened;
        match record(hardened, &*pool, user) {
            Ok(place) => {
                *place = Record { size, ..*place }.sealed(hardened);
                write_canaries(hardened, &*place);
            }
            Err(misuse) => die(misuse),
        }
    }
}

/// What `address`, which cannot be accessed, has to do with one of the pool's large blocks.
///
/// # Safety
/// Nobody changes the pool meanwhile.
pub unsafe fn describe(pool: &RawPool, hardened: &Hardened, address: usize) -> Option<Misuse> {
    for block in hardened.table.live_large() {
        // SAFETY: the caller's promise; the table knows the pool's live blocks.
        let Ok(place) = (unsafe { record(hardened, pool, pool.base().with_addr(block)) }) else { continue };
        // SAFETY: just found to be sound.
        let Record { size, start, end, guard_bytes, .. } = unsafe { *place };
        if (start.addr() - guard_bytes..start.addr()).contains(&address) {
            return Some(Misuse::AccessBefore { block, size });
        }
        if (end.addr()..end.addr() + guard_bytes).contains(&address) {
            return Some(Misuse::AccessBeyond { block, size });
        }
    }
    hardened.table.freed_large(address).map(|block| Misuse::AccessAfterFree { block })
}
