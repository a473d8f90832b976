//! Everything this crate asks of the operating system and of the C runtime.
//!
//! Memory comes through six functions: map, unmap, purge, restore, remap, and a count of what is resident.
//! One more looks up a function of the running program by name.

#[cfg(feature = "programs")]
pub mod c_runtime;
#[cfg(feature = "programs")]
pub(crate) mod process;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
pub(crate) use system::symbol;
#[cfg(all(preload, unix))]
pub(crate) use system::symbol_behind;
pub(crate) use system::{map_aligned, purge, remap_aligned, resident_bytes, restore, unmap};
