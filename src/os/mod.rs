//! Everything this crate asks of the operating system and of the C runtime.
//!
//! Memory comes through eight functions: map, unmap, purge, restore, remap, move, protect, and a count of what is
//! resident; and a question about pages. Others look up a function of the running program by name, and tell of accesses
//! to memory that cannot be accessed.

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
pub(crate) use system::{
    MAPPINGS_SPLIT, on_access_fault, page_bytes, pages_come_back, populate, purge, resident_bytes,
};

use crate::{faults, memory_tools};

/// As the system's `map_aligned`.
pub(crate) fn map_aligned(length: usize, alignment: usize) -> Option<NonNull<u8>> {
    if faults::call_fails() { None } else { system::map_aligned(length, alignment) }
}

/// As the system's `unmap`.
///
/// # Safety
/// The same.
pub(crate) unsafe fn unmap(start: NonNull<u8>, length: usize) {
    memory_tools::allow(start.as_ptr(), length);
    // SAFETY: the caller's promise.
    unsafe { system::unmap(start, length) }
}

/// As the system's `protect`.
///
/// # Safety
/// The same.
pub(crate) unsafe fn protect(start: *mut u8, length: usize, accessible: bool) -> bool {
    // What was forbidden can be allowed again: nothing has to be found for it.
    let fails = !accessible && faults::call_fails();
    // SAFETY: the caller's promise.
    !fails && unsafe { system::protect(start, length, accessible) }
}

/// As the system's `restore`.
///
/// # Safety
/// The same.
pub(crate) unsafe fn restore(start: NonNull<u8>, length: usize) -> bool {
    // SAFETY: the caller's promise.
    !faults::call_fails() && unsafe { system::restore(start, length) }
}

/// What came of moving pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "elsewhere they never move"))]
pub(crate) enum Move {
    Done,
    /// All is as it was, but what was in physical memory at the target may be purged.
    Failed,
    /// As `Failed`, and it would be so again: the system cannot do it.
    Unsupported,
    /// The target, or a part of it, is not mapped until it is restored.
    FailedWithGap,
}

/// As the system's `move_pages`.
///
/// # Safety
/// The same.
pub(crate) unsafe fn move_pages(from: NonNull<u8>, to: NonNull<u8>, length: usize) -> Move {
    if faults::call_fails() {
        // Two calls are made by then.
        return if faults::call_fails() { Move::FailedWithGap } else { Move::Failed };
    }
    memory_tools::allow(from.as_ptr(), length);
    // SAFETY: the caller's promise.
    unsafe { system::move_pages(from, to, length) }
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

/// A line of text that is made without asking for memory, for places where that must not be.
pub(crate) struct FaultMessage {
    bytes: [u8; 160],
    length: usize,
}

impl FaultMessage {
    /// As much of the text as there is room for, and a newline.
    pub(crate) fn new(text: core::fmt::Arguments<'_>) -> FaultMessage {
        let mut message = FaultMessage { bytes: [0; 160], length: 0 };
        // It fails when there is no more room, which is fine.
        let _ = core::fmt::Write::write_fmt(&mut message, text);
        message.bytes[message.length] = b'\n';
        message.length += 1;
        message
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl core::fmt::Write for FaultMessage {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.len() - 1 - self.length;
        let part = text.len().min(room);
        self.bytes[self.length..self.length + part].copy_from_slice(&text.as_bytes()[..part]);
        self.length += part;
        if part == text.len() { Ok(()) } else { Err(core::fmt::Error) }
    }
}
