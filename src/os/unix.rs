//! Memory from Linux, macOS and the BSDs.

#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
use core::ffi::CStr;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use std::sync::OnceLock;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

use super::{FaultMessage, Move};

/// Maps `length` bytes of zeroed memory aligned to `alignment` (both multiples of the page size, the alignment a
/// power of two). `None` when the system has none left.
pub fn map_aligned(length: usize, alignment: usize) -> Option<NonNull<u8>> {
    // A mapping is usually placed right below the last one, so once one is aligned the next ones are.
    let first = map(ptr::null_mut(), length)?;
    if first.addr().get() & (alignment - 1) == 0 {
        return Some(first);
    }
    // SAFETY: `first` was mapped just now with this length, and nobody knows of it.
    unsafe { unmap(first, length) };
    // The gap that the system chose often goes on below, where the address is aligned.
    let below = first.as_ptr().with_addr(first.addr().get() & !(alignment - 1));
    if let Some(second) = map(below, length) {
        if second.addr().get() & (alignment - 1) == 0 {
            return Some(second);
        }
        // SAFETY: as above.
        unsafe { unmap(second, length) };
    }

    let padded = length.checked_add(alignment)?;
    let start = map(ptr::null_mut(), padded)?;
    let address = start.addr().get();
    let aligned = (address + alignment - 1) & !(alignment - 1);
    let before = aligned - address;
    let after = padded - before - length;
    // SAFETY: [aligned, aligned + length) lies inside the mapping made above; what is cut off on both sides was
    // never handed out.
    unsafe {
        let block = start.add(before);
        if before > 0 {
            unmap(start, before);
        }
        if after > 0 {
            unmap(block.add(length), after);
        }
        Some(block)
    }
}

fn map(hint: *mut u8, length: usize) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous mapping at an address of the system's choice touches no existing memory.
    unsafe { map_with(hint, length, 0) }
}

/// # Safety
/// With MAP_FIXED among the `more_flags`, the range at `start` is ours, and nobody needs what it holds.
unsafe fn map_with(start: *mut u8, length: usize, more_flags: libc::c_int) -> Option<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | more_flags;
    // SAFETY: the caller's promise.
    let address = unsafe { libc::mmap(start.cast(), length, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED { None } else { NonNull::new(address.cast()) }
}

/// Whether [`unmap`] takes parts of mappings, and several neighbours at once.
pub const MAPPINGS_SPLIT: bool = true;

/// Gives a mapping, or a page-aligned part of one, back.
///
/// # Safety
/// `start` and `length` describe memory from [`map_aligned`] that nobody uses any more.
pub unsafe fn unmap(start: NonNull<u8>, length: usize) {
    // SAFETY: the caller's promise. munmap of a valid range fails only when it would split a mapping beyond the
    // system's limit of mappings; the range then stays mapped, which loses address space but no data.
    unsafe { libc::munmap(start.as_ptr().cast(), length) };
}

/// Returns the physical memory of a range while keeping the range; it reads as anything (zero on Linux) afterwards.
///
/// # Safety
/// `start` and `length` are page-aligned, inside one mapping, and hold nothing anybody needs.
pub unsafe fn purge(start: NonNull<u8>, length: usize) {
    #[cfg(target_os = "linux")]
    let advice = libc::MADV_DONTNEED;
    #[cfg(not(target_os = "linux"))]
    let advice = libc::MADV_FREE;
    // SAFETY: the caller's promise; on failure the memory merely stays resident.
    unsafe { libc::madvise(start.as_ptr().cast(), length, advice) };
}

/// Whether purged pages of this size are there again when they are touched.
pub fn pages_come_back(page_size: usize) -> bool {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) == Ok(page_size)
}

/// Brings a range that is about to be written into physical memory with one call, where the system can; elsewhere its
/// pages come one by one.
///
/// # Safety
/// `start` and `length` are page-aligned and inside one mapping.
pub unsafe fn populate(start: NonNull<u8>, length: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: the caller's promise; contents stay as they are, and on failure nothing has happened.
    unsafe {
        libc::madvise(start.as_ptr().cast(), length, libc::MADV_POPULATE_WRITE)
    };
    #[cfg(not(target_os = "linux"))]
    let _ = (start, length);
}

/// Set for ever when [`move_pages`] has left a gap.
#[cfg(target_os = "linux")]
static GAPS: AtomicBool = AtomicBool::new(false);

/// Makes a purged range, or one with gaps that [`move_pages`] has left, usable again. Purged pages come back on first
/// touch.
///
/// # Safety
/// `start` and `length` are page-aligned, inside a range from [`map_aligned`], and hold nothing anybody needs.
pub unsafe fn restore(start: NonNull<u8>, length: usize) -> bool {
    #[cfg(target_os = "linux")]
    if GAPS.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise.
        return unsafe { map_over(start, length) };
    }
    let _ = (start, length);
    true
}

/// Maps a range anew.
///
/// # Safety
/// As for [`restore`].
#[cfg(target_os = "linux")]
unsafe fn map_over(start: NonNull<u8>, length: usize) -> bool {
    // SAFETY: the caller's promise: what is replaced is ours, and needed by nobody.
    unsafe { map_with(start.as_ptr(), length, libc::MAP_FIXED).is_some() }
}

/// Flag of mremap, since Linux 5.7: what was moved stays mapped, as if purged (linux/mman.h).
#[cfg(target_os = "linux")]
const MREMAP_DONTUNMAP: libc::c_int = 4;

/// Moves the physical memory of the range at `from` to that at `to`; `from` is as if purged then.
///
/// # Safety
/// Both ranges are page-aligned, of `length` bytes, inside ranges from [`map_aligned`], apart, and hold nothing anybody
/// needs but for what is to be at `to`.
#[cfg(target_os = "linux")]
pub unsafe fn move_pages(from: NonNull<u8>, to: NonNull<u8>, length: usize) -> Move {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | MREMAP_DONTUNMAP;
    // SAFETY: the caller's promise.
    let moved = unsafe { libc::mremap(from.as_ptr().cast(), length, length, flags, to.as_ptr()) };
    if moved != libc::MAP_FAILED {
        return Move::Done;
    }
    let is_transient = matches!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT | libc::ENOMEM));
    // What was at the target may be gone.
    // SAFETY: the caller's promise.
    if !unsafe { map_over(to, length) } {
        GAPS.store(true, Ordering::Relaxed);
        return Move::FailedWithGap;
    }
    if is_transient { Move::Failed } else { Move::Unsupported }
}

/// Without mremap pages stay where they are.
///
/// # Safety
/// None needed: this does nothing.
#[cfg(not(target_os = "linux"))]
pub unsafe fn move_pages(_from: NonNull<u8>, _to: NonNull<u8>, _length: usize) -> Move {
    Move::Unsupported
}

/// Grows or shrinks a mapping, moving its pages rather than copying bytes. `None` when that cannot be done; the old
/// mapping is then unchanged.
///
/// # Safety
/// `start` and `old_length` describe a whole mapping from [`map_aligned`] with this `alignment`.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub unsafe fn remap_aligned(
    start: NonNull<u8>,
    old_length: usize,
    new_length: usize,
    alignment: usize,
) -> Option<NonNull<u8>> {
    // SAFETY: the caller's promise; without MREMAP_MAYMOVE the address stays.
    let same = unsafe { libc::mremap(start.as_ptr().cast(), old_length, new_length, 0) };
    if same != libc::MAP_FAILED {
        return Some(start);
    }
    let target = map_aligned(new_length, alignment)?;
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // SAFETY: `target` was mapped just now with this length; MREMAP_FIXED replaces it by the old pages.
    let moved = unsafe { libc::mremap(start.as_ptr().cast(), old_length, new_length, flags, target.as_ptr()) };
    if moved == libc::MAP_FAILED {
        // SAFETY: a failed mremap may or may not have removed the target; unmapping an unmapped range is harmless
        // only because nothing else in this process maps memory at an address we still hold.
        unsafe { unmap(target, new_length) };
        return None;
    }
    Some(target)
}

/// Without mremap the caller copies.
///
/// # Safety
/// None needed: this does nothing.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub unsafe fn remap_aligned(
    _start: NonNull<u8>,
    _old_length: usize,
    _new_length: usize,
    _alignment: usize,
) -> Option<NonNull<u8>> {
    None
}

/// Address of a function of the running program or of a library it has loaded; null if there is none, or more than
/// one that only parts of the program see.
#[cfg(not(any(feature = "programs", feature = "mlua", linked_lua)))]
pub fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: RTLD_DEFAULT is always valid, and the name is a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if found.is_null() { only_symbol(name, ptr::null()) } else { found }
}

/// The function of this name that `own`, which this library exports, hides from the program; null if there is none.
#[cfg(preload)]
pub fn symbol_behind(name: &CStr, own: *const c_void) -> *mut c_void {
    // SAFETY: RTLD_NEXT is always valid, and the name is a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    if found.is_null() { only_symbol(name, own) } else { found }
}

/// The one function of this name, other than `own`, in all libraries loaded, those of plugins included; null if there
/// are several.
#[cfg(all(target_os = "linux", not(any(feature = "programs", feature = "mlua", linked_lua))))]
fn only_symbol(name: &CStr, own: *const c_void) -> *mut c_void {
    struct Search<'a> {
        name: &'a CStr,
        own: *const c_void,
        found: *mut c_void,
        several: bool,
    }

    unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _size: usize, search: *mut c_void) -> libc::c_int {
        // SAFETY: the loader passes a valid description, and what dl_iterate_phdr was given. RTLD_NOLOAD only finds
        // what is loaded already.
        unsafe {
            let search = &mut *search.cast::<Search>();
            let library = libc::dlopen((*info).dlpi_name, libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            if library.is_null() {
                return 0;
            }
            let found = libc::dlsym(library, search.name.as_ptr());
            libc::dlclose(library);
            if !found.is_null() && found.cast_const() != search.own && found != search.found {
                search.several = !search.found.is_null();
                search.found = found;
            }
            libc::c_int::from(search.several)
        }
    }

    let mut search = Search { name, own, found: ptr::null_mut(), several: false };
    // SAFETY: `look` gets the search, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    if search.several { ptr::null_mut() } else { search.found }
}

/// Elsewhere only what everybody sees is found.
#[cfg(not(any(target_os = "linux", feature = "programs", feature = "mlua", linked_lua)))]
fn only_symbol(_name: &CStr, _own: *const c_void) -> *mut c_void {
    ptr::null_mut()
}

/// Bytes of a page.
pub fn page_bytes() -> usize {
    // SAFETY: sysconf has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(usize::MAX)
}

/// Forbids or allows all access to a range. False when the system refuses.
///
/// # Safety
/// `start` and `length` are page-aligned and inside one mapping from [`map_aligned`], which nobody uses meanwhile.
pub unsafe fn protect(start: *mut u8, length: usize, accessible: bool) -> bool {
    let protection = if accessible { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_NONE };
    // SAFETY: the caller's promise.
    unsafe { libc::mprotect(start.cast(), length, protection) == 0 }
}

/// The signals of an access that is not allowed.
const FAULTS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What `on_access_fault` was given, and what was done with the signals before.
struct FaultWatch {
    tell: fn(usize) -> Option<FaultMessage>,
    before: [libc::sigaction; 2],
}

static FAULT_WATCH: OnceLock<FaultWatch> = OnceLock::new();

/// From now on, when the process is about to end because of an access that is not allowed, `tell` is asked for a line
/// about its address. Then it ends as it would have. Only the first call counts.
pub fn on_access_fault(tell: fn(usize) -> Option<FaultMessage>) {
    let before = FAULTS.map(|signal| {
        let mut action = MaybeUninit::zeroed();
        // SAFETY: the place is one for what the signal does now; zero is a value of it.
        unsafe {
            libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
            action.assume_init()
        }
    });
    if FAULT_WATCH.set(FaultWatch { tell, before }).is_err() {
        return;
    }
    for signal in FAULTS {
        // SAFETY: the handler has the type that SA_SIGINFO asks for, and is there for ever.
        unsafe {
            let mut action: libc::sigaction = core::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, ptr::null_mut());
        }
    }
}

/// Writes a line if there is one, and leaves the rest to whoever was there before: the access is tried again.
unsafe extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    let Some(watch) = FAULT_WATCH.get() else { return };
    // SAFETY: the system passes a valid description; write and sigaction may be called in a handler.
    unsafe {
        if let Some(message) = (watch.tell)((*info).si_addr().addr()) {
            libc::write(libc::STDERR_FILENO, message.as_bytes().as_ptr().cast(), message.as_bytes().len());
        }
        for (known, before) in FAULTS.into_iter().zip(&watch.before) {
            if known == signal {
                libc::sigaction(signal, before, ptr::null_mut());
            }
        }
    }
}

/// Bytes of a range that are in physical memory now, as the system counts them; `None` where it cannot tell.
///
/// # Safety
/// `start` and `length` are page-aligned and inside one mapping.
pub unsafe fn resident_bytes(start: NonNull<u8>, length: usize) -> Option<usize> {
    let page = page_bytes();
    let mut resident = 0;
    let mut pages = [0u8; 256];
    let mut offset = 0;
    while offset < length {
        let part = (length - offset).min(pages.len() * page);
        // SAFETY: [offset, offset + part) is inside the caller's mapping; `pages` has a byte for each of its pages.
        let failed = unsafe { libc::mincore(start.as_ptr().add(offset).cast(), part, pages.as_mut_ptr().cast()) };
        if failed != 0 {
            return None;
        }
        resident += pages[..part.div_ceil(page)].iter().filter(|&&state| state & 1 != 0).count() * page;
        offset += part;
    }
    Some(resident)
}
