//! Bytes as requests to pools of every kind: hardened, in a group, out of a buffer, with limits and purge modes that
//! change, several of them in turn or in threads.

use std::thread;

use lua_pool_allocator::{Pool, PoolGroup, PurgeMode, Source};

use super::model::{Model, OldSize, Request};
use super::pool_operations::{self, CHECK_EVERY, apply};

/// Bytes of a buffer that pools take their memory from; not whole units, and not aligned.
const BUFFER_BYTES: usize = (3 << 20) + 12_345;
/// What data for an arrangement begins with.
const FIRST: u8 = 0xFF;
/// Codes of requests with both of these bits stand for what only an arrangement has.
const OWN: u8 = 0x60;

/// What the pools of a run have in common; the first four bytes say it.
struct Arrangement {
    hardened: bool,
    group: Option<PoolGroup>,
    source: Option<Source>,
    purge_mode: PurgeMode,
    limit_bytes: Option<usize>,
    check_interval: u32,
}

fn purge_mode(byte: u8) -> PurgeMode {
    [PurgeMode::Auto, PurgeMode::Never, PurgeMode::Now][usize::from(byte % 3)]
}

impl Arrangement {
    /// `None` at the limit, or if the buffer is full.
    fn model(&self) -> Option<Model> {
        let mut builder = Pool::builder().hardened(self.hardened).purge_mode(self.purge_mode);
        builder = builder.check_interval(self.check_interval);
        if let Some(limit) = self.limit_bytes {
            builder = builder.limit_bytes(limit);
        }
        builder = match (&self.group, self.source) {
            (Some(group), _) => builder.group(group),
            (None, Some(source)) => builder.source(source),
            (None, None) => builder,
        };
        builder.build().ok().map(Model::on)
    }

    /// The group's books against those of its pools, which nobody is changing.
    fn check(&self, models: &[Model]) {
        models.iter().for_each(Model::check);
        let Some(group) = &self.group else { return };
        let stats = group.stats();
        assert_eq!(stats.pools, models.len() as u64);
        let committed = |model: &Model| {
            let stats = model.pool.stats();
            stats.used_bytes + stats.cached_bytes
        };
        assert_eq!(stats.committed_bytes, models.iter().map(committed).sum::<u64>(), "the pools' memory");
        assert!(stats.peak_bytes >= stats.committed_bytes + stats.cached_bytes);
    }
}

/// Runs the requests that `data` stands for, four bytes each: on an arrangement if the first four say so, else on one
/// pool.
pub fn run(data: &[u8]) {
    match *data {
        [FIRST, kind, pools, limit, ref requests @ ..] => run_arranged([kind, pools, limit], requests),
        _ => pool_operations::run(data),
    }
}

fn run_arranged([kind, pools, limit]: [u8; 3], data: &[u8]) {
    // Uninitialized; goes after the pools and the group, which are declared later.
    let mut buffer = Vec::<u8>::with_capacity(BUFFER_BYTES + 1);
    let source = (kind & 2 != 0).then(|| {
        // SAFETY: the buffer outlives the arrangement and its pools, and nobody else uses it.
        unsafe { Source::in_raw_buffer(buffer.as_mut_ptr().add(1), BUFFER_BYTES) }.expect("room for units")
    });
    let limit_bytes = (limit != 0).then(|| usize::from(limit) << 16);
    let group = (kind & 4 != 0).then(|| {
        let builder = PoolGroup::builder().cache_bytes(usize::from(pools) << 15);
        let builder = if let Some(source) = source { builder.source(source) } else { builder };
        let builder = if let Some(limit) = limit_bytes { builder.limit_bytes(limit) } else { builder };
        builder.build()
    });
    let arrangement = Arrangement {
        hardened: kind & 1 != 0,
        limit_bytes: limit_bytes.filter(|_| group.is_none()),
        group,
        source,
        purge_mode: purge_mode(kind >> 4 & 3),
        check_interval: u32::from(kind >> 6) * 4,
    };
    let count = usize::from(pools % 3) + 1;
    let models = if kind & 8 != 0 && arrangement.group.is_some() {
        in_threads(&arrangement, count + 1, data)
    } else {
        in_turn(&arrangement, count, data)
    };
    arrangement.check(&models);
    for model in models {
        model.check_no_overlap();
        model.finish();
    }
    arrangement.check(&[]);
    if let Some(group) = &arrangement.group {
        group.trim(0);
        let stats = group.stats();
        assert_eq!((stats.cached_bytes, stats.committed_bytes), (0, 0));
    }
}

/// Each pool in a thread of its own, with a part of the requests.
fn in_threads(arrangement: &Arrangement, count: usize, data: &[u8]) -> Vec<Model> {
    let part = data.len().div_ceil(4 * count).max(1) * 4;
    thread::scope(|scope| {
        let workers: Vec<_> = data
            .chunks(part)
            .map(|data| {
                scope.spawn(move || {
                    let mut model = arrangement.model()?;
                    for (number, bytes) in data.chunks_exact(4).enumerate() {
                        let [code, a, b, c] = [bytes[0], bytes[1], bytes[2], bytes[3]];
                        if code & OWN == OWN {
                            own(arrangement, &mut model, [code, a, b, c]);
                        } else {
                            apply(&mut model, [code, a, b, c]);
                        }
                        if number % CHECK_EVERY == 0 {
                            model.check();
                        }
                    }
                    Some(model)
                })
            })
            .collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("no worker panics")).collect()
    })
}

/// All pools in this thread, one of which is used at a time.
fn in_turn(arrangement: &Arrangement, count: usize, data: &[u8]) -> Vec<Model> {
    let mut models: Vec<Model> = (0..count).filter_map(|_| arrangement.model()).collect();
    let mut used = 0;
    for (number, bytes) in data.chunks_exact(4).enumerate() {
        let [code, a, b, c] = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if models.is_empty() {
            models.extend(arrangement.model());
        }
        let count = models.len();
        let Some(model) = models.get_mut(used) else { return models };
        match code & 7 {
            _ if code & OWN != OWN => apply(model, [code, a, b, c]),
            0 => used = usize::from(a) % count,
            1 => {
                let model = models.swap_remove(used);
                // Nobody has to free anything before a pool goes.
                if a & 1 == 0 {
                    model.finish();
                } else {
                    model.check_no_overlap();
                    drop(model);
                }
                models.extend(arrangement.model());
                used = 0;
            }
            _ => own(arrangement, model, [code, a, b, c]),
        }
        if number % CHECK_EVERY == 0 {
            arrangement.check(&models);
        }
    }
    models
}

/// What an arrangement does besides requests, to one pool.
fn own(arrangement: &Arrangement, model: &mut Model, [code, a, b, c]: [u8; 4]) {
    let bytes = usize::from(a) << 16;
    match code & 7 {
        2 => model.pool.set_purge_mode(purge_mode(a)),
        3 => model.pool.set_soft_limit_bytes((a < 0xC0).then_some(bytes)),
        4 | 5 => {
            if let Some(group) = &arrangement.group {
                if b & 1 == 0 {
                    group.trim(bytes);
                } else {
                    group.set_limit_bytes((a < 0xC0).then_some(bytes));
                }
            }
        }
        // A string that is being built: one block grows in small steps, which others come between.
        _ => {
            let Some(index) = model.pick(usize::from(a)) else { return };
            for step in 0..usize::from(c % 16) {
                let size = model.blocks[index].size;
                let larger = (size + size / 4 + usize::from(b) + 1) as u32;
                let osize = OldSize::True;
                if larger < 4 << 20 {
                    model.apply(&Request::Resize { pick: index, size: larger as usize, osize });
                }
                if step % 4 == 3 {
                    apply(model, [0, 0, b, c]);
                }
            }
        }
    }
}
