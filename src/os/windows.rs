//! Memory from Windows. Its reservations are aligned to 64 KiB, which is just what chunks need.

#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use std::io::Write as _;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::EXCEPTION_ACCESS_VIOLATION;
use windows_sys::Win32::System::Diagnostics::Debug::{AddVectoredExceptionHandler, EXCEPTION_POINTERS};

#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_DECOMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
    VirtualProtect,
};
use windows_sys::Win32::System::SystemInformation::GetSystemInfo;

use super::{FaultMessage, Move};

/// Maps `length` bytes of zeroed memory aligned to `alignment`, at most 64 KiB. `None` when the system has none left.
pub fn map_aligned(length: usize, alignment: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new region at an address of the system's choice touches no existing memory.
    let address = unsafe { VirtualAlloc(ptr::null(), length, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) };
    let start = NonNull::new(address.cast::<u8>())?;
    if start.addr().get() & (alignment - 1) != 0 {
        // SAFETY: mapped just now, and nobody knows of it.
        unsafe { unmap(start, length) };
        return None;
    }
    Some(start)
}

/// A mapping goes back as a whole.
pub const MAPPINGS_SPLIT: bool = false;

/// Gives a whole mapping back.
///
/// # Safety
/// `start` is from [`map_aligned`] and nobody uses its memory any more.
pub unsafe fn unmap(start: NonNull<u8>, _length: usize) {
    // SAFETY: the caller's promise; MEM_RELEASE takes the whole region and wants length 0.
    unsafe { VirtualFree(start.as_ptr().cast(), 0, MEM_RELEASE) };
}

/// Returns the physical memory of a range while keeping its addresses; [`restore`] it before the next use.
///
/// # Safety
/// `start` and `length` are page-aligned, inside one mapping, and hold nothing anybody needs.
pub unsafe fn purge(start: NonNull<u8>, length: usize) {
    // SAFETY: the caller's promise.
    unsafe { VirtualFree(start.as_ptr().cast(), length, MEM_DECOMMIT) };
}

/// Nothing to do: committed pages come one by one.
///
/// # Safety
/// None needed: this does nothing.
pub unsafe fn populate(_start: NonNull<u8>, _length: usize) {}

/// Whether purged pages are there again when they are touched: here they must be restored.
pub fn pages_come_back(_page_size: usize) -> bool {
    false
}

/// Makes a purged range usable again; false when the system has no memory for it.
///
/// # Safety
/// The range was given to [`purge`].
pub unsafe fn restore(start: NonNull<u8>, length: usize) -> bool {
    // SAFETY: the caller's promise; committing inside our own reservation.
    let address = unsafe { VirtualAlloc(start.as_ptr().cast(), length, MEM_COMMIT, PAGE_READWRITE) };
    !address.is_null()
}

/// Windows cannot move pages between regions: they stay where they are.
///
/// # Safety
/// None needed: this does nothing.
pub unsafe fn move_pages(_from: NonNull<u8>, _to: NonNull<u8>, _length: usize) -> Move {
    Move::Unsupported
}

/// Windows cannot move pages between regions: the caller copies.
///
/// # Safety
/// None needed: this does nothing.
pub unsafe fn remap_aligned(
    _start: NonNull<u8>,
    _old_length: usize,
    _new_length: usize,
    _alignment: usize,
) -> Option<NonNull<u8>> {
    None
}

/// Address of a function that the running program exports, or one of the usual Lua libraries it has loaded; null if
/// there is none.
#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
pub fn symbol(name: &CStr) -> *mut c_void {
    let libraries = [c"lua54.dll", c"lua55.dll", c"lua53.dll", c"lua52.dll", c"lua51.dll"].map(CStr::as_ptr);
    let modules = core::iter::once(ptr::null()).chain(libraries);
    modules
        .map(|library| {
            // SAFETY: null names the program itself, all else is a C string; so is `name`.
            let found = unsafe {
                let module = GetModuleHandleA(library.cast());
                if module.is_null() { None } else { GetProcAddress(module, name.as_ptr().cast()) }
            };
            found.map_or(ptr::null_mut(), |function| function as *mut c_void)
        })
        .find(|function| !function.is_null())
        .unwrap_or(ptr::null_mut())
}

/// Windows tells residency by working set, not by range.
///
/// # Safety
/// None needed: this does nothing.
pub unsafe fn resident_bytes(_start: NonNull<u8>, _length: usize) -> Option<usize> {
    None
}

/// Bytes of a page.
pub fn page_bytes() -> usize {
    let mut info = MaybeUninit::zeroed();
    // SAFETY: the system fills in what there is room for; zero is a value of it.
    unsafe {
        GetSystemInfo(info.as_mut_ptr());
        info.assume_init().dwPageSize as usize
    }
}

/// Forbids or allows all access to a range. False when the system refuses.
///
/// # Safety
/// `start` and `length` are page-aligned and inside one mapping from [`map_aligned`], which nobody uses meanwhile.
pub unsafe fn protect(start: *mut u8, length: usize, accessible: bool) -> bool {
    let mut before = 0;
    let protection = if accessible { PAGE_READWRITE } else { PAGE_NOACCESS };
    // SAFETY: the caller's promise.
    unsafe { VirtualProtect(start.cast(), length, protection, &raw mut before) != 0 }
}

static TELL: OnceLock<fn(usize) -> Option<FaultMessage>> = OnceLock::new();

/// From now on, when there is an access that is not allowed, `tell` is asked for a line about its address. Then things
/// go on as they would have. Only the first call counts.
pub fn on_access_fault(tell: fn(usize) -> Option<FaultMessage>) {
    TELL.get_or_init(|| {
        // SAFETY: the handler has the type asked for, and is there for ever.
        unsafe { AddVectoredExceptionHandler(0, Some(on_fault)) };
        tell
    });
}

unsafe extern "system" fn on_fault(exception: *mut EXCEPTION_POINTERS) -> i32 {
    const CONTINUE_SEARCH: i32 = 0;
    // SAFETY: the system passes a valid description; an access violation comes with its address.
    unsafe {
        let record = (*exception).ExceptionRecord;
        if (*record).ExceptionCode == EXCEPTION_ACCESS_VIOLATION
            && let Some(message) = TELL.get().and_then(|tell| tell((*record).ExceptionInformation[1]))
        {
            // There is nobody left to tell of a failure.
            let _ = std::io::stderr().write_all(message.as_bytes());
        }
    }
    CONTINUE_SEARCH
}
