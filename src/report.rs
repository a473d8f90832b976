//! The statistics of a pool as a table for people or as JSON for machines.

use std::fmt::Write as _;

use serde_json::json;

use crate::pool::Pool;
use crate::pool::sample::{TYPE_COUNT, TYPE_NAMES, TypeCensus};
use crate::pool::stats::ClassStats;

/// How to print statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table.
    Text,
    /// One JSON object on one line; sizes in bytes.
    Json,
}

/// The objects of a pool's only state by type, as [`Pool::census`] tells.
pub type Census = [TypeCensus; TYPE_COUNT];

/// The statistics of `pool`, and of the objects of its state where they are known, ending in a newline.
pub fn statistics(pool: &Pool, census: Option<&Census>, format: Format) -> String {
    match format {
        Format::Text => as_text(pool, census),
        Format::Json => as_json(pool, census),
    }
}

/// Bytes that the state asked for: Lua's own count.
fn requested(census: &Census) -> u64 {
    census.iter().map(|figures| figures.bytes as u64).sum()
}

fn used_classes(pool: &Pool) -> Vec<ClassStats> {
    let used = |class: &ClassStats| class.allocations + class.live_blocks + class.chunks > 0;
    pool.stats().classes.into_iter().filter(used).collect()
}

/// Bytes with a unit, three digits or more.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn as_text(pool: &Pool, census: Option<&Census>) -> String {
    let stats = pool.stats();
    let mut text = String::from("pool statistics\n");
    let optional = |bytes: Option<u64>, otherwise: &str| bytes.map_or_else(|| otherwise.to_owned(), size);
    let classes = used_classes(pool);
    let allocations: u64 = classes.iter().map(|class| class.allocations).sum();
    let frees: u64 = classes.iter().map(|class| class.frees).sum();
    for (name, value) in [
        ("live", size(stats.live_bytes)),
        ("asked for by Lua", census.map_or_else(|| "unknown".to_owned(), |census| size(requested(census)))),
        (
            "slack inside blocks",
            census.map_or_else(
                || "unknown".to_owned(),
                |census| size(stats.live_bytes.saturating_sub(requested(census))),
            ),
        ),
        ("used (chunks and large blocks)", size(stats.used_bytes)),
        ("of that in mixed chunks", size(stats.mixed_bytes)),
        ("given back inside chunks", size(stats.hole_bytes)),
        ("cached for reuse", size(stats.cached_bytes)),
        ("peak of used and cached", size(stats.peak_bytes)),
        ("resident", optional(pool.resident_bytes(), "unknown")),
        ("address space", size(stats.mapped_bytes)),
        ("given back to the system", size(stats.purged_bytes)),
        ("calls for memory", stats.memory_calls.to_string()),
        ("hard limit", optional(stats.limit_bytes, "none")),
        ("soft limit", optional(stats.soft_limit_bytes, "none")),
        ("hardened", if pool.is_hardened() { "yes" } else { "no" }.to_owned()),
        ("refused by the limit", stats.limit_refusals.to_string()),
        ("small blocks: allocated, freed", format!("{allocations}, {frees}")),
        ("large blocks: allocated, freed", format!("{}, {}", stats.large_allocations, stats.large_frees)),
        ("large blocks: live", format!("{} in {}", size(stats.large_live_bytes), stats.large_live_blocks)),
    ] {
        writeln!(text, "  {name:<32} {value:>14}").expect("writing to a string");
    }
    if let Some(census) = census {
        writeln!(text, "  {:<10} {:>12} {:>14}", "type", "objects", "bytes").expect("writing to a string");
        for (index, name) in TYPE_NAMES {
            let (name, count) = (name.to_string_lossy(), census[index].count);
            let count = if index == 0 { String::new() } else { count.to_string() };
            writeln!(text, "  {name:<10} {count:>12} {:>14}", census[index].bytes).expect("writing to a string");
        }
    }
    writeln!(text, "  {:>6} {:>12} {:>12} {:>10} {:>10} {:>7}", "size", "allocated", "freed", "live", "free", "chunks")
        .expect("writing to a string");
    for class in classes {
        writeln!(
            text,
            "  {:>6} {:>12} {:>12} {:>10} {:>10} {:>7}",
            class.block_size, class.allocations, class.frees, class.live_blocks, class.free_blocks, class.chunks
        )
        .expect("writing to a string");
    }
    text
}

fn as_json(pool: &Pool, census: Option<&Census>) -> String {
    let stats = pool.stats();
    let classes: Vec<_> = used_classes(pool)
        .iter()
        .map(|class| {
            json!({
                "block_size": class.block_size,
                "allocations": class.allocations,
                "frees": class.frees,
                "live_blocks": class.live_blocks,
                "free_blocks": class.free_blocks,
                "chunks": class.chunks,
            })
        })
        .collect();
    let types = census.map(|census| {
        let figures = |(index, name): (usize, &std::ffi::CStr)| {
            let TypeCensus { count, bytes } = census[index];
            (name.to_string_lossy().into_owned(), json!({ "count": count, "bytes": bytes }))
        };
        TYPE_NAMES.into_iter().map(figures).collect::<serde_json::Map<_, _>>()
    });
    let object = json!({
        "live_bytes": stats.live_bytes,
        "requested_bytes": census.map(requested),
        "slack_bytes": census.map(|census| stats.live_bytes.saturating_sub(requested(census))),
        "used_bytes": stats.used_bytes,
        "cached_bytes": stats.cached_bytes,
        "peak_bytes": stats.peak_bytes,
        "resident_bytes": pool.resident_bytes(),
        "mapped_bytes": stats.mapped_bytes,
        "mixed_bytes": stats.mixed_bytes,
        "hole_bytes": stats.hole_bytes,
        "purged_bytes": stats.purged_bytes,
        "memory_calls": stats.memory_calls,
        "limit_bytes": stats.limit_bytes,
        "soft_limit_bytes": stats.soft_limit_bytes,
        "hardened": pool.is_hardened(),
        "limit_refusals": stats.limit_refusals,
        "large": {
            "live_bytes": stats.large_live_bytes,
            "live_blocks": stats.large_live_blocks,
            "allocations": stats.large_allocations,
            "frees": stats.large_frees,
        },
        "types": types,
        "classes": classes,
    });
    format!("{object}\n")
}
