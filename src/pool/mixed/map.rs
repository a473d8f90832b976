//! Where blocks are in a mixed chunk: two bits for every 8 bytes.

use super::super::holes::{PAGE_SIZE, pages_of};
use super::super::layout::CHUNK_SIZE;

/// Bytes that a bit of a map stands for.
pub const GRANULE: usize = 8;

/// Granules in a chunk.
pub const GRANULES: usize = CHUNK_SIZE / GRANULE;

const WORDS: usize = GRANULES / 64;

const WORDS_OF_PAGE: usize = PAGE_SIZE / GRANULE / 64;

/// What is in use in a mixed chunk, what is reserved included.
///
/// Identities: `starts` is a subset of `used`, and the granules of a block are those from its start to the next that is
/// not in use or starts another; `free` = [`GRANULES`] - popcount(`used`); no page of `holes` has a granule in use.
pub struct Map {
    /// Bit g: granule g is in use.
    used: [u64; WORDS],
    /// Bit g: what is in use at granule g starts there.
    starts: [u64; WORDS],
    /// Granules not in use.
    pub free: u32,
    /// No more granules than this are free in a row.
    pub longest: u32,
    /// Where the last search ended.
    pub cursor: u32,
    /// Bit p: page p went back to the system, and nobody has needed it since.
    pub holes: u16,
}

impl Map {
    /// A map with nothing in use.
    pub const EMPTY: Map = Map {
        used: [0; WORDS],
        starts: [0; WORDS],
        free: GRANULES as u32,
        longest: GRANULES as u32,
        cursor: 0,
        holes: 0,
    };

    /// Calls `change` with the index of each word that has some of the `count` bits from `first` on, and these bits.
    #[inline(always)]
    fn for_each_word(first: usize, count: usize, mut change: impl FnMut(usize, u64)) {
        let end = first + count;
        let mut at = first;
        while at < end {
            let bits = (64 - at % 64).min(end - at);
            change(at / 64, (u64::MAX >> (64 - bits)) << (at % 64));
            at += bits;
        }
    }

    /// The first bit from `first` on that is set in the words that `word` gives; [`GRANULES`] if there is none.
    #[inline(always)]
    fn find(first: usize, word: impl Fn(usize) -> u64) -> usize {
        if first >= GRANULES {
            return GRANULES;
        }
        let mut index = first / 64;
        let mut bits = word(index) & (u64::MAX << (first % 64));
        while bits == 0 {
            index += 1;
            if index == WORDS {
                return GRANULES;
            }
            bits = word(index);
        }
        index * 64 + bits.trailing_zeros() as usize
    }

    fn next_free(&self, first: usize) -> usize {
        Map::find(first, |index| !self.used[index])
    }

    fn next_used(&self, first: usize) -> usize {
        Map::find(first, |index| self.used[index])
    }

    /// The first of the free granules in a row that end before `granule`, or `granule` if there are none.
    fn free_since(&self, granule: usize) -> usize {
        let Some(last) = granule.checked_sub(1) else {
            return 0;
        };
        let mut index = last / 64;
        let mut bits = self.used[index] & (u64::MAX >> (63 - last % 64));
        while bits == 0 {
            let Some(before) = index.checked_sub(1) else {
                return 0;
            };
            index = before;
            bits = self.used[index];
        }
        index * 64 + 64 - bits.leading_zeros() as usize
    }

    /// Whether a granule is in use.
    pub fn is_used(&self, granule: usize) -> bool {
        self.used[granule / 64] & (1 << (granule % 64)) != 0
    }

    /// Whether a block, or what is reserved, starts at a granule.
    pub fn starts_at(&self, granule: usize) -> bool {
        self.starts[granule / 64] & (1 << (granule % 64)) != 0
    }

    /// Granules of what starts at `granule`.
    pub fn length_at(&self, granule: usize) -> usize {
        Map::find(granule + 1, |index| !self.used[index] | self.starts[index]) - granule
    }

    /// Marks `count` free granules from `granule` on as one block, or as reserved.
    pub fn take(&mut self, granule: usize, count: usize) {
        Map::for_each_word(granule, count, |index, bits| self.used[index] |= bits);
        self.starts[granule / 64] |= 1 << (granule % 64);
        self.free -= count as u32;
    }

    /// Marks the granules of the block that starts at `granule` as free. Returns how many those are.
    pub fn give_back(&mut self, granule: usize) -> usize {
        let count = self.length_at(granule);
        Map::for_each_word(granule, count, |index, bits| self.used[index] &= !bits);
        self.starts[granule / 64] &= !(1 << (granule % 64));
        self.free += count as u32;
        let in_a_row = self.next_used(granule + count) - self.free_since(granule);
        self.longest = self.longest.max(in_a_row as u32);
        count
    }

    /// Takes up to `most` blocks of `count` granules, at even ones if `aligned`, and calls `taken` with the granule that
    /// each starts at. It goes on where the last search ended, and around the chunk once if it finds nothing.
    #[inline(always)]
    pub fn serve(&mut self, count: usize, aligned: bool, most: u32, mut taken: impl FnMut(usize)) {
        if (self.longest as usize) < count {
            return;
        }
        let from = self.cursor as usize;
        let (mut at, mut end) = (from, GRANULES);
        let (mut longest, mut served) = (0, 0);
        loop {
            let start = self.next_free(at);
            if start >= end {
                if served == 0 && end == GRANULES && from > 0 {
                    // What is free in a row around `from` was seen from there on only.
                    (at, end) = (0, from);
                    continue;
                }
                break;
            }
            let behind = self.next_used(start);
            longest = longest.max(behind - start);
            at = start + (start & usize::from(aligned));
            while at + count <= behind {
                self.take(at, count);
                taken(at);
                at += count;
                served += 1;
                if served == most {
                    self.cursor = (at % GRANULES) as u32;
                    return;
                }
            }
            at = behind;
        }
        self.cursor = 0;
        if served == 0 {
            self.longest = longest as u32;
        }
    }

    /// Pages without a granule in use that are not holes yet.
    pub fn idle_pages(&self) -> u16 {
        let is_idle = |words: &[u64]| words.iter().all(|&word| word == 0);
        let pages = self.used.chunks_exact(WORDS_OF_PAGE).enumerate();
        pages.filter(|(_, words)| is_idle(words)).fold(0, |bits, (page, _)| bits | 1 << page) & !self.holes
    }

    /// Notes that a block is in use again where pages were holes. Returns how many those were.
    pub fn fill_holes(&mut self, granule: usize, count: usize) -> usize {
        let filled = self.holes & pages_of(granule * GRANULE, count * GRANULE);
        self.holes &= !filled;
        filled.count_ones() as usize
    }

    /// The granules at which something starts.
    pub fn all_starts(&self) -> impl Iterator<Item = usize> {
        (0..GRANULES).filter(|&granule| self.starts_at(granule))
    }

    /// Whether the identities hold, by looking at every granule.
    pub fn is_consistent(&self) -> bool {
        let (mut free, mut in_a_row, mut longest) = (0, 0, 0);
        let mut belongs = false;
        for granule in 0..GRANULES {
            belongs = self.is_used(granule) && (belongs || self.starts_at(granule));
            if belongs != self.is_used(granule) || (self.starts_at(granule) && !self.is_used(granule)) {
                return false;
            }
            in_a_row = if self.is_used(granule) { 0 } else { in_a_row + 1 };
            free += u32::from(!self.is_used(granule));
            longest = longest.max(in_a_row);
        }
        let in_holes =
            (0..WORDS).any(|index| self.holes & (1 << (index / WORDS_OF_PAGE)) != 0 && self.used[index] != 0);
        free == self.free && longest <= self.longest && !in_holes && (self.cursor as usize) < GRANULES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(map: &mut Map, count: usize, aligned: bool, most: u32) -> Vec<usize> {
        let mut granules = Vec::new();
        map.serve(count, aligned, most, |granule| granules.push(granule));
        assert!(map.is_consistent());
        granules
    }

    #[test]
    fn freed_neighbours_serve_a_longer_block() {
        let mut map = Map::EMPTY;
        assert_eq!(served(&mut map, 5, false, 3), [0, 5, 10]);
        assert_eq!(served(&mut map, 8177, false, 2), [15]);
        assert_eq!(map.free, 0);
        assert_eq!((map.give_back(5), map.give_back(0)), (5, 5));
        assert_eq!(served(&mut map, 11, false, 1), [] as [usize; 0]);
        assert_eq!(served(&mut map, 10, false, 9), [0]);
        assert_eq!((map.length_at(0), map.length_at(10), map.free), (10, 5, 0));
    }

    #[test]
    fn sizes_of_16_bytes_start_at_even_granules() {
        let mut map = Map::EMPTY;
        assert_eq!(served(&mut map, 3, false, 1), [0]);
        assert_eq!(served(&mut map, 4, true, 2), [4, 8]);
        assert_eq!(served(&mut map, GRANULES - 12, false, 1), [12]);
        assert_eq!(map.cursor, 0);
        assert_eq!(served(&mut map, 2, false, 1), [] as [usize; 0]);
        assert_eq!(map.free, 1);
        assert_eq!(served(&mut map, 1, false, 2), [3]);
    }

    #[test]
    fn a_search_goes_around_and_remembers_what_it_has_not_found() {
        let mut map = Map::EMPTY;
        let blocks = served(&mut map, 64, true, u32::MAX);
        assert_eq!(blocks.len(), 128);
        map.give_back(64);
        assert_eq!(served(&mut map, 2, true, 31).len(), 31);
        assert_eq!(map.cursor, 64 + 62);
        map.give_back(0);
        assert_eq!(served(&mut map, 70, true, 1), [] as [usize; 0]);
        assert_eq!(map.longest, 64);
        assert_eq!(served(&mut map, 64, true, 1), [0]);
    }

    #[test]
    fn pages_without_blocks_are_idle_until_they_are_holes() {
        let mut map = Map::EMPTY;
        map.take(511, 2);
        assert_eq!(map.idle_pages(), !0b11);
        map.holes = map.idle_pages();
        assert_eq!(map.idle_pages(), 0);
        map.serve(1000, false, 1, |granule| assert_eq!(granule, 513));
        assert_eq!((map.fill_holes(513, 1000), map.holes), (1, !0b111));
        assert!(map.is_consistent());
    }
}
