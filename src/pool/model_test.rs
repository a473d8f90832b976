//! Random sequences of (ptr, osize, nsize) through `lua_pool_alloc`, against a model that knows what every block
//! must hold.

use std::ptr;

use proptest::prelude::*;

use super::layout::{CHUNK_SIZE, CLASS_COUNT, SMALL_MAX};
use super::size_class::block_size;
use super::{Pool, stats::PoolStats};
use crate::lua_pool_alloc;

/// One request.
#[derive(Clone, Debug)]
enum Request {
    Allocate { tag: usize, size: usize },
    Resize { pick: usize, size: usize, osize: OldSize },
    Free { pick: usize, osize: OldSize },
    FreeNewest { count: usize },
    Limit { megabytes: Option<usize> },
}

/// What the caller says the old size was: Lua tells the truth, C modules may not.
#[derive(Clone, Copy, Debug)]
enum OldSize {
    True,
    Zero,
}

struct Block {
    address: *mut u8,
    size: usize,
    pattern: u8,
}

struct Model {
    pool: Pool,
    blocks: Vec<Block>,
    next_pattern: u8,
}

/// Sizes around every class boundary, the small/large boundary, runs and mappings, and anything between.
fn sizes() -> impl Strategy<Value = usize> {
    let around = |size: usize| (size.saturating_sub(1).max(1)..=size + 1).boxed();
    prop_oneof![
        8 => 1usize..=600,
        6 => (1..CLASS_COUNT).prop_flat_map(move |class| around(block_size(class))),
        2 => around(SMALL_MAX),
        2 => (1usize..=4).prop_flat_map(move |units| around(units * CHUNK_SIZE - 4096)),
        1 => SMALL_MAX..=40 * CHUNK_SIZE,
    ]
}

/// Sizes no system has.
fn impossible_sizes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(usize::MAX), Just(isize::MAX as usize + 1), Just(isize::MAX as usize), Just(usize::MAX - 4096)]
}

fn old_size() -> impl Strategy<Value = OldSize> {
    prop_oneof![4 => Just(OldSize::True), 1 => Just(OldSize::Zero)]
}

fn requests() -> impl Strategy<Value = Request> {
    let tags = prop_oneof![Just(0usize), 4usize..=10, Just(usize::MAX)];
    prop_oneof![
        10 => (tags, sizes()).prop_map(|(tag, size)| Request::Allocate { tag, size }),
        1 => (0usize..9, impossible_sizes()).prop_map(|(tag, size)| Request::Allocate { tag, size }),
        6 => (any::<usize>(), prop_oneof![20 => sizes(), 1 => impossible_sizes()], old_size())
            .prop_map(|(pick, size, osize)| Request::Resize { pick, size, osize }),
        6 => (any::<usize>(), old_size()).prop_map(|(pick, osize)| Request::Free { pick, osize }),
        1 => (1usize..200).prop_map(|count| Request::FreeNewest { count }),
        1 => prop_oneof![Just(None), (0usize..8).prop_map(Some)].prop_map(|megabytes| Request::Limit { megabytes }),
    ]
}

impl Model {
    fn new(interval: u32) -> Model {
        let pool = Pool::builder().check_interval(interval).build().expect("a small mapping");
        Model { pool, blocks: Vec::new(), next_pattern: 1 }
    }

    fn call(&mut self, address: *mut u8, osize: usize, nsize: usize) -> *mut u8 {
        // SAFETY: the pool lives in the model, and addresses come from its live blocks.
        unsafe { lua_pool_alloc(self.pool.as_ud(), address.cast(), osize, nsize).cast() }
    }

    fn fill(&mut self, index: usize) {
        let block = &mut self.blocks[index];
        block.pattern = self.next_pattern;
        self.next_pattern = self.next_pattern.wrapping_add(1).max(1);
        // SAFETY: the block has at least `size` bytes.
        unsafe { ptr::write_bytes(block.address, block.pattern, block.size) };
    }

    fn alignment(tag: usize, size: usize) -> usize {
        if (4..=10).contains(&tag) && tag != 7 || size < 16 { 8 } else { 16 }
    }

    fn apply(&mut self, request: &Request) {
        match *request {
            Request::Allocate { tag, size } => {
                let address = self.call(ptr::null_mut(), tag, size);
                if address.is_null() {
                    return;
                }
                assert!(size <= isize::MAX as usize / 2, "a block of {size} bytes cannot be");
                assert_eq!(address.addr() % Model::alignment(tag, size), 0);
                self.blocks.push(Block { address, size, pattern: 0 });
                self.fill(self.blocks.len() - 1);
            }
            Request::Resize { pick, size, osize } => {
                let Some(index) = self.pick(pick) else { return };
                let Block { address: old, size: old_size, .. } = self.blocks[index];
                let address = self.call(old, told(osize, old_size), size);
                let block = &mut self.blocks[index];
                if address.is_null() {
                    assert!(size > old_size, "a shrink from {old_size} to {size} failed");
                    assert!(holds_pattern(block, old_size), "a failed resize changed the block");
                    return;
                }
                block.address = address;
                block.size = size;
                assert!(holds_pattern(block, old_size.min(size)), "a resize lost contents");
                self.fill(index);
            }
            Request::Free { pick, osize } => {
                let Some(index) = self.pick(pick) else { return };
                let block = self.blocks.swap_remove(index);
                self.free(&block, osize);
            }
            Request::FreeNewest { count } => {
                for _ in 0..count {
                    let Some(block) = self.blocks.pop() else { return };
                    self.free(&block, OldSize::True);
                }
            }
            Request::Limit { megabytes } => self.pool.set_limit_bytes(megabytes.map(|limit| limit << 20)),
        }
    }

    fn free(&mut self, block: &Block, osize: OldSize) {
        assert!(holds_pattern(block, block.size), "somebody wrote into a live block");
        assert!(self.call(block.address, told(osize, block.size), 0).is_null());
    }

    fn pick(&self, pick: usize) -> Option<usize> {
        (!self.blocks.is_empty()).then(|| pick % self.blocks.len())
    }

    /// Everything that must hold after every request.
    fn check(&self) {
        self.pool.verify().expect("the accounting identity");
        let stats = self.pool.stats();
        let live: u64 = stats.classes.iter().map(|class| class.live_blocks).sum();
        let large = stats.large_live_blocks;
        assert_eq!(live + large, self.blocks.len() as u64, "live blocks");
        let requested: u64 = self.blocks.iter().map(|block| block.size as u64).sum();
        assert!(stats.live_bytes >= requested, "{} live, {requested} asked for", stats.live_bytes);
        assert!(stats.used_bytes >= stats.live_bytes);
        assert!(stats.peak_bytes >= stats.used_bytes + stats.cached_bytes);
        assert!(stats.mapped_bytes >= stats.used_bytes + stats.cached_bytes);
    }

    fn check_no_overlap(&self) {
        let mut ranges: Vec<_> = self.blocks.iter().map(|b| (b.address.addr(), b.address.addr() + b.size)).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two blocks overlap");
    }

    /// Frees everything: the books must balance to zero.
    fn finish(mut self) -> PoolStats {
        while let Some(block) = self.blocks.pop() {
            self.free(&block, OldSize::True);
        }
        self.check();
        let stats = self.pool.stats();
        assert_eq!(stats.live_bytes, 0);
        assert_eq!(stats.large_allocations, stats.large_frees);
        assert!(stats.classes.iter().all(|class| class.allocations == class.frees));
        stats
    }
}

fn holds_pattern(block: &Block, length: usize) -> bool {
    // SAFETY: the block has at least `size` bytes, and `length` is at most that.
    let bytes = unsafe { std::slice::from_raw_parts(block.address, length) };
    bytes.iter().all(|&byte| byte == block.pattern)
}

fn told(osize: OldSize, size: usize) -> usize {
    match osize {
        OldSize::True => size,
        OldSize::Zero => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn random_requests_agree_with_the_model(requests in prop::collection::vec(requests(), 1..400)) {
        let mut model = Model::new(0);
        for request in &requests {
            model.apply(request);
            model.check();
        }
        model.check_no_overlap();
        model.finish();
    }

    #[test]
    fn floods_of_one_size_agree_with_the_model(size in sizes(), rounds in prop::collection::vec((1usize..3000, 0usize..3000), 1..6)) {
        let size = size.min(20_000);
        let mut model = Model::new(64);
        for (allocated, freed) in rounds {
            for _ in 0..allocated {
                model.apply(&Request::Allocate { tag: 5, size });
            }
            for pick in 0..freed {
                model.apply(&Request::Free { pick: pick.wrapping_mul(2_654_435_761), osize: OldSize::True });
            }
            model.check();
        }
        model.check_no_overlap();
        model.finish();
    }
}

#[test]
fn nothing_is_nothing() {
    let mut model = Model::new(1);
    assert!(model.call(ptr::null_mut(), 0, 0).is_null());
    assert!(model.call(ptr::null_mut(), 123, 0).is_null());
    model.check();
}

#[test]
fn impossible_sizes_return_null_and_leave_the_block_alone() {
    let mut model = Model::new(1);
    for size in [usize::MAX, usize::MAX - CHUNK_SIZE, isize::MAX as usize + 1, isize::MAX as usize] {
        assert!(model.call(ptr::null_mut(), 0, size).is_null(), "{size}");
        for old in [24, SMALL_MAX + 1, 3 << 20] {
            model.apply(&Request::Allocate { tag: 0, size: old });
            let index = model.blocks.len() - 1;
            model.apply(&Request::Resize { pick: index, size, osize: OldSize::True });
            assert_eq!(model.blocks[index].size, old);
        }
    }
    model.finish();
}

#[test]
fn growing_a_block_by_doubling_keeps_its_contents_through_every_kind_of_block() {
    let mut model = Model::new(1);
    let mut size = 1;
    model.apply(&Request::Allocate { tag: 0, size });
    while size < 64 << 20 {
        size = size * 2 + 1;
        model.apply(&Request::Resize { pick: 0, size, osize: OldSize::True });
        assert_eq!(model.blocks[0].size, size);
    }
    while size > 1 {
        size /= 2;
        model.apply(&Request::Resize { pick: 0, size, osize: OldSize::True });
        assert_eq!(model.blocks[0].size, size);
    }
    model.finish();
}

#[test]
fn a_shrink_succeeds_even_when_there_is_no_memory_for_a_copy() {
    let mut model = Model::new(1);
    for size in [4 << 20, 100_000, 9_000] {
        model.apply(&Request::Allocate { tag: 0, size });
    }
    model.pool.set_limit_bytes(Some(0));
    for pick in 0..3 {
        model.apply(&Request::Resize { pick, size: 3_000, osize: OldSize::True });
    }
    assert!(model.blocks.iter().all(|block| block.size == 3_000));
    model.check();
    model.finish();
}

#[test]
fn the_limit_stops_growth_and_nothing_else() {
    let mut model = Model::new(0);
    model.pool.set_limit_bytes(Some(1 << 20));
    for _ in 0..100_000 {
        model.apply(&Request::Allocate { tag: 5, size: 56 });
    }
    let stats = model.pool.stats();
    assert!(stats.limit_refusals > 0 && stats.used_bytes <= 1 << 20);
    let full = model.blocks.len();
    model.apply(&Request::FreeNewest { count: 1000 });
    for _ in 0..1000 {
        model.apply(&Request::Allocate { tag: 5, size: 56 });
    }
    assert_eq!(model.blocks.len(), full, "freed blocks can be had again at the limit");
    model.finish();
}
