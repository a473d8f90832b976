//! Groups: pools of any number of threads that share one limit and one cache of free segments.
//!
//! Pools meet here only when one needs memory that it does not have, or has some to give: a unit of 64 KiB costs one
//! atomic addition, a segment out of the cache one lock. Nothing of it is near allocating or freeing a block.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout::CHUNK_SIZE;
use super::segment::{SEGMENT_UNITS_MAX, Segment};
use super::source::{Origin, Source};

/// Free memory that a group keeps for its pools, unless it is told otherwise.
const CACHE_BYTES_DEFAULT: usize = 32 << 20;

/// Figures of a group; exact while none of its pools is changing.
///
/// Identity: `committed_bytes` = the sum of `used_bytes` + `cached_bytes` over the group's pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupStats {
    /// Pools that live now.
    pub pools: u64,
    /// Bytes that the pools use, or keep in their own caches.
    pub committed_bytes: u64,
    /// Bytes in the group's cache, of segments that are no pool's at the moment.
    pub cached_bytes: u64,
    /// Largest sum of both so far.
    pub peak_bytes: u64,
    /// The limit of both together, if there is one.
    pub limit_bytes: Option<u64>,
    /// Requests refused because of the group's limit so far.
    pub limit_refusals: u64,
    /// How often a pool took a segment out of the cache rather than from the system so far.
    pub reused_segments: u64,
}

/// What a group is made with; see [`PoolGroup::builder`].
#[derive(Clone, Debug, Default)]
pub struct PoolGroupBuilder {
    limit_bytes: Option<usize>,
    cache_bytes: Option<usize>,
    origin: Origin,
}

impl PoolGroupBuilder {
    /// No more than this many bytes in all pools and in the cache together, rounded down to 64 KiB.
    #[must_use]
    pub fn limit_bytes(mut self, limit: usize) -> Self {
        self.limit_bytes = Some(limit);
        self
    }

    /// Free memory that the group keeps for its pools, at most; 32 MiB by default. Memory of a pool that is dropped
    /// goes there, and so does what a pool has not needed for a while.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }

    /// Memory from the user's functions, or out of one buffer, in place of the system's.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.origin = Origin::Source(source);
        self
    }

    /// Makes the group.
    pub fn build(self) -> PoolGroup {
        PoolGroup(Arc::new(Shared {
            limit_units: AtomicUsize::new(self.limit_bytes.map_or(usize::MAX, |bytes| bytes / CHUNK_SIZE)),
            cache_units_max: self.cache_bytes.unwrap_or(CACHE_BYTES_DEFAULT) / CHUNK_SIZE,
            origin: self.origin,
            pressure: AtomicUsize::new(0),
            counters: Counters::default(),
            cache: Mutex::new(Cache { lists: [ptr::null_mut(); SEGMENT_UNITS_MAX], filled: 0 }),
        }))
    }
}

/// Pools that share one limit and one cache of free memory, across threads. A clone is the same group, which lives as
/// long as a clone or a pool of it.
///
/// ```
/// use lua_pool_allocator::{Pool, PoolGroup};
///
/// let group = PoolGroup::builder().limit_bytes(64 << 20).build();
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let pool = Pool::builder().group(&group).build().expect("below the limit");
///             // ... a Lua state on it ...
///             # drop(pool);
///         });
///     }
/// });
/// assert_eq!(group.stats().pools, 0);
/// assert!(group.stats().peak_bytes <= 64 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct PoolGroup(pub(super) Arc<Shared>);

impl PoolGroup {
    /// A group without a limit.
    pub fn new() -> PoolGroup {
        PoolGroup::builder().build()
    }

    /// A group with a configuration.
    pub fn builder() -> PoolGroupBuilder {
        PoolGroupBuilder::default()
    }

    /// The figures of the group.
    pub fn stats(&self) -> GroupStats {
        self.0.stats()
    }

    /// Sets the limit in bytes, rounded down to 64 KiB; `None` lifts it. A limit below what is in use is taken:
    /// nothing is lost, and no pool gets more until there is less.
    pub fn set_limit_bytes(&self, limit: Option<usize>) {
        self.0.limit_units.store(limit.map_or(usize::MAX, |bytes| bytes / CHUNK_SIZE), Ordering::Relaxed);
    }

    /// Gives memory in the group's cache back to the system, until at most `keep_bytes` of it are left. Returns the
    /// bytes given back. What the pools themselves keep is for [`Pool::trim`](crate::Pool::trim).
    pub fn trim(&self, keep_bytes: usize) -> usize {
        self.0.trim_cache(keep_bytes / CHUNK_SIZE) * CHUNK_SIZE
    }

    /// An address that no other live group has.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Default for PoolGroup {
    fn default() -> Self {
        PoolGroup::new()
    }
}

/// What the pools of a group share.
#[derive(Debug)]
pub struct Shared {
    limit_units: AtomicUsize,
    cache_units_max: usize,
    origin: Origin,
    /// How often the limit refused a request. A pool that finds it changed gives its own free units back.
    pressure: AtomicUsize,
    counters: Counters,
    cache: Mutex<Cache>,
}

/// What pools write whenever they grow or shrink: on cache lines of their own, for the rest is read far more often.
///
/// Identity, while no pool is changing: `held_units` = the sum of the units charged to pools + `cached_units`.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters {
    held_units: AtomicUsize,
    cached_units: AtomicUsize,
    peak_units: AtomicUsize,
    pools: AtomicUsize,
    reused: AtomicU64,
}

/// Free segments, by their number of units less one. They are linked through their descriptors.
#[derive(Debug)]
struct Cache {
    lists: [*mut Segment; SEGMENT_UNITS_MAX],
    /// Bit u: `lists[u]` is not empty.
    filled: u64,
}

// SAFETY: a segment in the cache is nobody's; whoever takes it out under the lock has it alone.
unsafe impl Send for Cache {}

/// A segment out of the cache.
pub struct Cached {
    pub base: NonNull<u8>,
    pub units: usize,
    /// Bit u: unit u may be in physical memory. The group has charged for these.
    pub dirty: u64,
}

impl Cache {
    /// # Safety
    /// `segment` is the descriptor of a segment that nobody uses.
    unsafe fn push(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's promise; a segment has 1 to 64 units.
        unsafe {
            let index = (*segment).units as usize - 1;
            (*segment).next = self.lists[index];
            self.lists[index] = segment;
            self.filled |= 1 << index;
        }
    }

    fn pop(&mut self, index: usize) -> Cached {
        let segment = self.lists[index];
        // SAFETY: callers found the list filled; it holds descriptors of whole segments that nobody uses.
        unsafe {
            self.lists[index] = (*segment).next;
            if self.lists[index].is_null() {
                self.filled &= !(1 << index);
            }
            let base = NonNull::new_unchecked(Segment::base(segment));
            Cached { base, units: index + 1, dirty: (*segment).dirty }
        }
    }

    /// Which list to take `least` to, better, `wanted` units from: the smallest that are large enough, or else the
    /// largest of the others.
    fn find(&self, least: usize, wanted: usize) -> Option<usize> {
        let large = self.filled & (u64::MAX << (wanted - 1));
        let small = self.filled & !(u64::MAX << (wanted - 1)) & (u64::MAX << (least - 1));
        if large != 0 { Some(large.trailing_zeros() as usize) } else { small.checked_ilog2().map(|bit| bit as usize) }
    }
}

impl Shared {
    pub fn origin(&self) -> Origin {
        self.origin
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // Nothing under this lock panics halfway through a change.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enter(&self) {
        self.counters.pools.fetch_add(1, Ordering::Relaxed);
    }

    pub fn leave(&self) {
        self.counters.pools.fetch_sub(1, Ordering::Relaxed);
    }

    /// Charges `units` more to a pool, if the limit has room for them.
    pub fn charge(&self, units: usize) -> bool {
        let limit = self.limit_units.load(Ordering::Relaxed);
        let held = &self.counters.held_units;
        let room = |now: usize| now.checked_add(units).filter(|&total| total <= limit);
        let Ok(before) = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room) else {
            return false;
        };
        self.note_peak(before + units);
        true
    }

    fn note_peak(&self, held: usize) {
        // Most of the time there is nothing to write.
        if held > self.counters.peak_units.load(Ordering::Relaxed) {
            self.counters.peak_units.fetch_max(held, Ordering::Relaxed);
        }
    }

    /// The same; takes what is missing from the cache.
    pub fn charge_with_cache(&self, units: usize) -> bool {
        while !self.charge(units) {
            if self.trim_one(0).is_none() {
                return false;
            }
        }
        true
    }

    /// Counts a request that the limit refused, and asks all pools for their free units.
    pub fn refuse(&self) {
        self.pressure.fetch_add(1, Ordering::Relaxed);
    }

    pub fn pressure(&self) -> usize {
        self.pressure.load(Ordering::Relaxed)
    }

    /// Takes back what was charged for `units`.
    pub fn discharge(&self, units: usize) {
        self.counters.held_units.fetch_sub(units, Ordering::Relaxed);
    }

    /// Puts a segment into the cache, together with what its dirty units were charged. False if the cache is full.
    ///
    /// # Safety
    /// `segment` is the descriptor of a segment with no unit in use, whose `dirty` is right and whose unit 0 is dirty.
    /// If this returns true, it is no longer the caller's.
    pub unsafe fn keep(&self, segment: *mut Segment) -> bool {
        // SAFETY: the caller's promise.
        let units = unsafe { (*segment).dirty.count_ones() as usize };
        let held = self.counters.held_units.load(Ordering::Relaxed);
        if held > self.limit_units.load(Ordering::Relaxed) {
            return false;
        }
        let mut cache = self.cache();
        if self.counters.cached_units.load(Ordering::Relaxed) + units > self.cache_units_max {
            return false;
        }
        self.counters.cached_units.fetch_add(units, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { cache.push(segment) };
        true
    }

    /// Takes a segment out of the cache, of at least `least` units and better of `wanted`, with at most `dirty_most`
    /// dirty ones. What these were charged goes to the caller.
    pub fn take(&self, least: usize, wanted: usize, dirty_most: usize) -> Option<Cached> {
        if self.counters.cached_units.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut cache = self.cache();
        let index = cache.find(least, wanted)?;
        // SAFETY: the list is filled, with descriptors of segments that nobody uses.
        let units = unsafe { (*cache.lists[index]).dirty.count_ones() as usize };
        if units > dirty_most {
            return None;
        }
        self.counters.cached_units.fetch_sub(units, Ordering::Relaxed);
        self.counters.reused.fetch_add(1, Ordering::Relaxed);
        Some(cache.pop(index))
    }

    /// Unmaps one segment of the cache if more than `keep` units are in it. Returns how many went.
    fn trim_one(&self, keep: usize) -> Option<usize> {
        let cached = {
            let mut cache = self.cache();
            if self.counters.cached_units.load(Ordering::Relaxed) <= keep {
                return None;
            }
            let index = cache.filled.checked_ilog2()? as usize;
            let cached = cache.pop(index);
            self.counters.cached_units.fetch_sub(cached.dirty.count_ones() as usize, Ordering::Relaxed);
            cached
        };
        // The lock is free again: unmapping takes a while.
        // SAFETY: a whole mapping out of the cache, which nobody uses.
        unsafe { self.origin.unmap(cached.base, cached.units) };
        let units = cached.dirty.count_ones() as usize;
        self.discharge(units);
        Some(units)
    }

    fn trim_cache(&self, keep: usize) -> usize {
        let mut trimmed = 0;
        while let Some(units) = self.trim_one(keep) {
            trimmed += units;
        }
        trimmed
    }

    pub fn stats(&self) -> GroupStats {
        let bytes = |units: usize| units as u64 * CHUNK_SIZE as u64;
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let cached = load(&self.counters.cached_units);
        let limit = load(&self.limit_units);
        GroupStats {
            pools: load(&self.counters.pools) as u64,
            committed_bytes: bytes(load(&self.counters.held_units).saturating_sub(cached)),
            cached_bytes: bytes(cached),
            peak_bytes: bytes(load(&self.counters.peak_units)),
            limit_bytes: (limit != usize::MAX).then(|| bytes(limit)),
            limit_refusals: self.pressure() as u64,
            reused_segments: self.counters.reused.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.trim_cache(0);
    }
}
