//! The owner of a pool.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::fmt;
use std::path::Path;

use super::group::PoolGroup;
use super::hardened;
use super::memory::Memory;
use super::purge::PurgeMode;
use super::raw::RawPool;
use super::sample::{TYPE_COUNT, TypeCensus};
use super::source::{Origin, Source};
use super::stats::PoolStats;
use super::verify::Violation;
use crate::profile;

/// Why a pool could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// The system, the source or the group has no memory for the pool's first mapping of 256 KiB.
    OutOfMemory,
    /// A buffer has no room for 64 KiB at a multiple of 64 KiB.
    BufferTooSmall,
    /// A pool in a group takes its memory from where the group does; it cannot have a source of its own.
    SourceInGroup,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::OutOfMemory => f.write_str("cannot create a pool: not enough memory"),
            PoolError::BufferTooSmall => {
                f.write_str("the buffer is too small for a pool: 192 KiB are enough in any case, to begin with")
            }
            PoolError::SourceInGroup => f.write_str("a pool in a group has no source of its own: give it to the group"),
        }
    }
}

impl std::error::Error for PoolError {}

/// What a pool is made with; see [`Pool::builder`].
#[derive(Clone, Debug, Default)]
pub struct PoolBuilder {
    limit_bytes: Option<usize>,
    soft_limit_bytes: Option<usize>,
    check_interval: u32,
    purge_mode: PurgeMode,
    ends_with_state: bool,
    hardened: bool,
    origin: Origin,
    group: Option<PoolGroup>,
}

impl PoolBuilder {
    /// Memory from the user's functions, or out of one buffer, in place of the system's.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.origin = Origin::Source(source);
        self
    }

    /// The pool shares the limit and the free memory of a group with other pools; a limit of its own holds as well.
    #[must_use]
    pub fn group(mut self, group: &PoolGroup) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// Promises that the pool serves one state only and is dropped right after that state is closed. A Lua core with
    /// our patches (lua54_pool's) then runs finalizers as always, but leaves freeing the objects to the pool.
    #[must_use]
    pub fn ends_with_state(mut self, ends: bool) -> Self {
        self.ends_with_state = ends;
        self
    }

    /// Makes a pool that watches for misuse by C code: a double free, a block or size that is wrong, and writes outside
    /// of live blocks are named on standard error and end the process. Its states need [`Pool::alloc_function`] rather
    /// than [`lua_pool_alloc`](crate::lua_pool_alloc), and more time and memory: see SECURITY.md.
    #[must_use]
    pub fn hardened(mut self, hardened: bool) -> Self {
        self.hardened = hardened;
        self
    }

    /// When free memory goes back to the system; by default [`PurgeMode::Auto`].
    #[must_use]
    pub fn purge_mode(mut self, mode: PurgeMode) -> Self {
        self.purge_mode = mode;
        self
    }

    /// No more than this many bytes of chunks and large blocks, rounded down to 64 KiB. Without it there is no limit.
    #[must_use]
    pub fn limit_bytes(mut self, limit: usize) -> Self {
        self.limit_bytes = Some(limit);
        self
    }

    /// Above this many bytes in use, rounded down to 64 KiB, a full collection is asked for.
    #[must_use]
    pub fn soft_limit_bytes(mut self, limit: usize) -> Self {
        self.soft_limit_bytes = Some(limit);
        self
    }

    /// Runs the whole-pool checker every now and then, and aborts with a message when it finds anything wrong: after
    /// `interval` events of the slow path for every 64 KiB in use, because a check walks the whole pool. 0, the
    /// default, never runs it.
    #[must_use]
    pub fn check_interval(mut self, interval: u32) -> Self {
        self.check_interval = interval;
        self
    }

    /// Makes the pool.
    ///
    /// # Errors
    /// [`PoolError::OutOfMemory`] when there is no memory for it, [`PoolError::SourceInGroup`] if it was given both a
    /// source and a group.
    pub fn build(self) -> Result<Pool, PoolError> {
        if self.group.is_some() && matches!(self.origin, Origin::Source(_)) {
            return Err(PoolError::SourceInGroup);
        }
        let memory = Memory::new(self.origin, self.group.as_ref());
        let mut raw = RawPool::create(memory).ok_or(PoolError::OutOfMemory)?;
        // SAFETY: made just now.
        let pool = unsafe { raw.as_mut() };
        pool.set_limit_bytes(self.limit_bytes.unwrap_or(usize::MAX));
        pool.set_soft_limit_bytes(self.soft_limit_bytes.unwrap_or(usize::MAX));
        pool.set_check_interval(self.check_interval);
        pool.set_purge_mode(self.purge_mode);
        // Objects that are freed one by one are checked one by one.
        pool.ends_with_state = self.ends_with_state && !self.hardened;
        if self.hardened {
            pool.harden();
        }
        Ok(Pool { raw })
    }
}

/// A pool of memory for one Lua state, or several of one thread. Dropping it gives everything back to the system, but for
/// 64 KiB that wait for the next pool: of no more than 64 dropped pools, and of none with [`PurgeMode::Now`].
///
/// ```
/// use lua_pool_allocator::Pool;
///
/// let mut pool = Pool::new()?;
/// let block = pool.allocate(56);
/// assert!(!block.is_null());
/// assert_eq!(pool.stats().live_bytes, 64); // blocks for anybody are aligned to 16 bytes
/// // SAFETY: allocated just now from this pool, and not used afterwards.
/// unsafe { pool.free(block) };
/// assert_eq!(pool.stats().live_bytes, 0);
/// # Ok::<(), lua_pool_allocator::PoolError>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    raw: NonNull<RawPool>,
}

// SAFETY: a pool refers to nothing but its own mappings, its group, which is for all threads, and its source, whose
// maker promised so; it has no thread-locals, and all access goes through its owner.
unsafe impl Send for Pool {}

impl Pool {
    /// A pool without a limit.
    ///
    /// # Errors
    /// [`PoolError::OutOfMemory`] when the system has no memory for it.
    pub fn new() -> Result<Pool, PoolError> {
        Pool::builder().build()
    }

    /// A pool with a configuration.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// What to give `lua_newstate` as `ud`, together with [`lua_pool_alloc`](crate::lua_pool_alloc). The pool must
    /// outlive the state.
    pub fn as_ud(&self) -> *mut c_void {
        self.raw.as_ptr().cast()
    }

    /// The `lua_Alloc` function for this pool: [`lua_pool_alloc`](crate::lua_pool_alloc), or
    /// [`lua_pool_alloc_hardened`](crate::lua_pool_alloc_hardened) for a hardened one.
    pub fn alloc_function(&self) -> unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void {
        self.raw().alloc_function()
    }

    /// Whether the pool is a hardened one.
    pub fn is_hardened(&self) -> bool {
        self.raw().is_hardened()
    }

    fn raw_mut(&mut self) -> &mut RawPool {
        // SAFETY: `raw` is live until drop, and `&mut self` makes this the only reference.
        unsafe { self.raw.as_mut() }
    }

    fn raw(&self) -> &RawPool {
        // SAFETY: `raw` is live until drop; `Pool` is not `Sync`, so nobody changes it meanwhile.
        unsafe { self.raw.as_ref() }
    }

    /// A block of `size` bytes aligned to 16 bytes, or null: no memory, the limit, or a size that cannot be.
    pub fn allocate(&mut self, size: usize) -> *mut u8 {
        if self.is_hardened() {
            // SAFETY: the pool is live, and there is no block.
            return unsafe { hardened::request(self.raw.as_ptr(), ptr::null_mut(), 0, size) };
        }
        self.raw_mut().allocate(size, true)
    }

    /// Frees a block.
    ///
    /// # Safety
    /// `block` is a live block of this pool, and nobody uses it any more.
    pub unsafe fn free(&mut self, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.is_hardened() {
                hardened::request(self.raw.as_ptr(), block, 0, 0);
            } else {
                self.raw_mut().free(block);
            }
        }
    }

    /// Resizes a block to `new_size` bytes, not 0. Null when there is no memory for a larger one; the old block is
    /// then untouched. Making a block smaller never fails.
    ///
    /// # Safety
    /// `block` is a live block of this pool.
    pub unsafe fn reallocate(&mut self, block: *mut u8, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            if self.is_hardened() {
                return hardened::request(self.raw.as_ptr(), block, 0, new_size);
            }
            self.raw_mut().reallocate(block, new_size, true)
        }
    }

    /// All figures of this pool.
    pub fn stats(&self) -> PoolStats {
        self.raw().stats()
    }

    /// The objects of a state on this pool by type; see [`TYPE_NAMES`](super::sample::TYPE_NAMES). `None` if its Lua is
    /// not one with the pool's fast path. Takes time proportional to the number of objects.
    ///
    /// # Safety
    /// `thread` is null or a live `lua_State` on this pool; or one that was closed while the pool promised to
    /// [end with it](PoolBuilder::ends_with_state), so that its objects are still in place.
    pub unsafe fn census(&self, thread: *mut c_void) -> Option<[TypeCensus; TYPE_COUNT]> {
        // SAFETY: the caller's promise.
        if thread.is_null() { None } else { unsafe { self.raw().census(thread) } }
    }

    /// Bytes of the pool that are in physical memory now, as the system counts them; `None` where it cannot tell.
    pub fn resident_bytes(&self) -> Option<u64> {
        self.raw().resident_bytes()
    }

    /// Sets the soft limit in bytes, rounded down to 64 KiB; `None` lifts it. Above it lua54_pool collects garbage before
    /// it takes more; other hosts ask [`Pool::collection_wanted`].
    pub fn set_soft_limit_bytes(&mut self, limit: Option<usize>) {
        self.raw_mut().set_soft_limit_bytes(limit.unwrap_or(usize::MAX));
    }

    /// Whether the soft limit was passed, and a full collection is due at the next safe point.
    pub fn collection_wanted(&self) -> bool {
        self.raw().collection_wanted()
    }

    /// Starts counting over: allocations, frees, purges, refusals, and the peak. What is live stays counted as live.
    pub fn reset_counts(&mut self) {
        self.raw_mut().reset_counts();
    }

    /// Sets when free memory goes back to the system.
    pub fn set_purge_mode(&mut self, mode: PurgeMode) {
        self.raw_mut().set_purge_mode(mode);
    }

    /// Gives free memory back to the system now, until at most `keep_bytes` of it are left. Returns the bytes given
    /// back.
    pub fn trim(&mut self, keep_bytes: usize) -> usize {
        self.raw_mut().trim(keep_bytes)
    }

    /// To be called after a full collection of the state's, where the host knows of one; lua54_pool does it itself.
    pub fn full_collection_ended(&mut self) {
        self.raw_mut().full_collection_ended();
    }

    /// Starts a profile of where the states on this pool take memory, to be written to `path` by
    /// [`Pool::stop_profile`] or when the pool goes: as a flame graph if the name ends in ".svg", else as folded stacks.
    /// One byte in `bytes_per_sample`, on average, is looked at. A profile that is on already ends before.
    ///
    /// # Errors
    /// A line that says why there is no profile: the file, or a Lua core without the pool's fast path.
    pub fn start_profile(&mut self, path: &Path, bytes_per_sample: usize) -> Result<(), String> {
        profile::start(self.raw_mut(), path, bytes_per_sample)
    }

    /// Ends the profile, if one is on, and writes it. Whether one was.
    ///
    /// # Errors
    /// A line that says why it could not be written.
    pub fn stop_profile(&mut self) -> Result<bool, String> {
        profile::stop(self.raw_mut())
    }

    /// Runs the whole-pool checker.
    ///
    /// # Errors
    /// The first violation of the accounting identity.
    pub fn verify(&self) -> Result<(), Violation> {
        self.raw().verify()
    }

    /// Runs the whole-pool checker; a violation is printed on standard error and aborts the process.
    pub fn verify_or_abort(&self) {
        self.raw().verify_or_abort();
    }

    /// Sets the hard limit in bytes, rounded down to 64 KiB; `None` lifts it. A limit below what is in use is taken:
    /// nothing is lost, and nothing more is handed out from the system until there is less.
    pub fn set_limit_bytes(&mut self, limit: Option<usize>) {
        self.raw_mut().set_limit_bytes(limit.unwrap_or(usize::MAX));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: made by `RawPool::create`; whoever got a block or `as_ud` promised not to outlive the pool.
        unsafe { RawPool::destroy(self.raw) };
    }
}
