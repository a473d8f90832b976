//! Random sequences of (ptr, osize, nsize) through `lua_pool_alloc`, against a model that knows what every block
//! must hold.

use std::ptr;

use proptest::prelude::*;

use super::layout::{CHUNK_SIZE, CLASS_COUNT, SMALL_MAX};
use super::size_class::block_size;
use crate::Pool;
use model::{Model, OldSize, Request};

// Fuzzing, which is outside of the crate, uses it too, and more of it.
#[allow(dead_code, reason = "the fuzzer uses the rest")]
#[path = "../../tests/drivers/model.rs"]
mod model;

/// Sizes around every class boundary, the small/large boundary, runs and mappings, and anything between.
fn sizes() -> impl Strategy<Value = usize> {
    let around = |size: usize| (size.saturating_sub(1).max(1)..=size + 1).boxed();
    prop_oneof![
        8 => 1usize..=600,
        6 => (1..CLASS_COUNT).prop_flat_map(move |class| around(block_size(class))),
        2 => around(SMALL_MAX),
        2 => (1usize..=4).prop_flat_map(move |units| around(units * CHUNK_SIZE - 4096)),
        1 => (33usize..=160).prop_flat_map(move |units| around(units * CHUNK_SIZE - 4096)),
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
        1 => (0usize..4096).prop_map(|kilobytes| Request::Trim { kilobytes }),
        1 => Just(Request::FullCollection),
        1 => (1usize..600, 1usize..300).prop_map(|(size, count)| Request::AllocateMany { tag: 5, size, count }),
        1 => (2usize..20).prop_map(|step| Request::FreeEvery { step }),
        1 => prop_oneof![Just(None), (0usize..8).prop_map(Some)].prop_map(|megabytes| Request::Limit { megabytes }),
    ]
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
    fn random_requests_to_a_hardened_pool_agree_with_the_model(requests in prop::collection::vec(requests(), 1..200)) {
        let mut model = Model::on(Pool::builder().hardened(true).build().expect("a small mapping"));
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
            model.apply(&Request::Trim { kilobytes: 0 });
            model.check();
        }
        model.check_no_overlap();
        model.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Sizes drift while some blocks of every age survive: chunks become mixed.
    #[test]
    fn drifting_sizes_agree_with_the_model(
        eras in prop::collection::vec((1usize..130, 2000usize..6000, 3usize..40, any::<bool>()), 3..9),
        start in 0usize..1000,
    ) {
        let mut model = Model::new(0);
        let mut size = start;
        for (drift, count, survivors, collects) in eras {
            size = 16 + (size + drift) % 1000;
            for number in 0..count {
                model.apply(&Request::Allocate { tag: 4, size: size + number % 5 * 24 });
            }
            model.check();
            for pick in 0..count {
                if pick % survivors != 0 {
                    model.apply(&Request::Free { pick: pick.wrapping_mul(2_654_435_761), osize: OldSize::True });
                }
            }
            for pick in 0..200 {
                let size = size + pick % 300;
                model.apply(&Request::Resize { pick: pick * 7919, size, osize: OldSize::True });
            }
            if collects {
                model.apply(&Request::FullCollection);
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
    grow_and_shrink(Model::new(1));
    grow_and_shrink(Model::on(Pool::builder().hardened(true).check_interval(1).build().expect("a small mapping")));
}

fn grow_and_shrink(mut model: Model) {
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
    shrink_at_the_limit(Model::new(1));
    shrink_at_the_limit(Model::on(Pool::builder().hardened(true).check_interval(1).build().expect("a small mapping")));
}

fn shrink_at_the_limit(mut model: Model) {
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

#[test]
fn a_block_that_grows_into_units_which_the_limit_purges_stays_within_the_limit() {
    for units in [9, 10] {
        let mut model = Model::new(0);
        let length = |units: usize| units * CHUNK_SIZE - 8192;
        // The first segment is full then; the others lie side by side in the next one.
        for units in [3, 2, 2] {
            model.apply(&Request::Allocate { tag: 0, size: length(units) });
        }
        model.apply(&Request::Free { pick: 2, osize: OldSize::True });
        let limit = units * CHUNK_SIZE;
        model.pool.set_limit_bytes(Some(limit));
        // Two of the four units behind it are free and in physical memory, until the limit has them purged.
        model.apply(&Request::Resize { pick: 1, size: length(6), osize: OldSize::True });
        let stats = model.pool.stats();
        assert!(stats.used_bytes + stats.cached_bytes <= limit as u64, "{} of {limit} bytes", stats.used_bytes);
        assert_eq!(model.blocks[1].size == length(6), units == 10);
        model.finish();
    }
}
