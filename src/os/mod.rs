//! Everything this crate asks of the operating system and of the C runtime.
//!
//! Memory comes through six functions: map, unmap, purge, restore, remap, and a count of what is resident; and a question
//! about pages.
//! One more looks up a function of the running program by name.

#[cfg(feature = "programs")]
pub mod c_runtime;
#[cfg(feature = "programs")]
pub(crate) mod process;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use core::ptr::NonNull;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
pub(crate) use system::symbol;
#[cfg(all(preload, unix))]
pub(crate) use system::symbol_behind;
pub(crate) use system::{pages_come_back, populate, purge, resident_bytes, unmap};

use crate::faults;

/// As the system's `map_aligned`.
pub(crate) fn map_aligned(length: usize, alignment: usize) -> Option<NonNull<u8>> {
    if faults::call_fails() { None } else { system::map_aligned(length, alignment) }
}

/// As the system's `restore`.
///
/// # Safety
/// The same.
pub(crate) unsafe fn restore(start: NonNull<u8>, length: usize) -> bool {
    // SAFETY: the caller's promise.
    !faults::call_fails() && unsafe { system::restore(start, length) }
}

/// As the system's `remap_aligned`.
///
/// # Safety
/// The same.
pub(crate) unsafe fn remap_aligned(
    start: NonNull<u8>,
    old: usize,
    new: usize,
    alignment: usize,
) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise.
    if faults::call_fails() { None } else { unsafe { system::remap_aligned(start, old, new, alignment) } }
}
