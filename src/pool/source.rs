//! Memory of the user's own: a pair of functions in place of the system's, or one fixed buffer.

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::handle::PoolError;
use super::layout::CHUNK_SIZE;
use crate::capi::{ErrorCode, lua_pool_error_function, report};
use crate::{faults, os};

/// Gets `size` bytes aligned to `alignment` (both multiples of 64 KiB); null when there are none. They need not be
/// zero.
pub type MapFunction = unsafe extern "C" fn(ud: *mut c_void, size: usize, alignment: usize) -> *mut c_void;

/// Takes back all of what one call of a [`MapFunction`] returned.
pub type UnmapFunction = unsafe extern "C" fn(ud: *mut c_void, start: *mut c_void, size: usize);

/// Where a pool, or all the pools of a group, get their memory in place of the system; see
/// [`PoolBuilder::source`](crate::PoolBuilder::source).
///
/// Memory from a source goes back in the pieces it came in, when nothing of a piece is in use: none of it is given back
/// page by page, and a large block that grows is copied.
///
/// ```
/// use lua_pool_allocator::{Pool, Source};
///
/// let buffer = Box::leak(Box::<[u8]>::new_uninit_slice(4 << 20));
/// let mut pool = Pool::builder().source(Source::in_buffer(buffer)?).build()?;
/// assert!(!pool.allocate(1 << 20).is_null());
/// assert!(pool.allocate(4 << 20).is_null()); // to Lua: "not enough memory"
/// # Ok::<(), lua_pool_allocator::PoolError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Source {
    map: MapFunction,
    unmap: UnmapFunction,
    ud: *mut c_void,
    on_error: lua_pool_error_function,
    error_ud: *mut c_void,
}

// SAFETY: whoever made the source promised that its functions may be called by any thread that uses its pools.
unsafe impl Send for Source {}
// SAFETY: as above; the source itself does not change.
unsafe impl Sync for Source {}

impl Source {
    /// A source of memory; `ud` is passed to both functions.
    ///
    /// # Safety
    /// As long as a pool or a group uses it, `map` returns null or memory that nobody else uses until it went to
    /// `unmap`; neither unwinds, nor uses the pool. Both may be called by every thread that uses the pool, and by several at
    /// a time if pools of several threads share the source.
    pub unsafe fn new(map: MapFunction, unmap: UnmapFunction, ud: *mut c_void) -> Source {
        Source { map, unmap, ud, on_error: None, error_ud: ptr::null_mut() }
    }

    /// Memory out of one buffer, for ever. Up to 64 KiB of it are lost to alignment.
    ///
    /// # Errors
    /// [`PoolError::BufferTooSmall`] if not even 64 KiB at a multiple of 64 KiB fit.
    pub fn in_buffer(buffer: &'static mut [MaybeUninit<u8>]) -> Result<Source, PoolError> {
        // SAFETY: nobody else ever uses what was lent for ever.
        unsafe { Source::in_raw_buffer(buffer.as_mut_ptr().cast(), buffer.len()) }
    }

    /// As [`Source::in_buffer`], for memory that is taken back after the last pool is gone.
    ///
    /// # Errors
    /// The same.
    ///
    /// # Safety
    /// `start` begins `length` writable bytes, which nobody else uses as long as a pool or a group uses the source.
    pub unsafe fn in_raw_buffer(start: *mut u8, length: usize) -> Result<Source, PoolError> {
        // SAFETY: the caller's promise.
        let buffer = unsafe { Buffer::write_into(start, length) }.ok_or(PoolError::BufferTooSmall)?;
        // SAFETY: the buffer hands out each unit to one at a time, under a lock.
        Ok(unsafe { Source::new(map_from_buffer, unmap_to_buffer, buffer.cast()) })
    }

    /// Has errors told to a C host.
    pub(crate) fn with_listener(mut self, on_error: lua_pool_error_function, error_ud: *mut c_void) -> Source {
        (self.on_error, self.error_ud) = (on_error, error_ud);
        self
    }

    /// Memory of `length` bytes; what is not aligned to a chunk is refused.
    fn map(&self, length: usize) -> Option<NonNull<u8>> {
        if faults::call_fails() {
            return None;
        }
        // SAFETY: the promise of whoever made the source.
        let start = NonNull::new(unsafe { (self.map)(self.ud, length, CHUNK_SIZE) }.cast::<u8>())?;
        let aligned = start.addr().get().is_multiple_of(CHUNK_SIZE);
        if aligned && start.addr().get().checked_add(length).is_some() {
            return Some(start);
        }
        self.complain(start);
        // SAFETY: it came from `map` just now, and goes back unused.
        unsafe { (self.unmap)(self.ud, start.as_ptr().cast(), length) };
        None
    }

    /// Tells of memory that cannot be used; on standard error only once, for Lua asks again and again.
    #[cold]
    fn complain(&self, start: NonNull<u8>) {
        static TOLD: AtomicBool = AtomicBool::new(false);
        if self.on_error.is_some() || !TOLD.swap(true, Ordering::Relaxed) {
            let message = format!("the map function returned {start:p}, which is not aligned to 65536 bytes");
            report(self.on_error, self.error_ud, ErrorCode::Argument, &message);
        }
    }
}

/// Where mappings come from and go back to.
#[derive(Clone, Copy, Debug, Default)]
pub enum Origin {
    /// The operating system.
    #[default]
    System,
    /// The user's functions.
    Source(Source),
}

impl Origin {
    /// Maps `units` units of a chunk, aligned to a chunk.
    pub fn map(&self, units: usize) -> Option<NonNull<u8>> {
        let length = units.checked_mul(CHUNK_SIZE)?;
        match self {
            Origin::System => os::map_aligned(length, CHUNK_SIZE),
            Origin::Source(source) => source.map(length),
        }
    }

    /// Whether what is mapped is zero.
    pub fn maps_zeros(&self) -> bool {
        matches!(self, Origin::System)
    }

    /// Whether parts of a mapping can be used, and unmapped, as if they were mappings of their own; and neighbours as if
    /// they were one.
    pub fn can_split(&self) -> bool {
        matches!(self, Origin::System) && os::MAPPINGS_SPLIT
    }

    /// Gives a whole mapping back, or any part where mappings [can be split](Origin::can_split).
    ///
    /// # Safety
    /// `start` is from [`Origin::map`] or [`Origin::remap`], with `units` units that nobody uses any more.
    pub unsafe fn unmap(&self, start: NonNull<u8>, units: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Origin::System => os::unmap(start, units * CHUNK_SIZE),
                Origin::Source(source) => (source.unmap)(source.ud, start.as_ptr().cast(), units * CHUNK_SIZE),
            }
        }
    }

    /// Whether parts of a mapping can go back; they need [`Origin::restore`] before their next use.
    pub fn can_purge(&self) -> bool {
        matches!(self, Origin::System)
    }

    /// Makes memory usable that was purged, or never used.
    ///
    /// # Safety
    /// `start` begins `length` bytes, in whole pages, of free units in a mapping that is from here.
    pub unsafe fn restore(&self, start: NonNull<u8>, length: usize) -> bool {
        // SAFETY: the caller's promise.
        !self.can_purge() || unsafe { os::restore(start, length) }
    }

    /// Changes the length of a mapping by moving pages; `None` where that cannot be done, and nothing has changed then.
    ///
    /// # Safety
    /// `start` is a whole mapping of `old_units` units from here.
    pub unsafe fn remap(&self, start: NonNull<u8>, old_units: usize, new_units: usize) -> Option<NonNull<u8>> {
        let new_length = new_units.checked_mul(CHUNK_SIZE)?;
        match self {
            // SAFETY: the caller's promise.
            Origin::System => unsafe { os::remap_aligned(start, old_units * CHUNK_SIZE, new_length, CHUNK_SIZE) },
            Origin::Source(_) => None,
        }
    }
}

/// The books of a buffer, which lie in the buffer itself: before its first unit, or behind its last.
struct Buffer {
    first: NonNull<u8>,
    /// A bit for each unit: set while it is handed out. Bits above `units` are set for ever.
    used: Mutex<&'static mut [u64]>,
    units: usize,
}

impl Buffer {
    /// # Safety
    /// As [`Source::in_raw_buffer`].
    unsafe fn write_into(start: *mut u8, length: usize) -> Option<*mut Buffer> {
        let end = start.addr().checked_add(length)?;
        let first = start.addr().checked_next_multiple_of(CHUNK_SIZE)?;
        let most = end.saturating_sub(first) / CHUNK_SIZE;
        let words = most.div_ceil(64);
        let book_bytes = size_of::<Buffer>() + words * size_of::<u64>();
        let before = start.addr().next_multiple_of(align_of::<Buffer>());
        let (book, units) = if before + book_bytes <= first {
            (before, most)
        } else if first + most * CHUNK_SIZE + book_bytes <= end {
            (first + most * CHUNK_SIZE, most)
        } else {
            (first + most.checked_sub(1)? * CHUNK_SIZE, most - 1)
        };
        // The book of so many units would not fit the unit it takes.
        if units == 0 || start.is_null() || (units < most && book_bytes > CHUNK_SIZE) {
            return None;
        }
        // SAFETY: book, bitmap and units lie in the buffer that the caller lends, and do not overlap.
        unsafe {
            let bits = start.with_addr(book + size_of::<Buffer>()).cast::<u64>();
            for word in 0..words {
                let below = units.saturating_sub(word * 64).min(64);
                bits.add(word).write(u64::MAX.checked_shl(below as u32).unwrap_or(0));
            }
            let used = Mutex::new(slice::from_raw_parts_mut(bits, words));
            let first = NonNull::new(start.with_addr(first))?;
            let buffer = start.with_addr(book).cast::<Buffer>();
            buffer.write(Buffer { first, used, units });
            Some(buffer)
        }
    }

    /// The lowest `count` units in a row that are free.
    fn take(&self, count: usize) -> Option<NonNull<u8>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = 0;
        for unit in 0..self.units {
            free = if used[unit / 64] >> (unit % 64) & 1 == 0 { free + 1 } else { 0 };
            if free == count {
                let first = unit + 1 - count;
                (first..=unit).for_each(|unit| used[unit / 64] |= 1 << (unit % 64));
                // SAFETY: below `units`, so inside the buffer.
                return Some(unsafe { self.first.add(first * CHUNK_SIZE) });
            }
        }
        None
    }

    fn give_back(&self, start: *mut u8, count: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (start.addr() - self.first.addr().get()) / CHUNK_SIZE;
        (first..first + count).for_each(|unit| used[unit / 64] &= !(1 << (unit % 64)));
    }
}

unsafe extern "C" fn map_from_buffer(ud: *mut c_void, size: usize, _alignment: usize) -> *mut c_void {
    // SAFETY: `ud` is the book of a buffer that is lent as long as the source is used.
    let buffer = unsafe { &*ud.cast::<Buffer>() };
    buffer.take(size / CHUNK_SIZE).map_or(ptr::null_mut(), |start| start.as_ptr().cast())
}

unsafe extern "C" fn unmap_to_buffer(ud: *mut c_void, start: *mut c_void, size: usize) {
    // SAFETY: as above.
    let buffer = unsafe { &*ud.cast::<Buffer>() };
    buffer.give_back(start.cast(), size / CHUNK_SIZE);
}
