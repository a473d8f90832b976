//! What a hardened pool knows of its blocks. It is kept on the heap, away from the blocks, so that whose a block is, how
//! large it is and whether it is free are known without a look at memory that may not be the pool's.

use std::alloc::{Layout, alloc_zeroed};

use super::super::layout::CHUNK_SIZE;

/// Blocks of a hardened pool start at multiples of this.
pub const GRANULE: usize = 16;

/// Places in a unit where a block may start.
const GRANULES: usize = CHUNK_SIZE / GRANULE;

/// For each place of a unit 0, the size asked for of the small block that starts there, or [`FREED`].
type Sizes = [u16; GRANULES];

/// A block was there and is free; no small block is as large.
const FREED: u16 = u16::MAX;

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No block was handed out in the 64 KiB around it.
    Foreign,
    /// No block starts there.
    Nothing,
    /// A live small block with this size.
    Small(usize),
    /// A live large block.
    Large,
    /// A block that was freed.
    Freed,
}

/// What is known of one unit of [`CHUNK_SIZE`] bytes.
struct Unit {
    /// Address / [`CHUNK_SIZE`]; 0 in an empty place of the table.
    number: usize,
    /// Of small blocks, once there was one.
    sizes: Option<Box<Sizes>>,
    /// The small blocks, all of them freed, are no longer the pool's.
    retired: bool,
    /// Offset of the large block that starts in this unit; 0 if none does.
    large: u32,
    /// Offset of the large block that was freed last; 0 if none was.
    large_freed: u32,
}

/// A hash table of units.
#[derive(Default)]
pub struct Table {
    /// The length is 0 or a power of two; at most half of the places are taken.
    places: Vec<Unit>,
    taken: usize,
}

/// Neighbouring units get places far apart.
fn hash(number: usize) -> usize {
    const GOLDEN: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
    number.wrapping_mul(GOLDEN) >> (usize::BITS / 2)
}

fn offset(address: usize) -> usize {
    address % CHUNK_SIZE
}

impl Table {
    /// Where the unit of this number is, or the empty place where it would be. There must be places.
    fn place(&self, number: usize) -> usize {
        let mask = self.places.len() - 1;
        let mut place = hash(number) & mask;
        while self.places[place].number != number && self.places[place].number != 0 {
            place = (place + 1) & mask;
        }
        place
    }

    fn unit(&self, address: usize) -> Option<&Unit> {
        let number = address / CHUNK_SIZE;
        if self.places.is_empty() || number == 0 {
            return None;
        }
        Some(&self.places[self.place(number)]).filter(|unit| unit.number == number)
    }

    fn unit_mut(&mut self, address: usize) -> Option<&mut Unit> {
        let number = address / CHUNK_SIZE;
        if self.places.is_empty() || number == 0 {
            return None;
        }
        let place = self.place(number);
        Some(&mut self.places[place]).filter(|unit| unit.number == number)
    }

    /// What is known of `address`.
    pub fn look_up(&self, address: usize) -> Known {
        let Some(unit) = self.unit(address) else { return Known::Foreign };
        let offset = offset(address);
        if offset != 0 && unit.large as usize == offset {
            return Known::Large;
        }
        let size = match &unit.sizes {
            Some(sizes) if offset.is_multiple_of(GRANULE) => sizes[offset / GRANULE],
            _ => 0,
        };
        match size {
            FREED => Known::Freed,
            0 if offset != 0 && unit.large_freed as usize == offset => Known::Freed,
            0 => Known::Nothing,
            size => Known::Small(size as usize),
        }
    }

    /// Makes room for what there is to know of the unit around `address`. False when there is no memory.
    #[must_use]
    pub fn make_room(&mut self, address: usize, small: bool) -> bool {
        if self.unit(address).is_none() && !self.add(address / CHUNK_SIZE) {
            return false;
        }
        match self.unit_mut(address) {
            Some(unit) if small && unit.sizes.is_none() => {
                unit.sizes = zeroed_sizes();
                unit.sizes.is_some()
            }
            unit => unit.is_some(),
        }
    }

    fn add(&mut self, number: usize) -> bool {
        if (self.taken + 1) * 2 > self.places.len() && !self.grow() {
            return false;
        }
        let place = self.place(number);
        self.places[place].number = number;
        self.taken += 1;
        true
    }

    fn grow(&mut self) -> bool {
        let length = (self.places.len() * 2).max(64);
        let mut larger = Vec::new();
        if larger.try_reserve_exact(length).is_err() {
            return false;
        }
        larger.resize_with(length, || Unit { number: 0, sizes: None, retired: false, large: 0, large_freed: 0 });
        for unit in std::mem::replace(&mut self.places, larger) {
            if unit.number != 0 {
                let place = self.place(unit.number);
                self.places[place] = unit;
            }
        }
        true
    }

    /// Notes a live small block, or with size 0 that there is none. There must be room for it.
    pub fn set_small(&mut self, address: usize, size: usize) {
        self.set_size(address, size as u16);
    }

    /// Notes that a small block was freed.
    pub fn set_freed(&mut self, address: usize) {
        self.set_size(address, FREED);
    }

    fn set_size(&mut self, address: usize, size: u16) {
        if let Some(sizes) = self.unit_mut(address).and_then(|unit| unit.sizes.as_mut()) {
            sizes[offset(address) / GRANULE] = size;
        }
    }

    /// Notes a live large block. There must be room for it.
    pub fn set_large(&mut self, address: usize) {
        if let Some(unit) = self.unit_mut(address) {
            let large = offset(address) as u32;
            *unit = Unit { number: unit.number, sizes: None, retired: false, large, large_freed: 0 };
        }
    }

    /// Notes that a large block was freed.
    pub fn set_large_freed(&mut self, address: usize) {
        if let Some(unit) = self.unit_mut(address) {
            (unit.large, unit.large_freed) = (0, offset(address) as u32);
        }
    }

    /// The large block that was freed last in the unit around `address`.
    pub fn freed_large(&self, address: usize) -> Option<usize> {
        let unit = self.unit(address).filter(|unit| unit.large_freed != 0)?;
        Some(unit.number * CHUNK_SIZE + unit.large_freed as usize)
    }

    /// Notes that a unit has no blocks any more. That some were freed is still known.
    pub fn retire(&mut self, address: usize) {
        if let Some(unit) = self.unit_mut(address) {
            unit.retired = true;
        }
    }

    /// Forgets the freed blocks of a unit that gets blocks of another size.
    pub fn forget(&mut self, address: usize) {
        if let Some(unit) = self.unit_mut(address) {
            (unit.large_freed, unit.retired) = (0, false);
            if let Some(sizes) = &mut unit.sizes {
                sizes.fill(0);
            }
        }
    }

    /// Gives back what is known of units without blocks.
    pub fn trim(&mut self) {
        self.places.iter_mut().filter(|unit| unit.retired).for_each(|unit| unit.sizes = None);
    }

    /// Address of every live small block, with its size.
    pub fn live_small(&self) -> impl Iterator<Item = (usize, usize)> {
        self.places.iter().flat_map(|unit| {
            let sizes = unit.sizes.iter().flat_map(|sizes| sizes.iter().enumerate());
            let live = sizes.filter(|&(_, &size)| size != 0 && size != FREED);
            live.map(|(granule, &size)| (unit.number * CHUNK_SIZE + granule * GRANULE, size as usize))
        })
    }

    /// Address of every freed small block that the pool keeps.
    pub fn freed_small(&self) -> impl Iterator<Item = usize> {
        self.places.iter().filter(|unit| !unit.retired).flat_map(|unit| {
            let sizes = unit.sizes.iter().flat_map(|sizes| sizes.iter().enumerate());
            let freed = sizes.filter(|&(_, &size)| size == FREED);
            freed.map(|(granule, _)| unit.number * CHUNK_SIZE + granule * GRANULE)
        })
    }

    /// Address of every live large block.
    pub fn live_large(&self) -> impl Iterator<Item = usize> {
        let large = self.places.iter().filter(|unit| unit.large != 0);
        large.map(|unit| unit.number * CHUNK_SIZE + unit.large as usize)
    }
}

/// All places free; `None` when there is no memory.
fn zeroed_sizes() -> Option<Box<Sizes>> {
    // SAFETY: the type's size is not 0.
    let sizes = unsafe { alloc_zeroed(Layout::new::<Sizes>()) }.cast::<Sizes>();
    // SAFETY: from the global allocator, with the layout of the type, for which zero is a value.
    (!sizes.is_null()).then(|| unsafe { Box::from_raw(sizes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_and_nothing_else() {
        let mut table = Table::default();
        assert_eq!(table.look_up(0x7000_0010), Known::Foreign);
        for unit in 1..200 {
            let small = unit * CHUNK_SIZE + 0x40;
            assert!(table.make_room(small, true));
            table.set_small(small, unit);
            assert_eq!(table.look_up(small), Known::Small(unit));
            assert_eq!(table.look_up(small + 1), Known::Nothing);
            assert_eq!(table.look_up(small + GRANULE), Known::Nothing);
            assert_eq!(table.look_up(small + CHUNK_SIZE), Known::Foreign);
        }
        assert_eq!(table.live_small().count(), 199);
        for unit in (1..200).step_by(2) {
            table.set_freed(unit * CHUNK_SIZE + 0x40);
        }
        assert_eq!(table.look_up(CHUNK_SIZE + 0x40), Known::Freed);
        assert_eq!(table.look_up(2 * CHUNK_SIZE + 0x40), Known::Small(2));
        assert_eq!(table.freed_small().count(), 100);
        table.retire(CHUNK_SIZE);
        assert_eq!((table.look_up(CHUNK_SIZE + 0x40), table.freed_small().count()), (Known::Freed, 99));
        table.trim();
        assert_eq!(table.look_up(CHUNK_SIZE + 0x40), Known::Nothing);
        assert_eq!(table.live_small().count(), 99);
    }

    #[test]
    fn a_large_block_takes_the_place_of_the_small_ones() {
        let mut table = Table::default();
        let (small, large) = (CHUNK_SIZE + 0x40, CHUNK_SIZE + 0x3010);
        assert!(table.make_room(small, true));
        table.set_small(small, 8);
        table.set_freed(small);
        assert!(table.make_room(large, false));
        table.set_large(large);
        assert_eq!((table.look_up(small), table.look_up(large)), (Known::Nothing, Known::Large));
        assert_eq!(table.live_large().collect::<Vec<_>>(), [large]);
        table.set_large_freed(large);
        assert_eq!(table.look_up(large), Known::Freed);
        table.forget(large);
        assert_eq!(table.look_up(large), Known::Nothing);
    }
}
