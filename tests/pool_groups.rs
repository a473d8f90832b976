//! Groups: pools that share a limit and a cache of free memory, in one thread and in several.

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "drivers/model.rs"]
mod model;
#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "drivers/pool_operations.rs"]
mod pool_operations;
#[path = "support/random.rs"]
mod random;

use std::sync::Barrier;
use std::thread;

use lua_pool_allocator::pool::stats::PoolStats;
use lua_pool_allocator::{Pool, PoolGroup, PurgeMode};
use model::{Model, OldSize, Request};

const UNIT: u64 = 64 << 10;

fn pool(group: &PoolGroup) -> Pool {
    Pool::builder().group(group).build().expect("memory for a pool")
}

fn committed(stats: &PoolStats) -> u64 {
    stats.used_bytes + stats.cached_bytes
}

/// The group's books against those of its pools, which nobody is changing.
fn check(group: &PoolGroup, models: &[&Model]) {
    let stats = group.stats();
    assert_eq!(stats.pools, models.len() as u64);
    let sum: u64 = models.iter().map(|model| committed(&model.pool.stats())).sum();
    assert_eq!(stats.committed_bytes, sum, "the pools' memory");
    assert!(stats.peak_bytes >= stats.committed_bytes + stats.cached_bytes);
    for model in models {
        model.check();
        assert_eq!(model.pool.stats().group, Some(stats));
    }
}

#[test]
fn the_sums_of_a_group_are_those_of_its_pools() {
    let group = PoolGroup::new();
    let mut first = Model::on(pool(&group));
    let mut second = Model::on(pool(&group));
    for round in 0..60 {
        first.apply(&Request::AllocateMany { tag: 5, size: 40 + round * 8, count: 300 });
        check(&group, &[&first, &second]);
        second.apply(&Request::Allocate { tag: 0, size: 60_000 * (round + 1) });
        second.apply(&Request::Resize { pick: round / 2, size: 50_000 * (round + 1), osize: OldSize::True });
        check(&group, &[&first, &second]);
        first.apply(&Request::FreeEvery { step: round % 3 + 1 });
        second.apply(&Request::FreeNewest { count: round % 4 });
        check(&group, &[&first, &second]);
        match round % 10 {
            3 => first.apply(&Request::FullCollection),
            7 => second.apply(&Request::Trim { kilobytes: 100 }),
            _ => {}
        }
        check(&group, &[&first, &second]);
    }
    first.finish();
    check(&group, &[&second]);
    second.finish();
    check(&group, &[]);
    group.trim(0);
    assert_eq!(group.stats().cached_bytes, 0);
}

#[test]
fn a_hardened_pool_returns_what_its_large_blocks_were_charged() {
    let group = PoolGroup::new();
    let mut model = Model::on(Pool::builder().group(&group).hardened(true).build().expect("memory for a pool"));
    for size in [20_000, 200_000, 4 << 20] {
        model.apply(&Request::Allocate { tag: 0, size });
        check(&group, &[&model]);
        model.apply(&Request::Free { pick: 0, osize: OldSize::True });
        check(&group, &[&model]);
    }
    model.finish();
    check(&group, &[]);
}

#[test]
fn the_next_pool_takes_over_what_the_last_one_left() {
    let group = PoolGroup::new();
    for round in 0..500 {
        let mut model = Model::on(pool(&group));
        model.apply(&Request::AllocateMany { tag: 5, size: 56, count: 4000 });
        assert_eq!(model.pool.stats().purged_bytes, 0);
        drop(model.pool);
        let stats = group.stats();
        assert_eq!((stats.pools, stats.committed_bytes), (0, 0));
        assert!(stats.cached_bytes > 0 && stats.peak_bytes < 1 << 20, "round {round}: {stats:?}");
    }
    assert!(group.stats().reused_segments >= 499);
}

#[test]
fn a_fresh_pool_on_used_memory_is_like_any_other() {
    let group = PoolGroup::new();
    for seed in 0..40 {
        pool_operations::run_on(Model::on(pool(&group)), &random::bytes(seed, 1500));
    }
    assert!(group.stats().reused_segments > 39);
}

#[test]
fn the_cache_is_bounded_and_can_be_emptied() {
    for bytes in [0, 1 << 20, 3 << 20] {
        let group = PoolGroup::builder().cache_bytes(bytes).build();
        let mut models: Vec<_> = (0..8).map(|_| Model::on(pool(&group))).collect();
        for model in &mut models {
            model.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 300 });
        }
        drop(models);
        let cached = group.stats().cached_bytes;
        assert!(cached <= bytes as u64 && (bytes == 0 || cached > 0), "{cached} of {bytes} bytes");
        let kept = group.trim(64 << 10);
        assert!(group.stats().cached_bytes <= UNIT && group.stats().cached_bytes + kept as u64 == cached);
        group.trim(0);
        assert_eq!((group.stats().cached_bytes, group.stats().committed_bytes), (0, 0));
    }
}

#[test]
fn the_limit_is_for_all_pools_together() {
    let group = PoolGroup::builder().limit_bytes(2 << 20).build();
    let mut first = Model::on(pool(&group));
    let mut second = Model::on(pool(&group));
    first.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 300 });
    second.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 300 });
    let stats = group.stats();
    assert!(stats.limit_refusals > 0 && stats.committed_bytes <= 2 << 20, "{stats:?}");
    assert!(first.blocks.len() == 300 && (100..300).contains(&second.blocks.len()));
    let before = second.blocks.len();

    // What the first one frees, the second one gets: when the first has a look, or is gone.
    first.apply(&Request::FreeNewest { count: 300 });
    first.apply(&Request::AllocateMany { tag: 5, size: 200_000, count: 1 });
    second.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 100 });
    assert!(second.blocks.len() > before);
    first.finish();
    second.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 150 });
    assert!(second.blocks.len() > before + 200, "{} and {before}", second.blocks.len());
    assert!(group.stats().peak_bytes <= 2 << 20);

    group.set_limit_bytes(Some(0));
    assert_eq!(Pool::builder().group(&group).build().err(), Some(lua_pool_allocator::PoolError::OutOfMemory));
    assert!(second.call(std::ptr::null_mut(), 0, 5 << 20).is_null());
    group.set_limit_bytes(None);
    second.apply(&Request::Allocate { tag: 0, size: 5 << 20 });
    check(&group, &[&second]);
    second.finish();
    assert_eq!(group.stats().committed_bytes, 0);
}

#[test]
fn memory_that_a_full_collection_frees_is_for_the_other_pools() {
    let group = PoolGroup::new();
    let (mut first, mut second) = (Model::on(pool(&group)), Model::on(pool(&group)));
    first.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 4000 });
    first.apply(&Request::FreeNewest { count: 4000 });
    first.apply(&Request::FullCollection);
    first.apply(&Request::FullCollection);
    let cached = group.stats().cached_bytes;
    assert!(cached > 4 << 20, "{cached} bytes");
    check(&group, &[&first, &second]);
    second.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 4000 });
    assert!(group.stats().cached_bytes < cached / 2 && group.stats().reused_segments > 0);
    check(&group, &[&first, &second]);
}

#[test]
fn a_group_lives_as_long_as_its_pools() {
    let group = PoolGroup::builder().limit_bytes(1 << 20).build();
    let mut model = Model::on(pool(&group));
    drop(group);
    model.apply(&Request::AllocateMany { tag: 5, size: 4000, count: 400 });
    assert!(model.blocks.len() < 270);
    assert_eq!(model.pool.stats().group.map(|stats| stats.pools), Some(1));
    model.finish();
}

/// Threads that make pools, use them against the model and drop them, all in one group. At quiescence the group's
/// books are those of its pools.
fn stress(group: &PoolGroup, threads: u64, rounds: u64, length: usize) {
    let barrier = Barrier::new(threads as usize);
    let models: Vec<Model> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (group, barrier) = (group.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for round in 0..rounds {
                        let mode = [PurgeMode::Auto, PurgeMode::Auto, PurgeMode::Now][((thread + round) % 3) as usize];
                        // At the limit there may be no room for yet another pool.
                        if let Ok(pool) = Pool::builder().group(&group).purge_mode(mode).build() {
                            pool_operations::run_on(Model::on(pool), &random::bytes(thread * 1000 + round, length));
                        }
                        if round % 5 == 4 {
                            group.trim(1 << 20);
                        }
                    }
                    // There will be room: all that the others keep is a few blocks.
                    loop {
                        if let Ok(pool) = Pool::builder().group(&group).build() {
                            let mut model = Model::on(pool);
                            model.apply(&Request::AllocateMany {
                                tag: 5,
                                size: 100 * (thread as usize + 1),
                                count: 200,
                            });
                            model.apply(&Request::FreeEvery { step: 3 });
                            return model;
                        }
                        thread::yield_now();
                    }
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
    });
    check(group, &models.iter().collect::<Vec<_>>());
    drop(models);
    let stats = group.stats();
    assert_eq!((stats.pools, stats.committed_bytes), (0, 0));
    group.trim(0);
    assert_eq!(group.stats().cached_bytes, 0);
    if let Some(limit) = stats.limit_bytes {
        assert!(stats.peak_bytes <= limit, "{stats:?}");
    }
}

#[test]
fn threads_share_a_group_without_a_limit() {
    stress(&PoolGroup::new(), 4, 10, 1200);
}

#[test]
fn threads_share_a_tight_limit() {
    let group = PoolGroup::builder().limit_bytes(6 << 20).cache_bytes(1 << 20).build();
    stress(&group, 4, 10, 1200);
    assert!(group.stats().limit_refusals > 0);
}

#[test]
#[ignore = "takes minutes: cargo test --release --test pool_groups -- --ignored"]
fn threads_share_a_tight_limit_for_long() {
    for megabytes in [3, 8, 24] {
        let group = PoolGroup::builder().limit_bytes(megabytes << 20).cache_bytes(2 << 20).build();
        stress(&group, 8, 200, 2000);
    }
}
