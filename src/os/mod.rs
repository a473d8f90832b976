//! The operating system behind one small interface: map, unmap, purge, remap. Nothing else in the crate asks the
//! system for memory.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{map_aligned, purge, remap_aligned, resident_bytes, restore, unmap};
#[cfg(windows)]
pub use windows::{map_aligned, purge, remap_aligned, resident_bytes, restore, unmap};
