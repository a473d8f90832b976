//! Whose block is it? Found from the address alone, and without reading memory that may not be the pool's.

use super::chunk::{ChunkKind, unit_base};
use super::layout::{CHUNK_SIZE, ChunkHeader, FreeBlock, header_of};
use super::raw::RawPool;
use super::verify::is_block_of;

/// What is wrong with a pointer that somebody wants to free or resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLive {
    /// The address is in no unit that this pool uses.
    Foreign,
    /// It is inside one, but no block starts there.
    Inside,
    /// A block starts there, and it is free.
    Freed,
}

impl RawPool {
    /// Whether `address` lies in a chunk or a large block of this pool. Takes time proportional to the number of
    /// segments and large blocks; `UnitTable` is for those who ask often.
    pub fn owns(&self, address: *const u8) -> bool {
        let mut owned = false;
        self.for_each_owned(|start, units| {
            owned |= (start.addr()..start.addr() + units * CHUNK_SIZE).contains(&address.addr());
        });
        owned
    }

    /// Calls `visit` with start and units of every segment, and of every large block that is a mapping of its own.
    fn for_each_owned(&self, mut visit: impl FnMut(*mut u8, usize)) {
        self.segments.for_each(|segment| visit(segment.base, segment.units));
        let mut header = self.large.head;
        while !header.is_null() {
            // SAFETY: the list holds live headers of large blocks.
            unsafe {
                if (*header).kind == ChunkKind::Direct as u8 {
                    visit(unit_base(header), (*header).cursor as usize);
                }
                header = (*header).next;
            }
        }
    }

    /// Whether `block` is a live block of this pool. Slow: walks lists of free blocks.
    ///
    /// # Errors
    /// What it is instead.
    pub(crate) fn check_live(&self, block: *mut u8) -> Result<(), NotLive> {
        let header = self.header_of_used(block).ok_or(NotLive::Foreign)?;
        // SAFETY: the header of a unit in use.
        let chunk = unsafe { &*header };
        match chunk.kind {
            kind if kind == ChunkKind::Small as u8 => {
                if !is_block_of(header, block.addr()) {
                    let hole = chunk.in_hole(block.addr() - unit_base(header).addr(), 1);
                    return Err(if hole { NotLive::Freed } else { NotLive::Inside });
                }
                let freed = listed(chunk.free, block) || self.on_allocation_list(block, chunk.class as usize);
                if freed { Err(NotLive::Freed) } else { Ok(()) }
            }
            kind if kind == ChunkKind::Bootstrap as u8 => {
                // SAFETY: the unit is the bootstrap unit, as its header says.
                let (starts, class) = unsafe {
                    (self.bootstrap.starts_at(self.base(), block), self.bootstrap.class_at(self.base(), block))
                };
                if !starts {
                    return Err(NotLive::Inside);
                }
                let waits = listed(self.classes[class].parked, block) || listed(self.bootstrap.ranges(), block);
                if waits || self.on_allocation_list(block, class) { Err(NotLive::Freed) } else { Ok(()) }
            }
            kind if kind == ChunkKind::Mixed as u8 => {
                // SAFETY: a mixed chunk, as its header says.
                let (class, is_free) =
                    unsafe { (RawPool::class_in_mixed(header, block), RawPool::is_free_in_mixed(header, block)) };
                match class {
                    // What is free there is of no block any more.
                    0 if is_free => Err(NotLive::Freed),
                    0 => Err(NotLive::Inside),
                    class if listed(chunk.free, block) || self.on_allocation_list(block, class) => Err(NotLive::Freed),
                    _ => Ok(()),
                }
            }
            kind => {
                let kind = if kind == ChunkKind::Direct as u8 { ChunkKind::Direct } else { ChunkKind::Run };
                let start = RawPool::large_start(header, kind, chunk.unit as usize);
                let starts = unit_base(header).addr() + start == block.addr();
                if starts { Ok(()) } else { Err(NotLive::Inside) }
            }
        }
    }

    /// Whether a block of `class` is on its allocation list, or on that of a smaller class it was given to.
    fn on_allocation_list(&self, block: *mut u8, class: usize) -> bool {
        (1..=class).any(|class| listed(self.list(class), block))
    }

    /// The header of the chunk or large block in whose first unit `block` lies.
    fn header_of_used(&self, block: *mut u8) -> Option<*mut ChunkHeader> {
        let unit = block.addr() & !(CHUNK_SIZE - 1);
        let mut used = false;
        self.segments.for_each(|segment| {
            if (segment.base.addr()..segment.base.addr() + segment.units * CHUNK_SIZE).contains(&unit) {
                let bit = (unit - segment.base.addr()) / CHUNK_SIZE;
                used = segment.free & (1 << bit) == 0 && self.starts_at(&segment, bit);
            }
        });
        if !used {
            let mut header = self.large.head;
            while !header.is_null() && !used {
                used = unit_base(header).addr() == unit;
                // SAFETY: the list holds live headers of large blocks.
                header = unsafe { (*header).next };
            }
        }
        used.then(|| header_of(block))
    }

    /// Whether unit number `wanted` of a segment has a header: the later units of a large block have none.
    fn starts_at(&self, segment: &super::segment::SegmentView, wanted: usize) -> bool {
        let mut found = false;
        // SAFETY: a segment of this pool, which `&self` keeps from changing.
        unsafe { super::stats::for_each_chunk(segment, |chunk| found |= chunk.unit == wanted) };
        found
    }
}

/// Whether `block` is on a list of free blocks.
fn listed(mut list: *mut FreeBlock, block: *mut u8) -> bool {
    while !list.is_null() && list.addr() != block.addr() {
        // SAFETY: a list of a pool holds free blocks only.
        list = unsafe { (*list).next };
    }
    !list.is_null()
}

/// The units of one pool as a hash table, for asking often. It notices by itself when the pool's mappings change.
#[derive(Default)]
pub struct UnitTable {
    /// Numbers of owned units (address / [`CHUNK_SIZE`]); 0 is an empty place. The length is a power of two.
    places: Vec<usize>,
    /// The pool's count of changes that `places` was made for.
    changes: u64,
}

impl UnitTable {
    /// Whether `address` lies in a chunk of `pool`, or in the first unit of a large block, where the block starts.
    #[inline]
    pub fn owns(&mut self, pool: &RawPool, address: *const u8) -> bool {
        if self.changes != pool.segments.map_changes && !self.rebuild(pool) {
            return pool.owns(address);
        }
        let number = address.addr() / CHUNK_SIZE;
        let mask = self.places.len() - 1;
        let mut place = hash(number) & mask;
        loop {
            match self.places[place] {
                0 => return false,
                owned if owned == number => return true,
                _ => place = (place + 1) & mask,
            }
        }
    }

    /// Makes the table anew: cheap beside the mapping of memory that was the reason. False when there is no memory.
    #[cold]
    fn rebuild(&mut self, pool: &RawPool) -> bool {
        let mut count = 0;
        pool.for_each_owned(|_, units| count += units);
        // At most half full, and with room for as much again.
        let length = (count * 4).next_power_of_two();
        if self.places.len() < count * 2 {
            self.places.clear();
            if self.places.try_reserve_exact(length).is_err() {
                self.changes = 0;
                return false;
            }
            self.places.resize(length, 0);
        } else {
            self.places.fill(0);
        }
        let mask = self.places.len() - 1;
        pool.for_each_owned(|start, units| {
            for number in (start.addr() / CHUNK_SIZE..).take(units) {
                let mut place = hash(number) & mask;
                while self.places[place] != 0 {
                    place = (place + 1) & mask;
                }
                self.places[place] = number;
            }
        });
        self.changes = pool.segments.map_changes;
        true
    }
}

/// Neighbouring units get places far apart.
fn hash(number: usize) -> usize {
    const GOLDEN: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
    number.wrapping_mul(GOLDEN) >> (usize::BITS / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pool;

    fn raw(pool: &Pool) -> &RawPool {
        // SAFETY: the pool is live as long as the borrow.
        unsafe { &*pool.as_ud().cast() }
    }

    #[test]
    fn a_pool_knows_its_blocks_from_all_others() {
        let mut pool = Pool::new().expect("memory");
        let mut other = Pool::new().expect("memory");
        let mut table = UnitTable::default();
        let mut blocks = Vec::new();
        for round in 0..2000_usize {
            let size =
                [8, 24, 56, 700, 20_000, 300_000, 5 << 20][if round % 50 == 0 { round / 50 % 7 } else { round % 5 }];
            let (ours, theirs) = (pool.allocate(size), other.allocate(size));
            assert!(table.owns(raw(&pool), ours) && raw(&pool).owns(ours) && raw(&pool).check_live(ours).is_ok());
            assert!(!table.owns(raw(&pool), theirs) && raw(&pool).check_live(theirs) == Err(NotLive::Foreign));
            blocks.push(ours);
            if round % 3 == 0 {
                let freed = blocks.swap_remove(round % blocks.len());
                // SAFETY: live until now.
                unsafe { pool.free(freed) };
            }
        }
        let on_heap = Box::new(0_u64);
        assert!(!table.owns(raw(&pool), (&raw const *on_heap).cast()));
        assert!(blocks.iter().all(|&block| table.owns(raw(&pool), block) && raw(&pool).check_live(block).is_ok()));
    }

    #[test]
    fn freed_blocks_and_addresses_inside_blocks_are_told_from_live_ones() {
        let mut pool = Pool::new().expect("memory");
        let mut blocks: Vec<_> = (0..600).map(|_| pool.allocate(64)).collect();
        for size in [1000, 100_000, 3 << 20] {
            blocks.push(pool.allocate(size));
        }
        for block in blocks {
            assert_eq!(raw(&pool).check_live(block), Ok(()));
            assert_eq!(raw(&pool).check_live(block.wrapping_add(8)), Err(NotLive::Inside));
            // SAFETY: live until now.
            unsafe { pool.free(block) };
            let after = raw(&pool).check_live(block).expect_err("it is free");
            assert!(after == NotLive::Freed || after == NotLive::Foreign, "{after:?}");
        }
    }
}
