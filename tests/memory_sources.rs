//! Pools on memory of the user's own: functions that count, fail and return rubbish, and fixed buffers.

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "drivers/model.rs"]
mod model;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "drivers/pool_operations.rs"]
mod pool_operations;
#[path = "support/random.rs"]
mod random;

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;
use std::sync::Mutex;

use lua_pool_allocator::{Pool, PoolError, PoolGroup, PurgeMode, Source};
use model::{Model, OldSize, Request};

const UNIT: usize = 64 << 10;

/// Memory from the heap, never zero, with a record of what is out.
#[derive(Default)]
struct Counted {
    mappings: Mutex<HashMap<usize, usize>>,
    calls: Mutex<usize>,
    /// Numbers of calls that return null.
    failing: Range<usize>,
    /// Added to addresses, to make them wrong.
    offset: usize,
}

/// What is behind the start of every mapping's memory: room for `offset`.
const MARGIN: usize = 64;

unsafe extern "C" fn map(ud: *mut c_void, size: usize, alignment: usize) -> *mut c_void {
    // SAFETY: `ud` is a live record.
    let counted = unsafe { &*ud.cast::<Counted>() };
    assert!(alignment == UNIT && size.is_multiple_of(UNIT) && size > 0);
    let mut calls = counted.calls.lock().expect("no panic");
    *calls += 1;
    if counted.failing.contains(&(*calls - 1)) {
        return ptr::null_mut();
    }
    // SAFETY: the layout is not empty; what is written is inside it.
    unsafe {
        let start = alloc(Layout::from_size_align(size + MARGIN, alignment).expect("a valid layout"));
        start.write_bytes(0xA5, size + MARGIN);
        let given = start.add(counted.offset);
        counted.mappings.lock().expect("no panic").insert(given.addr(), size);
        given.cast()
    }
}

unsafe extern "C" fn unmap(ud: *mut c_void, start: *mut c_void, size: usize) {
    // SAFETY: `ud` is a live record.
    let counted = unsafe { &*ud.cast::<Counted>() };
    let known = counted.mappings.lock().expect("no panic").remove(&start.addr());
    assert_eq!(known, Some(size), "unmapped what was not mapped, or in another size");
    // SAFETY: it came from `map` with this size.
    unsafe {
        let layout = Layout::from_size_align(size + MARGIN, UNIT).expect("a valid layout");
        dealloc(start.cast::<u8>().sub(counted.offset), layout);
    }
}

impl Counted {
    fn source(&self) -> Source {
        // SAFETY: the tests keep the record as long as its pools; `map` and `unmap` are an allocator.
        unsafe { Source::new(map, unmap, ptr::from_ref(self).cast_mut().cast()) }
    }

    fn pool(&self) -> Result<Pool, PoolError> {
        Pool::builder().source(self.source()).build()
    }

    fn assert_all_returned(&self) {
        assert_eq!(self.mappings.lock().expect("no panic").len(), 0, "not unmapped");
    }
}

/// Memory for a buffer of `length` bytes at `offset` behind a multiple of 64 KiB, with guards around it.
struct Guarded {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

const GUARD: u8 = 0xEE;

impl Guarded {
    fn new(offset: usize, length: usize) -> Guarded {
        let bytes = vec![GUARD; length + 2 * UNIT];
        let start = bytes.as_ptr().addr().next_multiple_of(UNIT) - bytes.as_ptr().addr() + offset;
        Guarded { bytes, start, length }
    }

    fn source(&mut self) -> Result<Source, PoolError> {
        // SAFETY: the tests drop their pools before the buffer, and use it otherwise only afterwards.
        unsafe { Source::in_raw_buffer(self.bytes.as_mut_ptr().add(self.start), self.length) }
    }

    fn assert_guards(&self) {
        let (before, rest) = self.bytes.split_at(self.start);
        let whole = before.iter().chain(&rest[self.length..]).all(|&byte| byte == GUARD);
        assert!(whole, "written outside of a buffer of {} bytes", self.length);
    }
}

#[test]
fn random_requests_on_a_source_agree_with_the_model_and_all_of_it_goes_back() {
    for seed in 0..12 {
        for mode in [PurgeMode::Auto, PurgeMode::Never, PurgeMode::Now] {
            let counted = Counted::default();
            let pool = Pool::builder().source(counted.source()).purge_mode(mode).build().expect("memory");
            pool_operations::run_on(Model::on(pool), &random::bytes(seed, 4000));
            counted.assert_all_returned();
        }
    }
}

#[test]
fn a_source_that_fails_fails_requests_and_nothing_else() {
    let data = random::bytes(99, 3000);
    let calls = {
        let counted = Counted::default();
        pool_operations::run_on(Model::on(counted.pool().expect("memory")), &data);
        *counted.calls.lock().expect("no panic")
    };
    assert!(calls > 4, "{calls} calls are too few to fail any");
    for first in 0..calls {
        for last in [first + 1, usize::MAX] {
            let counted = Counted { failing: first..last, ..Counted::default() };
            match counted.pool() {
                Ok(pool) => pool_operations::run_on(Model::on(pool), &data),
                Err(error) => assert_eq!((error, first, last), (PoolError::OutOfMemory, 0, usize::MAX)),
            }
            counted.assert_all_returned();
        }
    }
}

#[test]
fn misaligned_memory_is_refused_and_goes_back() {
    let counted = Counted { offset: 16, ..Counted::default() };
    assert_eq!(counted.pool().expect_err("there is no memory but misaligned"), PoolError::OutOfMemory);
    assert!(*counted.calls.lock().expect("no panic") > 0);
    counted.assert_all_returned();
}

#[test]
fn large_blocks_grow_on_a_source_though_it_cannot_move_pages() {
    let counted = Counted::default();
    let mut model = Model::on(counted.pool().expect("memory"));
    model.apply(&Request::Allocate { tag: 0, size: 1 << 20 });
    for megabytes in [2, 3, 5, 9, 8, 4, 3, 1] {
        model.apply(&Request::Resize { pick: 0, size: (megabytes << 20) + 7, osize: OldSize::True });
        assert_eq!(model.blocks[0].size, (megabytes << 20) + 7);
        model.check();
    }
    model.finish();
    counted.assert_all_returned();
}

#[test]
fn trimming_gives_whole_mappings_back_to_the_source() {
    let counted = Counted::default();
    let mut model = Model::on(counted.pool().expect("memory"));
    model.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 4000 });
    let most: usize = counted.mappings.lock().expect("no panic").values().sum();
    model.apply(&Request::FreeNewest { count: 4000 });
    model.apply(&Request::Trim { kilobytes: 0 });
    let left: usize = counted.mappings.lock().expect("no panic").values().sum();
    assert!(most >= 16_000_000 && left <= 4 * UNIT, "{left} of {most} bytes are left");
    model.finish();
    counted.assert_all_returned();
}

#[test]
fn a_pool_lives_in_a_buffer_and_never_leaves_it() {
    for (offset, length) in [(0, 4 << 20), (16, 4 << 20), (UNIT - 8, (4 << 20) + 40), (40_000, 9 << 20)] {
        let mut buffer = Guarded::new(offset, length);
        let source = buffer.source().expect("it is large enough");
        for seed in 0..6 {
            let pool = Pool::builder().source(source).build().expect("the pool before has gone");
            pool_operations::run_on(Model::on(pool), &random::bytes(seed, 4000));
        }
        buffer.assert_guards();
    }
}

#[test]
fn a_full_buffer_is_out_of_memory_until_blocks_are_freed() {
    let mut buffer = Guarded::new(24, 4 << 20);
    let mut model = Model::on(Pool::builder().source(buffer.source().expect("large enough")).build().expect("memory"));
    let fill = |model: &mut Model| {
        model.apply(&Request::AllocateMany { tag: 0, size: 100_000, count: 100 });
        model.apply(&Request::AllocateMany { tag: 5, size: 56, count: 100_000 });
        model.check();
        model.blocks.iter().map(|block| block.size).sum::<usize>()
    };
    let first = fill(&mut model);
    assert!((2 << 20..4 << 20).contains(&first), "{first} bytes fit into 4 MiB");
    assert!(model.call(ptr::null_mut(), 0, 100_000).is_null());
    while let Some(block) = model.blocks.pop() {
        model.free(&block, OldSize::True);
    }
    assert!(fill(&mut model) > first / 10 * 9, "freed memory is lost");
    model.finish();
    buffer.assert_guards();
}

#[test]
fn a_buffer_of_any_size_either_holds_a_pool_or_is_refused() {
    for offset in [0, 8, 63 * 1024, UNIT - 1] {
        for length in (0..=4 * UNIT).step_by(UNIT / 4).chain([1, 100, UNIT + 1, 2 * UNIT - 1]) {
            let mut buffer = Guarded::new(offset, length);
            match buffer.source() {
                Ok(source) => {
                    let mut model = Model::on(Pool::builder().source(source).build().expect("64 KiB are enough"));
                    model.apply(&Request::AllocateMany { tag: 5, size: 40, count: 5000 });
                    assert!(model.blocks.len() > 100);
                    model.finish();
                }
                Err(error) => {
                    assert_eq!(error, PoolError::BufferTooSmall);
                    assert!(length < 3 * UNIT, "{length} bytes are always enough");
                }
            }
            buffer.assert_guards();
        }
    }
}

#[test]
fn pools_can_share_a_buffer() {
    let mut buffer = Guarded::new(8, 64 << 20);
    let source = buffer.source().expect("large enough");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..3 {
                    let pool = Pool::builder().source(source).build().expect("memory for four small pools");
                    pool_operations::run_on(Model::on(pool), &random::bytes(thread * 10 + round, 2000));
                }
            });
        }
    });
    buffer.assert_guards();
}

#[test]
fn a_pool_in_a_group_takes_its_memory_from_where_the_group_does() {
    let counted = Counted::default();
    let refused = Pool::builder().source(counted.source()).group(&PoolGroup::new()).build();
    assert_eq!(refused.expect_err("a source of its own"), PoolError::SourceInGroup);

    let group = PoolGroup::builder().source(counted.source()).build();
    for seed in 0..4 {
        let pool = Pool::builder().group(&group).build().expect("memory");
        pool_operations::run_on(Model::on(pool), &random::bytes(seed, 3000));
    }
    assert!(group.stats().reused_segments > 0);
    drop(group);
    counted.assert_all_returned();
}
