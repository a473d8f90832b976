//! Bytes as requests to a pool, against the model.

use lua_pool_allocator::pool::layout::{CHUNK_SIZE, CLASS_COUNT, SMALL_MAX};
use lua_pool_allocator::pool::size_class::block_size;

use lua_pool_allocator::Pool;

use super::model::{Model, OldSize, Request};

/// The whole pool is checked after so many requests, and at the end.
pub const CHECK_EVERY: usize = 40;
/// No more bytes than this are asked for in all, so that a run stays short.
const BYTES_MAX: usize = 8 << 20;

/// Runs the requests that `data` stands for, four bytes each; then everything is freed.
pub fn run(data: &[u8]) {
    run_on(Model::new(0), data);
}

/// The same in a hardened pool.
pub fn run_hardened(data: &[u8]) {
    run_on(Model::on(Pool::builder().hardened(true).build().expect("a small mapping")), data);
}

/// The same on a given pool, which is dropped at the end.
pub fn run_on(mut model: Model, data: &[u8]) {
    for (number, bytes) in data.chunks_exact(4).enumerate() {
        apply(&mut model, [bytes[0], bytes[1], bytes[2], bytes[3]]);
        if number % CHECK_EVERY == 0 {
            model.check();
        }
    }
    model.check_no_overlap();
    model.finish();
}

/// The request that four bytes stand for, unless it would take the blocks beyond [`BYTES_MAX`].
pub fn apply(model: &mut Model, bytes: [u8; 4]) {
    let request = request(bytes);
    let live: usize = model.blocks.iter().map(|block| block.size).sum();
    let more = match request {
        Request::Allocate { size, .. } | Request::Resize { size, .. } if size < usize::MAX / 4 => size,
        Request::AllocateMany { size, count, .. } => size * count,
        _ => 0,
    };
    if live + more <= BYTES_MAX {
        model.apply(&request);
    }
}

fn request([code, a, b, c]: [u8; 4]) -> Request {
    let pick = usize::from(a) << 8 | usize::from(b);
    let osize = if code & 0x80 == 0 { OldSize::True } else { OldSize::Zero };
    match code & 0x1F {
        0..=8 => Request::Allocate {
            tag: [0, 4, 5, 6, 7, 8, 9, 10, usize::MAX][usize::from(code & 0x1F)],
            size: size(a, b, c),
        },
        // Bursts of one size fill and empty chunks.
        9 | 10 => {
            let size = size(a % 24, b, 0);
            Request::AllocateMany { tag: usize::from(code & 1) * 5, size, count: usize::from(c) + 1 }
        }
        11..=15 => Request::Resize { pick: usize::from(a), size: size(b, c, a), osize },
        16..=25 => Request::Free { pick, osize },
        26 | 27 => Request::FreeNewest { count: usize::from(a) + 1 },
        28 => Request::FreeEvery { step: usize::from(a % 16) + 1 },
        29 => Request::Trim { kilobytes: usize::from(a) * 16 },
        30 => Request::FullCollection,
        _ => Request::Limit { megabytes: (a < 0xC0).then_some(usize::from(a & 0x3F)) },
    }
}

/// A size, by what is likely to go wrong: around every class, around units and runs, in between, and impossible.
fn size(kind: u8, a: u8, b: u8) -> usize {
    let near = |size: usize| (size + usize::from(b % 3)).saturating_sub(1).max(1);
    let any = usize::from(a) << 8 | usize::from(b);
    match kind & 0x1F {
        0..=9 => any % 600 + 1,
        10..=20 => near(block_size(usize::from(a) % (CLASS_COUNT - 1) + 1)),
        21..=23 => any.max(1),
        24 => near(SMALL_MAX),
        25 | 26 => near(usize::from(a % 36 + 1) * CHUNK_SIZE - 4096),
        27 => near(usize::from(a % 36 + 1) * CHUNK_SIZE),
        28 => any * 64 + 1,
        29 => (usize::from(a % 7) << 20) + usize::from(b) + 1,
        30 => usize::MAX - any,
        _ => isize::MAX as usize - any,
    }
}
