use crate::Pool;
use crate::pool::{NotLive, RawPool};

const UNIT: u64 = 64 << 10;

/// `count` blocks of `size` bytes.
fn blocks(pool: &mut Pool, size: usize, count: usize) -> Vec<*mut u8> {
    let blocks: Vec<_> = (0..count).map(|_| pool.allocate(size)).collect();
    assert!(blocks.iter().all(|block| !block.is_null()));
    blocks
}

fn free(pool: &mut Pool, blocks: impl IntoIterator<Item = *mut u8>) {
    // SAFETY: callers pass live blocks.
    blocks.into_iter().for_each(|block| unsafe { pool.free(block) });
}

fn chunk_of(block: *mut u8) -> usize {
    block.addr() / UNIT as usize
}

/// Frees of 8,000 blocks of 96 bytes all that lie in one chunk, and most in the others; that chunk, and those left.
fn sparse_beside_an_empty_one(pool: &mut Pool, all: Vec<*mut u8>) -> (usize, Vec<*mut u8>) {
    // The first chunk that is empty is kept, for no other has freed blocks then.
    let first = chunk_of(all[4_000]);
    let (in_first, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|&block| chunk_of(block) == first);
    free(pool, in_first);
    let (kept, freed): (Vec<_>, Vec<_>) = others.into_iter().partition(|&block| block.addr() / 96 % 20 == 0);
    free(pool, freed);
    (first, kept)
}

/// Blocks of 96 bytes in some sixty chunks of which one in `step` is left, and those that are.
fn sparse(mut pool: Pool, step: usize) -> (Pool, Vec<*mut u8>) {
    let all = blocks(&mut pool, 96, 40_000);
    let (kept, freed): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(index, _)| index % step == 0);
    let bare = |blocks: Vec<(usize, *mut u8)>| blocks.into_iter().map(|(_, block)| block);
    free(&mut pool, bare(freed));
    // Their own first chunks.
    let first: Vec<_> = [40, 200, 600].into_iter().flat_map(|size| blocks(&mut pool, size, 60)).collect();
    pool.trim(0);
    free(&mut pool, first);
    let kept = bare(kept).collect();
    (pool, kept)
}

#[test]
fn what_is_free_between_survivors_serves_shorter_and_longer_blocks() {
    let (mut pool, kept) = sparse(Pool::new().expect("memory"), 20);
    let before = pool.stats();
    assert_eq!(before.mixed_bytes, 0);
    let mut more = Vec::new();
    for _ in 0..50 {
        for (size, count) in [(40, 300), (200, 40), (600, 4)] {
            more.extend(blocks(&mut pool, size, count));
        }
        pool.verify().expect("the books");
    }
    let after = pool.stats();
    // 600 + 400 + 120 KB, where a map takes 2.3 KB for each chunk.
    assert!(after.used_bytes <= before.used_bytes + 2 * UNIT, "{} -> {}", before.used_bytes, after.used_bytes);
    assert!(after.mixed_bytes >= 16 * UNIT, "{}", after.mixed_bytes);
    let chunks: u64 = after.classes.iter().map(|class| class.chunk_bytes()).sum();
    assert_eq!(after.used_bytes, UNIT + chunks + after.mixed_bytes);
    let live: u64 = after.classes.iter().map(|class| class.live_blocks).sum();
    assert_eq!(live as usize, kept.len() + more.len(), "maps are nobody's blocks");

    free(&mut pool, more);
    pool.verify().expect("the books");
    free(&mut pool, kept);
    pool.verify().expect("the books");
    let end = pool.stats();
    assert_eq!(end.live_bytes, 0);
    assert!(end.mixed_bytes <= 3 * UNIT, "but for those with blocks on a class's allocation list, they go");
}

#[test]
fn a_mixed_chunk_tells_free_blocks_from_live_ones() {
    let (mut pool, kept) = sparse(Pool::new().expect("memory"), 20);
    let more = blocks(&mut pool, 200, 2000);
    assert!(pool.stats().mixed_bytes > 0);
    // SAFETY: the pool is live as long as it is in this function.
    let raw: &RawPool = unsafe { &*pool.as_ud().cast() };
    for &block in kept.iter().chain(&more) {
        assert_eq!(raw.check_live(block), Ok(()));
        assert_eq!(raw.check_live(block.wrapping_add(16)), Err(NotLive::Inside));
    }
    free(&mut pool, more.iter().copied().step_by(2));
    for (index, &block) in more.iter().enumerate() {
        let expected = if index % 2 == 0 { Err(NotLive::Freed) } else { Ok(()) };
        // SAFETY: as above.
        assert_eq!(unsafe { &*pool.as_ud().cast::<RawPool>() }.check_live(block), expected, "{index}");
    }
    pool.verify().expect("the books");
}

#[test]
#[cfg(target_os = "linux")]
fn pages_of_mixed_chunks_go_back_and_serve_again() {
    let (mut pool, kept) = sparse(Pool::new().expect("memory"), 500);
    let more = blocks(&mut pool, 200, 8000);
    let mixed_bytes = pool.stats().mixed_bytes;
    assert!(mixed_bytes > 0);
    free(&mut pool, more);
    let resident = pool.resident_bytes().expect("known");
    let went = pool.trim(0) as u64;
    pool.verify().expect("the books");
    let left = pool.resident_bytes().expect("known");
    assert!(went > UNIT && left <= resident - went / 2, "{resident} - {went} = {left}");
    assert!(pool.stats().hole_bytes > 0);
    // SAFETY: the pool is live as long as it is in this function.
    let sparse_bytes = unsafe { &*pool.as_ud().cast::<RawPool>() }.sparse_mixed_bytes() as u64;
    assert!(sparse_bytes < went, "holes have gone already: {sparse_bytes} of {went}");
    let again = blocks(&mut pool, 200, 8000);
    // SAFETY: allocated just now.
    again.iter().for_each(|block| unsafe { block.write_bytes(0xAA, 200) });
    pool.verify().expect("the books");
    free(&mut pool, again.into_iter().chain(kept));
    pool.verify().expect("the books");
    assert_eq!(pool.stats().live_bytes, 0);
}

#[test]
fn a_class_that_uses_its_chunks_keeps_them() {
    let (mut pool, kept) = sparse(Pool::new().expect("memory"), 2);
    let more = blocks(&mut pool, 200, 4000);
    assert_eq!(pool.stats().mixed_bytes, 0, "half of its blocks are used");
    free(&mut pool, more.into_iter().chain(kept));
    pool.verify().expect("the books");
}

/// The test below runs itself again with this set, for the process does not survive.
const FREE_TWICE: &str = "LUA_POOL_TEST_FREE_TWICE";

#[test]
fn a_block_that_was_freed_twice_ends_the_process_when_its_chunk_is_mixed() {
    if std::env::var_os(FREE_TWICE).is_some() {
        let (mut pool, kept) = sparse(Pool::new().expect("memory"), 20);
        let more = blocks(&mut pool, 200, 2000);
        let is_mixed = |block: *mut u8| kept.iter().any(|&other| chunk_of(other) == chunk_of(block));
        let block =
            more.into_iter().rev().find(|&block| is_mixed(block)).expect("one in what was a chunk of other blocks");
        free(&mut pool, [block, block]);
        free(&mut pool, kept);
        blocks(&mut pool, 200, 8000);
        panic!("it was not noticed");
    }
    let (_, module) = module_path!().split_once("::").expect("a module of the crate");
    let name = format!("{module}::a_block_that_was_freed_twice_ends_the_process_when_its_chunk_is_mixed");
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    let output = command.args(["--exact", &name, "--nocapture"]).env(FREE_TWICE, "1").output().expect("it starts");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(messages.contains(": a block of it was freed twice\n"), "{messages}");
    assert!(!output.status.success() && !messages.contains("not noticed"), "{messages}");
}

#[test]
fn an_empty_chunk_goes_to_whom_needs_one() {
    let mut pool = Pool::new().expect("memory");
    let all = blocks(&mut pool, 96, 8_000);
    let (first, kept) = sparse_beside_an_empty_one(&mut pool, all);
    let more = blocks(&mut pool, 200, 2000);
    pool.verify().expect("the books");
    assert!(more.iter().any(|&block| chunk_of(block) == first));
    free(&mut pool, more.into_iter().chain(kept));
    pool.verify().expect("the books");
    assert_eq!(pool.stats().live_bytes, 0);
}

#[test]
fn at_the_limit_what_is_free_still_serves_longer_blocks() {
    let (mut pool, kept) = sparse(Pool::new().expect("memory"), 20);
    // A chunk for maps, and nothing else.
    let limit = pool.stats().used_bytes + UNIT;
    pool.set_limit_bytes(Some(limit as usize));
    let mut more = Vec::new();
    loop {
        let block = pool.allocate(600);
        if block.is_null() {
            break;
        }
        more.push(block);
    }
    pool.verify().expect("the books");
    assert!(pool.stats().used_bytes <= limit);
    assert!(more.len() > 2000, "{} of some 5,000", more.len());
    free(&mut pool, more.into_iter().chain(kept));
    pool.verify().expect("the books");
    assert_eq!(pool.stats().live_bytes, 0);
}

#[test]
fn at_the_limit_an_empty_chunk_serves_the_request_that_finds_it() {
    let mut pool = Pool::new().expect("memory");
    let all_there_are = |pool: &mut Pool| -> Vec<*mut u8> {
        let next = || Some(pool.allocate(3000)).filter(|block| !block.is_null());
        core::iter::from_fn(next).collect()
    };
    let all = blocks(&mut pool, 96, 8_000);
    pool.set_limit_bytes(Some(pool.stats().used_bytes as usize));
    // What is left of the pool's own unit.
    let mut more = all_there_are(&mut pool);
    let (first, kept) = sparse_beside_an_empty_one(&mut pool, all);
    let served = all_there_are(&mut pool);
    assert!(served.first().is_some_and(|&block| chunk_of(block) == first));
    more.extend(served);
    free(&mut pool, more.into_iter().chain(kept));
    pool.verify().expect("the books");
    assert_eq!(pool.stats().live_bytes, 0);
}

#[test]
fn a_hardened_pool_moves_no_boundary() {
    let (mut pool, kept) = sparse(Pool::builder().hardened(true).build().expect("memory"), 20);
    let more = blocks(&mut pool, 200, 4000);
    assert_eq!(pool.stats().mixed_bytes, 0);
    free(&mut pool, more.into_iter().chain(kept));
    pool.verify().expect("the books");
}
