//! The whole-pool checker: walks every segment, chunk, list and large block, and compares what it finds with the
//! pool's books. Tests run it all the time; releases only when asked to.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::chunk::{ChunkKind, block_ranges, carved_ranges, unit_base};
use super::layout::{CHUNK_SIZE, CLASS_COUNT, ChunkHeader, FreeBlock, header_of};
use super::raw::RawPool;
use super::size_class::block_size;
use super::stats::for_each_chunk;

/// What the checker found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

type Checked = Result<(), Violation>;

pub(super) fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation(what())) }
}

/// What a walk over all segments saw.
#[derive(Default)]
struct Census {
    used_units: usize,
    dirty_units: usize,
    mapped_units: usize,
    runs: HashSet<usize>,
    hole_pages: usize,
    /// Free ranges of the bootstrap unit.
    ranges: HashSet<usize>,
    chunks: HashMap<usize, ChunkCensus>,
    /// Mixed chunks, and their freed blocks that are not on the map yet.
    mixed: HashMap<usize, HashSet<usize>>,
    chunks_of_class: HashMap<usize, u64>,
}

/// What one chunk of small blocks holds.
struct ChunkCensus {
    class: usize,
    free: HashSet<usize>,
    holes: bool,
}

impl RawPool {
    /// Checks the accounting identity of the whole pool; see [`RawPool`].
    ///
    /// # Errors
    /// The first violation found.
    pub fn verify(&self) -> Result<(), Violation> {
        // SAFETY: null, or the layer of this pool.
        if let Some(hardened) = unsafe { self.hardened.as_ref() } {
            hardened.verify(self).map_err(|misuse| Violation(misuse.to_string()))?;
        }
        let census = self.take_census()?;
        self.check_units(&census)?;
        self.check_large(&census)?;
        self.check_disjoint()?;
        self.check_mixed_queue(|header| census.mixed.contains_key(&header.addr()), census.mixed.len() as u64)?;
        for class in 1..CLASS_COUNT {
            self.check_queue(class, &census)?;
            self.check_allocation_list(class, &census)?;
        }
        Ok(())
    }

    fn take_census(&self) -> Result<Census, Violation> {
        let mut census = Census::default();
        let mut result = Ok(());
        self.segments.for_each(|segment| {
            census.mapped_units += segment.units;
            census.used_units += segment.units - segment.free.count_ones() as usize;
            census.dirty_units += segment.dirty.count_ones() as usize;
            if result.is_ok() {
                result = require(segment.dirty & !segment.free == 0, || {
                    format!("segment {:p}: a unit in use is marked dirty", segment.base)
                });
            }
            // SAFETY: the segments of a pool are live, and `&self` keeps it from changing.
            unsafe {
                for_each_chunk(&segment, |chunk| {
                    if result.is_ok() {
                        result = self.census_chunk(chunk.header, chunk.unit, &mut census);
                    }
                });
            }
        });
        result?;
        census.ranges = self.check_ranges()?;
        Ok(census)
    }

    /// # Safety
    /// `header` is where the header of a unit in use is.
    unsafe fn census_chunk(&self, header: *mut ChunkHeader, unit: usize, census: &mut Census) -> Checked {
        // SAFETY: the caller's promise.
        let chunk = unsafe { &*header };
        require(chunk.pool.cast_const() == std::ptr::from_ref(self).cast(), || {
            format!("chunk {header:p}: the header does not name this pool")
        })?;
        require(chunk.unit as usize == unit, || format!("chunk {header:p}: wrong unit number {}", chunk.unit))?;
        match chunk.kind {
            kind if kind == ChunkKind::Small as u8 => {
                let class = chunk.class as usize;
                require((1..CLASS_COUNT).contains(&class), || format!("chunk {header:p}: no such class {class}"))?;
                *census.chunks_of_class.entry(class).or_default() += 1;
                // SAFETY: a chunk of small blocks, as its header says.
                let free = unsafe { self.free_blocks_of(header)? };
                census.hole_pages += chunk.holes().count_ones() as usize;
                census.chunks.insert(header.addr(), ChunkCensus { class, free, holes: chunk.holes() != 0 });
                Ok(())
            }
            kind if kind == ChunkKind::Mixed as u8 => {
                // SAFETY: a mixed chunk, as its header says.
                let (freed, holes) = unsafe { self.check_mixed(header)? };
                census.hole_pages += holes;
                census.mixed.insert(header.addr(), freed);
                Ok(())
            }
            kind if kind == ChunkKind::Run as u8 => {
                census.runs.insert(header.addr());
                Ok(())
            }
            kind if kind == ChunkKind::Bootstrap as u8 => {
                let expected = header_of(self.base()) == header && chunk.countdown == 1 && chunk.free.is_null();
                require(expected, || format!("chunk {header:p}: broken bootstrap header"))
            }
            kind => require(false, || format!("chunk {header:p}: no such kind {kind}")),
        }
    }

    /// The blocks on a chunk's list, each of which must be one that was carved from it.
    ///
    /// # Safety
    /// `header` is the header of a chunk of small blocks.
    unsafe fn free_blocks_of(&self, header: *mut ChunkHeader) -> Result<HashSet<usize>, Violation> {
        // SAFETY: the caller's promise.
        let chunk = unsafe { &*header };
        require(chunk.countdown <= chunk.armed, || format!("chunk {header:p}: countdown above its start"))?;
        require(chunk.free_count() <= chunk.carved, || format!("chunk {header:p}: more free blocks than carved"))?;
        let size = block_size(chunk.class as usize);
        let ranges = block_ranges(header, chunk.unit as usize, size);
        let starts = ranges.into_iter().flat_map(|range| range.step_by(size));
        let carved = starts.filter(|&offset| is_block_of(header, unit_base(header).addr() + offset)).count();
        require(carved == chunk.carved as usize, || format!("chunk {header:p}: carved blocks do not add up"))?;
        let expected = if chunk.queued == 0 || chunk.free.is_null() { 1 } else { chunk.used_count() };
        let queued_right = chunk.countdown == expected;
        require(queued_right, || format!("chunk {header:p}: in the queue, but counts down to something else"))?;
        let mut free = HashSet::new();
        let mut block: *mut FreeBlock = chunk.free;
        while !block.is_null() {
            require(is_block_of(header, block.addr()), || format!("chunk {header:p}: {block:p} is no block of it"))?;
            require(free.insert(block.addr()), || format!("chunk {header:p}: block {block:p} is free twice"))?;
            // SAFETY: just checked to be a block of this chunk.
            block = unsafe { (*block).next };
        }
        require(free.len() == chunk.free_count() as usize, || {
            format!("chunk {header:p}: {} blocks on its list, the books say {}", free.len(), chunk.free_count())
        })?;
        Ok(free)
    }

    fn check_units(&self, census: &Census) -> Checked {
        let books = &self.segments;
        for (what, counted, written) in [
            ("used", census.used_units + books.direct_units, books.used_units),
            ("holes", census.hole_pages, self.holes.pages),
            ("dirty", census.dirty_units + books.spare_units(), books.dirty_units),
            ("mapped", census.mapped_units + books.direct_units + books.spare_units(), books.mapped_units),
        ] {
            require(counted == written, || {
                format!("{counted} units (of holes: pages) are {what}, the books say {written}")
            })?;
        }
        let held = books.used_units + books.dirty_units;
        let charged = books.memory.charged_units;
        require(!books.memory.in_group() || charged == held, || {
            format!("{held} units are used or dirty, the group has charged for {charged}")
        })?;
        require(held <= books.peak_units, || "peak below the present".into())
    }

    fn check_large(&self, census: &Census) -> Checked {
        let (mut blocks, mut bytes, mut direct_units, mut runs) = (0u64, 0usize, 0usize, 0usize);
        let mut header = self.large.head;
        while !header.is_null() {
            // SAFETY: the list holds live headers of large blocks.
            let large = unsafe { &*header };
            let kind = if large.kind == ChunkKind::Direct as u8 { ChunkKind::Direct } else { ChunkKind::Run };
            let units = large.cursor as usize;
            let start = RawPool::large_start(header, kind, large.unit as usize);
            require(start + large.large_bytes <= units * CHUNK_SIZE, || {
                format!("large block {header:p}: {} bytes do not fit its {units} units", large.large_bytes)
            })?;
            require(large.countdown == 1 && large.free.is_null(), || format!("large block {header:p} was freed"))?;
            if kind == ChunkKind::Direct {
                direct_units += units;
            } else {
                require(census.runs.contains(&header.addr()), || format!("large block {header:p} is in no segment"))?;
                runs += 1;
            }
            blocks += 1;
            bytes += large.large_bytes;
            header = large.next;
        }
        require(runs == census.runs.len(), || "a large block in a segment is not in the list".into())?;
        require(direct_units == self.segments.direct_units, || "units of large mappings do not add up".into())?;
        require(bytes == self.large.live_bytes, || "bytes of large blocks do not add up".into())?;
        require(self.large.allocations - self.large.frees == blocks, || "large blocks do not add up".into())
    }

    /// No two segments, large blocks with mappings of their own, or spares have a unit in common.
    fn check_disjoint(&self) -> Checked {
        let mut mappings = Vec::new();
        self.segments.for_each(|segment| mappings.push((segment.base.addr(), segment.units)));
        self.segments.for_each_spare(|start, units| mappings.push((start.addr(), units)));
        let mut header = self.large.head;
        while !header.is_null() {
            // SAFETY: the list holds live headers of large blocks.
            let large = unsafe { &*header };
            if large.kind == ChunkKind::Direct as u8 {
                mappings.push((unit_base(header).addr(), large.cursor as usize));
            }
            header = large.next;
        }
        mappings.sort_unstable();
        let overlap = mappings.windows(2).find(|pair| pair[0].0 + pair[0].1 * CHUNK_SIZE > pair[1].0);
        require(overlap.is_none(), || format!("two mappings overlap (address and units): {overlap:x?}"))
    }

    fn check_queue(&self, class: usize, census: &Census) -> Checked {
        let state = &self.classes[class];
        let chunks = state.chunks_acquired - state.chunks_released;
        let counted = census.chunks_of_class.get(&class).copied().unwrap_or(0);
        require(chunks == counted, || format!("class {class}: chunks do not add up"))?;
        let mut queued = HashSet::new();
        let mut header = state.queue.head;
        let mut holes_only = false;
        while !header.is_null() {
            let known = census.chunks.get(&header.addr()).is_some_and(|chunk| chunk.class == class);
            require(known, || format!("class {class}: {header:p} in its queue is no chunk of it"))?;
            require(queued.insert(header.addr()), || format!("class {class}: {header:p} is queued twice"))?;
            // SAFETY: just checked to be a live chunk.
            let chunk = unsafe { &*header };
            let serves = !chunk.free.is_null() || chunk.holes() != 0;
            require(chunk.queued == 1 && serves, || format!("chunk {header:p}: queued for nothing"))?;
            require(chunk.free.is_null() || !holes_only, || format!("chunk {header:p}: queued behind holes"))?;
            holes_only = chunk.free.is_null();
            header = chunk.next;
        }
        for (address, chunk) in census.chunks.iter().filter(|(_, chunk)| chunk.class == class) {
            let expected = !chunk.free.is_empty() || chunk.holes;
            require(queued.contains(address) == expected, || format!("chunk {address:#x}: should it be queued?"))?;
        }
        Ok(())
    }

    /// The free ranges of the bootstrap unit.
    fn check_ranges(&self) -> Result<HashSet<usize>, Violation> {
        let mut ranges = HashSet::new();
        let mut range = self.bootstrap.ranges();
        while !range.is_null() {
            let here = range.addr() & !(CHUNK_SIZE - 1) == self.base().addr();
            // SAFETY: it lies in the bootstrap unit.
            let starts = here && unsafe { self.bootstrap.starts_at(self.base(), range.cast()) };
            require(starts, || format!("bootstrap unit: no range is at {range:p}"))?;
            require(ranges.insert(range.addr()), || format!("bootstrap unit: range {range:p} is free twice"))?;
            // SAFETY: just checked to be a range of the unit.
            range = unsafe { (*range).next };
        }
        Ok(ranges)
    }

    /// The allocation list, and the parked blocks of the bootstrap unit.
    fn check_allocation_list(&self, class: usize, census: &Census) -> Checked {
        let base = self.base().addr();
        let state = &self.classes[class];
        let mut seen = HashSet::new();
        let mut block = self.list(class);
        let mut parked = false;
        let mut listed = 0;
        loop {
            if block.is_null() && !parked {
                parked = true;
                listed = seen.len();
                block = state.parked;
            }
            if block.is_null() {
                break;
            }
            require(seen.insert(block.addr()), || format!("class {class}: {block:p} is free twice"))?;
            let header = header_of(block.cast());
            require(!parked || unit_base(header).addr() == base, || format!("class {class}: {block:p} parked"))?;
            if unit_base(header).addr() == base {
                // SAFETY: the block lies in the bootstrap unit, as its address says.
                let found = unsafe { self.bootstrap.class_at(self.base(), block.cast()) };
                require(found == class, || format!("class {class}: bootstrap block {block:p} is of class {found}"))?;
                let cut = census.ranges.contains(&block.addr());
                require(!cut, || format!("class {class}: bootstrap block {block:p} is a free range, too"))?;
            } else if let Some(freed) = census.mixed.get(&header.addr()) {
                // SAFETY: a mixed chunk that the block lies in.
                let found = unsafe { RawPool::class_in_mixed(header, block.cast()) };
                require(found >= class, || format!("class {class}: {block:p} is of class {found}"))?;
                require(!freed.contains(&block.addr()), || format!("class {class}: {block:p} is on two lists"))?;
            } else {
                let chunk = census.chunks.get(&header.addr()).filter(|chunk| chunk.class >= class);
                let chunk = chunk.ok_or_else(|| Violation(format!("class {class}: {block:p} is in no chunk of it")))?;
                require(!chunk.free.contains(&block.addr()), || format!("class {class}: {block:p} is on two lists"))?;
                require(is_block_of(header, block.addr()), || format!("class {class}: {block:p} is no block"))?;
            }
            // SAFETY: just checked to be a block of this pool.
            block = unsafe { (*block).next };
        }
        require(seen.len() - listed == state.parked_count as usize, || format!("class {class}: parked blocks"))?;
        let (handed, returned) = self.bootstrap.counted(class);
        let returned_at_most = state.returned + returned <= state.handed + handed;
        require(returned_at_most, || format!("class {class}: more returned than handed out"))
    }
}

/// Whether `address` is where a carved block of the chunk starts.
pub(super) fn is_block_of(header: *mut ChunkHeader, address: usize) -> bool {
    // SAFETY: callers pass live headers of chunks of small blocks.
    let chunk = unsafe { &*header };
    let base = unit_base(header).addr();
    if address < base || address >= base + CHUNK_SIZE {
        return false;
    }
    let (offset, size) = (address - base, block_size(chunk.class as usize));
    // SAFETY: as above.
    let carved = unsafe { carved_ranges(header) };
    carved.iter().any(|range| range.contains(&offset) && (offset - range.start).is_multiple_of(size))
        && !chunk.in_hole(offset, size)
}
