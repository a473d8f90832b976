//! The pool: size classes, chunks, large blocks, statistics and the whole-pool checker.
//!
//! One pool serves one Lua state, or several states of one thread. It has no globals, no locks and no thread-locals;
//! its own records lie inside the memory it maps, so an unused pool is one mapping and a few touched pages.
//!
//! - [`layout`]: what the inlined C fast path shares with this code,
//! - [`size_class`]: which block size serves which request,
//! - `segment`: ranges of address space from the system; `units`: their units of 64 KiB, taken and given back; `purge`: when they go back; `direct`: mappings of their own,
//! - `chunk`: carving blocks from a unit, and the queue of chunks that have free ones,
//! - `books`: the books of size classes that have chunks,
//! - `bootstrap`: the first few blocks of every class, side by side in the pool's first unit,
//! - `mixed`: sparse chunks that serve all sizes, with a map of what is in use,
//! - `holes`: pages given back from inside chunks in use,
//! - `large`: blocks of more than [`layout::SMALL_MAX`] bytes,
//! - `source`: the system's memory, or the user's own; `memory`: a pool's way to it, by its group if it is in one,
//! - `recent`: segments of pools just closed, for the next ones,
//! - [`group`](PoolGroup): a limit and a cache of free segments for pools of any number of threads,
//! - `owner`: whose block an address is,
//! - `control`: limits, purges, checks on demand,
//! - `raw`: the pool itself, and the fast path; `slow_path`: filling lists, and what a chunk's countdown ends with,
//! - `hardened`: the layer of pools that watch for misuse,
//! - [`sample`]: which allocations a profile looks at,
//! - [`stats`]: figures derived from the chunk headers,
//! - `verify`: the whole-pool checker.

mod books;
mod bootstrap;
mod chunk;
mod control;
mod direct;
mod group;
mod handle;
pub(crate) mod hardened;
mod holes;
mod large;
pub mod layout;
mod memory;
mod mixed;
mod owner;
mod page_moves;
mod purge;
mod raw;
mod recent;
pub mod sample;
mod segment;
pub mod size_class;
mod slow_path;
mod source;
pub mod stats;
mod units;
mod verify;

#[cfg(test)]
mod model_test;

pub use group::{GroupStats, PoolGroup, PoolGroupBuilder};
pub use handle::{Pool, PoolBuilder, PoolError};
pub(crate) use owner::{NotLive, UnitTable};
pub use purge::PurgeMode;
pub use raw::RawPool;
pub(crate) use raw::{OVERWRITTEN, corrupt};
pub use source::{MapFunction, Source, UnmapFunction};
pub use verify::Violation;
