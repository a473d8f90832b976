//! Everything this crate asks of the operating system and of the C runtime.
//!
//! Memory comes through six functions: map, unmap, purge, restore, remap, and a count of what is resident.

#[cfg(feature = "programs")]
pub mod c_runtime;
#[cfg(feature = "programs")]
pub(crate) mod process;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{map_aligned, purge, remap_aligned, resident_bytes, restore, unmap};
#[cfg(windows)]
pub(crate) use windows::{map_aligned, purge, remap_aligned, resident_bytes, restore, unmap};
