//! A pool against a model that knows what every block must hold: requests (ptr, osize, nsize) go through
//! its `lua_Alloc` function. It uses nothing but the crate's public interface.

use std::ptr;

use lua_pool_allocator::Pool;
use lua_pool_allocator::pool::stats::PoolStats;

/// One request.
#[derive(Clone, Debug)]
pub enum Request {
    Allocate { tag: usize, size: usize },
    Resize { pick: usize, size: usize, osize: OldSize },
    Free { pick: usize, osize: OldSize },
    FreeNewest { count: usize },
    Limit { megabytes: Option<usize> },
    AllocateMany { tag: usize, size: usize, count: usize },
    FreeEvery { step: usize },
    Trim { kilobytes: usize },
    FullCollection,
}

/// What the caller says the old size was: Lua tells the truth, C modules may not.
#[derive(Clone, Copy, Debug)]
pub enum OldSize {
    True,
    Zero,
}

pub struct Block {
    pub address: *mut u8,
    pub size: usize,
    pattern: u8,
}

// SAFETY: a block belongs to whoever has its pool, and both move together, inside a model.
unsafe impl Send for Block {}

pub struct Model {
    pub pool: Pool,
    pub blocks: Vec<Block>,
    next_pattern: u8,
}

impl Model {
    pub fn new(interval: u32) -> Model {
        Model::on(Pool::builder().check_interval(interval).build().expect("a small mapping"))
    }

    /// A model with a pool of the caller's making.
    pub fn on(pool: Pool) -> Model {
        Model { pool, blocks: Vec::new(), next_pattern: 1 }
    }

    pub fn call(&mut self, address: *mut u8, osize: usize, nsize: usize) -> *mut u8 {
        // SAFETY: the pool lives in the model, and addresses come from its live blocks.
        unsafe { self.pool.alloc_function()(self.pool.as_ud(), address.cast(), osize, nsize).cast() }
    }

    pub fn fill(&mut self, index: usize) {
        let block = &mut self.blocks[index];
        block.pattern = self.next_pattern;
        self.next_pattern = self.next_pattern.wrapping_add(1).max(1);
        for offset in marks(block.size) {
            // SAFETY: the block has at least `size` bytes, and the marks are below that.
            unsafe { block.address.add(offset).write(block.pattern) };
        }
    }

    pub fn alignment(tag: usize, size: usize) -> usize {
        if (4..=10).contains(&tag) && tag != 7 || size < 16 { 8 } else { 16 }
    }

    pub fn apply(&mut self, request: &Request) {
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
                assert!(holds_pattern(block, old_size.min(size)), "a resize lost contents");
                block.size = size;
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
            Request::AllocateMany { tag, size, count } => {
                for _ in 0..count {
                    self.apply(&Request::Allocate { tag, size });
                }
            }
            Request::FreeEvery { step } => {
                for pick in (0..self.blocks.len()).step_by(step).rev() {
                    self.apply(&Request::Free { pick, osize: OldSize::True });
                }
            }
            Request::Trim { kilobytes } => {
                self.pool.trim(kilobytes << 10);
            }
            Request::FullCollection => self.pool.full_collection_ended(),
            Request::Limit { megabytes } => self.pool.set_limit_bytes(megabytes.map(|limit| limit << 20)),
        }
    }

    pub fn free(&mut self, block: &Block, osize: OldSize) {
        assert!(holds_pattern(block, block.size), "somebody wrote into a live block");
        assert!(self.call(block.address, told(osize, block.size), 0).is_null());
    }

    pub fn pick(&self, pick: usize) -> Option<usize> {
        (!self.blocks.is_empty()).then(|| pick % self.blocks.len())
    }

    /// Everything that must hold after every request.
    pub fn check(&self) {
        self.pool.verify().expect("the accounting identity");
        let stats = self.pool.stats();
        let live: u64 = stats.classes.iter().map(|class| class.live_blocks).sum();
        let large = stats.large_allocations - stats.large_frees;
        assert_eq!(live + large, self.blocks.len() as u64, "live blocks");
        let requested: u64 = self.blocks.iter().map(|block| block.size as u64).sum();
        assert!(stats.live_bytes >= requested, "{} live, {requested} asked for", stats.live_bytes);
        let small: u64 = stats.classes.iter().map(|class| class.live_blocks * class.block_size as u64).sum();
        assert_eq!(stats.live_bytes, small + stats.large_live_bytes);
        for class in &stats.classes {
            assert_eq!(class.live_blocks, class.allocations - class.frees);
            assert_eq!(class.chunks, class.chunks_acquired - class.chunks_released);
        }
        let large: u64 = self.blocks.iter().map(|block| block.size as u64).filter(|&size| size > 16 << 10).sum();
        assert!(stats.large_live_bytes >= large, "only a block that could not be moved is larger than was asked for");
        assert!(stats.used_bytes >= stats.live_bytes);
        let chunks: u64 = stats.classes.iter().map(|class| class.chunk_bytes()).sum();
        let of_large = stats.used_bytes.checked_sub((64 << 10) + chunks + stats.mixed_bytes);
        assert!(
            of_large
                .is_some_and(|bytes| bytes >= stats.large_live_bytes && (bytes == 0) == (stats.large_live_bytes == 0))
        );
        assert!(stats.peak_bytes >= stats.used_bytes + stats.cached_bytes);
        assert!(stats.mapped_bytes >= stats.used_bytes + stats.cached_bytes);
    }

    pub fn check_no_overlap(&self) {
        let mut ranges: Vec<_> = self.blocks.iter().map(|b| (b.address.addr(), b.address.addr() + b.size)).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two blocks overlap");
    }

    /// Frees everything: the books must balance to zero.
    pub fn finish(mut self) -> PoolStats {
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

/// Which bytes of a block are written and looked at: all of a small one; of others some hundreds, and the last.
fn marks(size: usize) -> impl Iterator<Item = usize> {
    let step = (size / 256).max(1) | 1;
    (0..size).step_by(step).chain(size.checked_sub(1))
}

/// Whether the marks of `block` below `length` are as they were written.
fn holds_pattern(block: &Block, length: usize) -> bool {
    // SAFETY: the block has at least `length` bytes, and the marks looked at are below that.
    marks(block.size).filter(|&mark| mark < length).all(|mark| unsafe { *block.address.add(mark) } == block.pattern)
}

fn told(osize: OldSize, size: usize) -> usize {
    match osize {
        OldSize::True => size,
        OldSize::Zero => 0,
    }
}
