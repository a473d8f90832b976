//! The first segments of pools that were closed lately, for the next pools of this process: one that makes and closes
//! states all the time makes no system calls for it.
//!
//! Of each only the first unit may be in physical memory, so all of them together hold no more than 4 MiB. Whoever
//! finds the lock taken does without: so no thread waits here, nor does a process made by `fork` while another thread
//! had it.

use core::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::layout::CHUNK_SIZE;
#[cfg(doc)]
use super::segment::FIRST_SEGMENT_UNITS;
use crate::{faults, os};

/// Segments that are kept at most.
const SEGMENTS_MAX: usize = 64;

/// Segments of [`FIRST_SEGMENT_UNITS`] units from the system, which nobody uses.
struct Recent {
    bases: [Option<NonNull<u8>>; SEGMENTS_MAX],
    count: usize,
}

// SAFETY: a segment in here is nobody's; whoever takes it out under the lock has it alone.
unsafe impl Send for Recent {}

static RECENT: Mutex<Recent> = Mutex::new(Recent { bases: [None; SEGMENTS_MAX], count: 0 });

fn recent() -> Option<MutexGuard<'static, Recent>> {
    match RECENT.try_lock() {
        Ok(recent) => Some(recent),
        // Nothing under this lock panics halfway through a change.
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A segment of [`FIRST_SEGMENT_UNITS`] units. Its first unit may be in physical memory and holds anything; the others
/// are as if never used.
pub fn take() -> Option<NonNull<u8>> {
    // Tests count the calls that pools make.
    if faults::every_request() {
        return None;
    }
    let mut recent = recent()?;
    let last = recent.count.checked_sub(1)?;
    recent.count = last;
    recent.bases[last].take()
}

/// Keeps a segment for the next pool. False if there are enough of them: it is still the caller's then.
///
/// # Safety
/// `base` starts a segment from the system of [`FIRST_SEGMENT_UNITS`] units, which nobody uses. Of its units but the
/// first, only those in `touched` (bit u: unit u, not 0) may be in physical memory.
pub unsafe fn keep(base: NonNull<u8>, touched: u64) -> bool {
    if cfg!(feature = "memory-tools") || faults::every_request() {
        return false;
    }
    if touched != 0 {
        let first = touched.trailing_zeros() as usize;
        let count = touched.ilog2() as usize + 1 - first;
        // SAFETY: the caller's promise; the first unit stays as it is.
        unsafe { os::purge(base.add(first * CHUNK_SIZE), count * CHUNK_SIZE) };
    }
    let Some(mut recent) = recent() else { return false };
    let count = recent.count;
    if count == SEGMENTS_MAX {
        return false;
    }
    recent.bases[count] = Some(base);
    recent.count += 1;
    true
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crate::Pool;

    #[test]
    fn threads_that_make_and_drop_pools_never_share_memory() {
        thread::scope(|scope| {
            for number in 1..=4u8 {
                scope.spawn(move || {
                    for round in 0..200 {
                        let mut pools = [Pool::new().expect("memory"), Pool::new().expect("memory")];
                        let sizes = (8..3000).step_by(if round % 20 == 0 { 24 } else { 500 });
                        let mut blocks = Vec::new();
                        for (size, index) in sizes.zip(0usize..) {
                            let block = pools[index % 2].allocate(size);
                            assert!(!block.is_null());
                            // SAFETY: a fresh block of this size.
                            unsafe { block.write_bytes(number, size) };
                            blocks.push((block, size));
                        }
                        for (block, size) in blocks {
                            // SAFETY: live, and written above.
                            let bytes = unsafe { core::slice::from_raw_parts(block, size) };
                            assert!(bytes.iter().all(|&byte| byte == number), "a block of {size} bytes has two owners");
                        }
                        pools.iter().for_each(|pool| pool.verify().expect("the books"));
                    }
                });
            }
        });
    }
}
