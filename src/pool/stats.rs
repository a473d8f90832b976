//! Figures about a pool. The fast path counts nothing: all of this is derived from chunk headers and from counters
//! of the slow path, in time proportional to the number of chunks.

use core::ptr::NonNull;

use super::chunk::{ChunkKind, unit_base};
use super::group::GroupStats;
use super::holes::PAGE_SIZE;
use super::layout::{CHUNK_SIZE, CLASS_COUNT, ChunkHeader, header_of};
use super::mixed::MAP_CLASS;
use super::raw::RawPool;
use super::segment::{FIRST_UNIT_START, SegmentView};
use super::size_class::block_size;
use crate::os;

/// Figures of one size class. All counts are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Bytes in each block.
    pub block_size: usize,
    /// Blocks that one chunk of this class holds.
    pub blocks_per_chunk: usize,
    /// Blocks handed out so far, or since the counts were reset.
    pub allocations: u64,
    /// Blocks freed so far, or since the counts were reset.
    pub frees: u64,
    /// Blocks in use now.
    pub live_blocks: u64,
    /// Chunks of this class now.
    pub chunks: u64,
    /// Chunks this class took from the segments so far.
    pub chunks_acquired: u64,
    /// Chunks it gave back so far.
    pub chunks_released: u64,
    /// Blocks carved and free now, on the allocation list or on a chunk's list. Where chunks are mixed, nothing that is
    /// free is of one class.
    pub free_blocks: u64,
}

impl ClassStats {
    /// Allocations served by a chunk the class already had.
    pub fn hit_allocations(&self) -> u64 {
        self.allocations.saturating_sub(self.chunks_acquired)
    }

    /// Frees whose block stayed with its class for reuse.
    pub fn hit_frees(&self) -> u64 {
        self.frees.saturating_sub(self.chunks_released)
    }

    /// Bytes of the chunks of this class.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunks * CHUNK_SIZE as u64
    }
}

/// Figures of a whole pool.
///
/// Identities: `live_bytes` = the sum of live blocks times block size, plus `large_live_bytes`;
/// `used_bytes` = the bootstrap unit + the sum of `chunk_bytes` + `mixed_bytes` + the units of large blocks;
/// `mapped_bytes` >= `used_bytes` + `cached_bytes`; what is resident is at most `used_bytes` + `cached_bytes` -
/// `hole_bytes`, and a page for each mapping, which describes it: at most 1/64 of `mapped_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// One entry for each size class, smallest first.
    pub classes: [ClassStats; CLASS_COUNT - 1],
    /// Bytes of all live blocks, rounded up to their classes; large blocks as asked for.
    pub live_bytes: u64,
    /// Live large blocks.
    pub large_live_blocks: u64,
    /// Bytes of live large blocks, as asked for.
    pub large_live_bytes: u64,
    /// Large blocks handed out so far.
    pub large_allocations: u64,
    /// Large blocks freed so far.
    pub large_frees: u64,
    /// Bytes of chunks and large blocks in use.
    pub used_bytes: u64,
    /// Bytes of free chunks that may still be in physical memory.
    pub cached_bytes: u64,
    /// Largest sum of used and cached bytes so far.
    pub peak_bytes: u64,
    /// Bytes of address space mapped.
    pub mapped_bytes: u64,
    /// Bytes of chunks whose blocks are of any size, since sparse chunks of one size became mixed.
    pub mixed_bytes: u64,
    /// Bytes of pages inside chunks in use that were given back and are not in use again.
    pub hole_bytes: u64,
    /// Bytes given back to the system so far.
    pub purged_bytes: u64,
    /// Calls made so far for memory, of the system or of the user's own functions: map, unmap, remap, purge.
    pub memory_calls: u64,
    /// The hard limit, if there is one.
    pub limit_bytes: Option<u64>,
    /// The soft limit, if there is one.
    pub soft_limit_bytes: Option<u64>,
    /// Requests refused because of the limit so far.
    pub limit_refusals: u64,
    /// Figures of the group that the pool is in, if it is in one.
    pub group: Option<GroupStats>,
}

/// Where one chunk, or one large block in a segment, is.
pub(super) struct ChunkView {
    pub header: *mut ChunkHeader,
    pub unit: usize,
}

/// Calls `visit` for each chunk and each large block of a segment.
///
/// # Safety
/// `segment` describes a live segment of a pool that nobody changes meanwhile.
pub(super) unsafe fn for_each_chunk(segment: &SegmentView, mut visit: impl FnMut(ChunkView)) {
    let mut unit = 0;
    while unit < segment.units {
        let mut units = 1;
        if segment.free & (1 << unit) == 0 {
            // SAFETY: a unit in use that does not continue a large block has a header.
            unsafe {
                let header = header_of(segment.base.add(unit * CHUNK_SIZE));
                if (*header).kind == ChunkKind::Run as u8 {
                    units = ((*header).cursor as usize).max(1);
                }
                visit(ChunkView { header, unit });
            }
        }
        unit += units;
    }
}

impl RawPool {
    /// All figures of this pool, counted since the last reset.
    pub fn stats(&self) -> PoolStats {
        let mut stats = self.total_stats();
        let Some(before) = self.classes.counted_before() else {
            return stats;
        };
        for (class, (allocations, frees)) in stats.classes.iter_mut().zip(before.classes) {
            class.allocations -= allocations;
            class.frees -= frees;
        }
        stats.large_allocations -= before.large.0;
        stats.large_frees -= before.large.1;
        stats.purged_bytes -= before.purged_bytes;
        stats.memory_calls -= before.memory_calls;
        stats.limit_refusals -= before.limit_refusals;
        stats
    }

    /// All figures of this pool, counted from its beginning.
    pub(super) fn total_stats(&self) -> PoolStats {
        let mut classes = [ClassStats::default(); CLASS_COUNT - 1];
        for (stats, class) in classes.iter_mut().zip(1..) {
            let state = &self.classes[class];
            let (handed, returned) = self.bootstrap.counted(class);
            *stats = ClassStats {
                block_size: block_size(class),
                blocks_per_chunk: (CHUNK_SIZE - FIRST_UNIT_START) / block_size(class),
                allocations: handed + state.handed,
                frees: returned + state.returned,
                live_blocks: 0,
                chunks: state.chunks_acquired - state.chunks_released,
                chunks_acquired: state.chunks_acquired,
                chunks_released: state.chunks_released,
                free_blocks: u64::from(state.parked_count),
            };
        }
        for class in 1..CLASS_COUNT {
            let mut block = self.list(class);
            while !block.is_null() {
                // SAFETY: the list holds free blocks of this pool.
                unsafe {
                    let stats = &mut classes[self.class_of_block(block.cast()) - 1];
                    stats.allocations -= 1;
                    stats.free_blocks += 1;
                    block = (*block).next;
                }
            }
        }
        self.segments.for_each(|segment| {
            // SAFETY: the segments of a pool are live, and `&self` keeps it from changing.
            unsafe {
                for_each_chunk(&segment, |chunk| {
                    if (*chunk.header).kind == ChunkKind::Small as u8 {
                        let free = u64::from((*chunk.header).free_count());
                        let stats = &mut classes[(*chunk.header).class as usize - 1];
                        stats.frees += free;
                        stats.free_blocks += free;
                    } else if (*chunk.header).kind == ChunkKind::Mixed as u8 {
                        let mut block = (*chunk.header).free;
                        while !block.is_null() {
                            let stats = &mut classes[RawPool::class_in_mixed(chunk.header, block.cast()) - 1];
                            stats.frees += 1;
                            stats.free_blocks += 1;
                            block = (*block).next;
                        }
                    }
                });
            }
        });

        // Nobody's blocks but the pool's own.
        let maps = &mut classes[MAP_CLASS - 1];
        maps.allocations -= self.mixed.maps_taken;
        maps.frees -= self.mixed.maps_returned;
        for class in &mut classes {
            class.live_blocks = class.allocations - class.frees;
        }
        let small_bytes: u64 = classes.iter().map(|class| class.live_blocks * class.block_size as u64).sum();
        let bytes = |units: usize| units as u64 * CHUNK_SIZE as u64;
        PoolStats {
            live_bytes: small_bytes + self.large.live_bytes as u64,
            large_live_blocks: self.large.allocations - self.large.frees,
            large_live_bytes: self.large.live_bytes as u64,
            large_allocations: self.large.allocations,
            large_frees: self.large.frees,
            used_bytes: bytes(self.segments.used_units),
            cached_bytes: bytes(self.segments.dirty_units),
            peak_bytes: bytes(self.segments.peak_units),
            mapped_bytes: bytes(self.segments.mapped_units),
            mixed_bytes: self.mixed.chunks() * CHUNK_SIZE as u64,
            hole_bytes: (self.holes.pages * PAGE_SIZE) as u64,
            purged_bytes: self.segments.purged_units * CHUNK_SIZE as u64 + self.holes.purged_pages * PAGE_SIZE as u64,
            memory_calls: self.segments.memory.calls,
            limit_bytes: self.limit_bytes(),
            soft_limit_bytes: self.soft_limit_bytes(),
            limit_refusals: self.segments.limit_refusals,
            group: self.segments.memory.group_stats(),
            classes,
        }
    }

    /// Bytes of the pool that are in physical memory now, as the system counts them; `None` where it cannot tell.
    pub fn resident_bytes(&self) -> Option<u64> {
        let mut total = Some(0);
        let mut add = |start: *mut u8, length: usize| {
            // SAFETY: the ranges below are whole mappings of this pool.
            let resident = unsafe { os::resident_bytes(NonNull::new_unchecked(start), length) };
            total = total.and_then(|sum| resident.map(|bytes| sum + bytes as u64));
        };
        self.segments.for_each(|segment| add(segment.base, segment.units * CHUNK_SIZE));
        self.segments.for_each_spare(|start, units| add(start, units * CHUNK_SIZE));
        let mut header = self.large.head;
        while !header.is_null() {
            // SAFETY: the list holds live headers of large blocks.
            unsafe {
                if (*header).kind == ChunkKind::Direct as u8 {
                    add(unit_base(header), (*header).cursor as usize * CHUNK_SIZE);
                }
                header = (*header).next;
            }
        }
        total
    }
}
