//! The `lua_Alloc` function, and the contract behind it.

use core::ffi::{c_int, c_void};
use core::ptr;

use crate::pool::layout::ChunkHeader;
use crate::pool::sample::Core;
use crate::pool::{OVERWRITTEN, RawPool, corrupt, hardened};

/// Tags that Lua passes as `osize` of a new block whose contents are Lua's own and need 8-byte alignment: strings,
/// tables, functions, threads, upvalues and prototypes. Anything else (userdata, arrays and buffers with tag 0, the
/// made-up sizes of C modules) may be filled by C code with types that want 16 bytes.
const EIGHT_BYTE_TAGS: u32 = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 10;

/// Allocates, frees and resizes for a Lua state, as `lua_Alloc` in Lua's manual; `ud` is [`Pool::as_ud`].
///
/// - `ptr` null: a new block; `osize` is then a type tag, never a size.
/// - `nsize` 0: frees `ptr` and returns null; nothing to do for a null `ptr`.
/// - otherwise: resizes. Null leaves the old block valid and unchanged. A smaller size never fails.
///
/// `osize` is not relied on: the size of a block is known from its address, because some C modules pass 0.
///
/// [`Pool::as_ud`]: crate::Pool::as_ud
///
/// A null `ud` has no memory to give. In debug builds a pool of the C interface that another thread uses is reported
/// and left alone; [`lua_pool_alloc_checked`](crate::capi::lua_pool_alloc_checked) checks everything.
///
/// # Safety
/// `ud` is null or [`Pool::as_ud`] of a live pool that no other thread uses meanwhile; `ptr` is null or a live block
/// of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_alloc(ud: *mut c_void, ptr: *mut c_void, osize: usize, nsize: usize) -> *mut c_void {
    let pool = ud.cast::<RawPool>();
    #[cfg(debug_assertions)]
    if crate::capi::wrong_thread(ud) {
        return ptr::null_mut();
    }
    #[cfg(feature = "memory-tools")]
    if !ud.is_null() {
        // SAFETY: the caller's promise. What may want 16 bytes is not told apart here.
        return unsafe { crate::memory_tools::request(pool, ptr.cast(), nsize).cast() };
    }
    // SAFETY: the caller's promise; nothing below panics.
    unsafe {
        if ptr.is_null() {
            // A host that did not look whether it got a pool: its `lua_newstate` fails instead of the program.
            if ud.is_null() {
                return ptr::null_mut();
            }
            let eight = osize < 32 && EIGHT_BYTE_TAGS & (1 << osize) != 0;
            return (*pool).allocate(nsize, !eight).cast();
        }
        if nsize == 0 {
            (*pool).free(ptr.cast());
            return ptr::null_mut();
        }
        (*pool).reallocate(ptr.cast(), nsize, true).cast()
    }
}

/// As [`lua_pool_alloc`], for hardened pools: a block that is not a live one of this pool, a wrong `osize` other than 0,
/// and writes outside of live blocks are named on standard error, and end the process.
///
/// # Safety
/// `ud` is null or [`Pool::as_ud`](crate::Pool::as_ud) of a live hardened pool that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_alloc_hardened(
    ud: *mut c_void,
    ptr: *mut c_void,
    osize: usize,
    nsize: usize,
) -> *mut c_void {
    #[cfg(debug_assertions)]
    if crate::capi::wrong_thread(ud) {
        return ptr::null_mut();
    }
    if ud.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe {
        let pool = ud.cast::<RawPool>();
        if !(*pool).is_hardened() {
            return lua_pool_alloc(ud, ptr, osize, nsize);
        }
        // For a new block, `osize` is no size.
        let told = if ptr.is_null() { 0 } else { osize };
        hardened::request(pool, ptr.cast(), told, nsize).cast()
    }
}

/// The slow path of the inlined allocation (include/lua_pool_inline.h): fills the list of `class` and takes a block
/// from it; null when there is no memory. `thread` is the Lua thread that wants it.
///
/// # Safety
/// `pool` is a live pool that no other thread uses meanwhile; `class` is one of its classes, with an empty list;
/// `thread` is a live Lua thread on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_refill(pool: *mut c_void, class: usize, thread: *mut c_void) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { (*pool.cast::<RawPool>()).refill(class, thread).cast() }
}

/// Tells the profile, if there is one, that a thread got `bytes` by [`lua_pool_alloc`] itself.
///
/// # Safety
/// `pool` is a live pool that no other thread uses meanwhile; `thread` is a live Lua thread on it, of a core that said
/// so by [`lua_pool_core_attached`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_sample(pool: *mut c_void, bytes: usize, thread: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { (*pool.cast::<RawPool>()).sample(bytes, thread) }
}

/// Called by the patched Lua core when a state gets this pool: what the core can tell about its states.
///
/// # Safety
/// `pool` is a live pool that no other thread uses meanwhile, or null; `core` lives as long as the program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_core_attached(pool: *mut c_void, core: *const Core) {
    // SAFETY: the caller's promise.
    if let Some(pool) = unsafe { pool.cast::<RawPool>().as_mut() } {
        pool.set_core(core);
    }
}

/// The slow path of the inlined free: the countdown of the chunk at `header` has ended.
///
/// # Safety
/// `header` is a live chunk header of a pool that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_free_slow(header: *mut c_void) {
    let header = header.cast::<ChunkHeader>();
    // SAFETY: the caller's promise; a live header names its pool, and one that somebody wrote across most likely
    // names none.
    unsafe {
        let pool = (*header).pool;
        if !RawPool::may_be_at(pool) {
            corrupt(header, OVERWRITTEN);
        }
        (*pool.cast::<RawPool>()).free_slow(header);
    }
}

/// Called by the patched Lua core at the end of a full collection.
///
/// # Safety
/// `pool` is a live pool that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_full_collection_ended(pool: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { (*pool.cast::<RawPool>()).full_collection_ended() }
}

/// Asked by the patched Lua core in its slow path: 1 if the soft limit was passed and a full collection is due.
///
/// # Safety
/// `pool` is a live pool that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_collection_wanted(pool: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { c_int::from((*pool.cast::<RawPool>()).collection_wanted()) }
}

/// Asked by the patched Lua core when it closes a state: 1 if the pool ends with it, so that objects need not be freed
/// one by one.
///
/// # Safety
/// `pool` is a live pool that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_ends_with_state(pool: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { c_int::from((*pool.cast::<RawPool>()).ends_with_state) }
}

/// The pool that a state's memory comes from; null if its allocator is another.
///
/// # Safety
/// `state` is a live state of this thread.
pub unsafe fn pool_of(state: *mut crate::lua_ffi::lua_State) -> *mut RawPool {
    let mut ud = ptr::null_mut();
    // SAFETY: the caller's promise.
    let function = unsafe { crate::lua_ffi::lua_getallocf(state, &raw mut ud) };
    // Each function has one address per program: it is exported by name.
    let ours = [
        lua_pool_alloc as *const (),
        lua_pool_alloc_hardened as *const (),
        crate::capi::lua_pool_alloc_checked as *const (),
    ];
    if ours.contains(&(function as *const ())) {
        return ud.cast();
    }
    // SAFETY: both are what the state says.
    unsafe { crate::capi::pool_of_attached(function, ud) }
}
