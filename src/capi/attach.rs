//! Putting a pool under a state that lives already.
//!
//! The state's old blocks stay with the allocator they came from until they are freed; whose a block is, its address
//! tells. So such a state has an allocator function of its own.

use core::ffi::{c_int, c_void};
use core::ptr;

use super::error::ErrorCode;
use super::{handles, lua_pool_close, lua_pool_new, not_a_pool, report};
use crate::lua_alloc::pool_of;
use crate::lua_ffi::{lua_Alloc, lua_State, lua_checkstack, lua_getallocf, lua_pushthread, lua_setallocf, lua_settop};
use crate::pool::{RawPool, UnitTable};

/// What [`attached_alloc`] gets as `ud`.
pub(super) struct Attachment {
    pool: *mut RawPool,
    /// The pool's own function.
    own: lua_Alloc,
    units: UnitTable,
    foreign: lua_Alloc,
    foreign_ud: *mut c_void,
    /// Address of the state's main thread; its block is the last that a closing state frees.
    main_thread: usize,
    /// Whether the pool goes when the state goes.
    owns_pool: bool,
}

/// The `lua_Alloc` function of a state with blocks of two allocators.
///
/// # Safety
/// `ud` is a live [`Attachment`] whose pool no other thread uses; `ptr` is null or a live block of either allocator.
unsafe extern "C" fn attached_alloc(ud: *mut c_void, ptr: *mut c_void, osize: usize, nsize: usize) -> *mut c_void {
    let attachment = ud.cast::<Attachment>();
    // SAFETY: the caller's promise.
    unsafe {
        let pool = (*attachment).pool;
        if ptr.is_null() || (*attachment).units.owns(&*pool, ptr.cast()) {
            return ((*attachment).own)(pool.cast(), ptr, osize, nsize);
        }
        // Only its own allocator knows how large a foreign block is: `osize` is not always true. So it is resized
        // there too, rather than copied here.
        let (foreign, foreign_ud) = ((*attachment).foreign, (*attachment).foreign_ud);
        let result = foreign(foreign_ud, ptr, osize, nsize);
        let block = ptr.addr()..ptr.addr().saturating_add(osize);
        if nsize == 0 && block.contains(&(*attachment).main_thread) {
            if (*attachment).owns_pool {
                lua_pool_close(pool.cast());
            } else {
                handles::drop_attachment(pool.cast(), attachment);
            }
        }
        result
    }
}

/// The pool under a state with such an allocator; null if `function` is another.
///
/// # Safety
/// `function` and `ud` are what `lua_getallocf` says of a live state.
pub(crate) unsafe fn pool_of_attached(function: lua_Alloc, ud: *mut c_void) -> *mut RawPool {
    if function as usize == attached_alloc as *const () as usize {
        // SAFETY: nobody else can name this function, so `ud` is an attachment, and live as its state is.
        unsafe { (*ud.cast::<Attachment>()).pool }
    } else {
        ptr::null_mut()
    }
}

/// Puts a pool under a live state: new blocks come from it, old ones go back to where they came from. With a null
/// `pool` one with the default configuration is made, which goes when the state is closed.
///
/// # Safety
/// `state` is the main thread of a live state that this thread uses; `pool` is not used by another thread, and
/// outlives the state.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_attach(state: *mut lua_State, pool: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { attach(state, pool, pool.is_null()) }
}

/// As [`lua_pool_attach`]; `owns_pool` says whether the pool goes when the state is closed.
///
/// # Safety
/// As [`lua_pool_attach`].
pub(super) unsafe fn attach(state: *mut lua_State, pool: *mut c_void, owns_pool: bool) -> c_int {
    let fail = |code, message: &str| match handles::listener(pool) {
        Some(listener) => listener.report(code, message),
        None => report(None, ptr::null_mut(), code, message),
    };
    if state.is_null() {
        return fail(ErrorCode::Argument, "lua_pool_attach: the state is NULL");
    }
    if !pool.is_null() && handles::listener(pool).is_none() {
        return not_a_pool("lua_pool_attach", pool);
    }
    #[cfg(not(feature = "programs"))]
    if let Some(name) = crate::lua_ffi::missing_function() {
        let message = format!("lua_pool_attach: {name} is not visible in this program; link the static library");
        return fail(ErrorCode::State, &message);
    }
    // SAFETY: the caller's promise; one stack slot is asked for and given back.
    unsafe {
        if !pool_of(state).is_null() {
            return fail(ErrorCode::State, "lua_pool_attach: this state is on a pool already");
        }
        if lua_checkstack(state, 1) == 0 {
            return fail(ErrorCode::Memory, "lua_pool_attach: no room on the Lua stack");
        }
        let is_main = lua_pushthread(state) == 1;
        lua_settop(state, -2);
        if !is_main {
            return fail(ErrorCode::State, "lua_pool_attach: this is a coroutine; pass the state's main thread");
        }
        let mut foreign_ud = ptr::null_mut();
        let foreign = lua_getallocf(state, &raw mut foreign_ud);
        let made_here = pool.is_null();
        let pool = if made_here { lua_pool_new(ptr::null()) } else { pool };
        if pool.is_null() {
            return ErrorCode::Memory as c_int;
        }
        let attachment = Attachment {
            pool: pool.cast(),
            own: (*pool.cast::<RawPool>()).alloc_function(),
            units: UnitTable::default(),
            foreign,
            foreign_ud,
            main_thread: state.addr(),
            owns_pool,
        };
        let Some(kept) = handles::keep_attachment(pool, attachment) else {
            if made_here {
                lua_pool_close(pool);
            }
            return fail(ErrorCode::Memory, "lua_pool_attach: not enough memory");
        };
        lua_setallocf(state, attached_alloc, kept.cast());
    }
    ErrorCode::Ok as c_int
}

/// As [`lua_pool_attach`], for a pool of Rust's, which goes when the state is closed, or now if this fails.
///
/// # Safety
/// As [`lua_pool_attach`].
#[cfg(feature = "mlua")]
pub(crate) unsafe fn attach_owned(state: *mut lua_State, pool: crate::Pool) -> ErrorCode {
    let ud = pool.as_ud();
    if handles::insert(handles::Handle::of_any_thread(pool)).is_err() {
        return ErrorCode::Memory;
    }
    // SAFETY: the caller's promise.
    let code = unsafe { attach(state, ud, true) };
    if code != ErrorCode::Ok as c_int {
        drop(handles::remove(ud));
        return if code == ErrorCode::State as c_int { ErrorCode::State } else { ErrorCode::Memory };
    }
    ErrorCode::Ok
}

/// The pool that a state's memory comes from; null if its allocator is another.
///
/// # Safety
/// `state` is a live state of this thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_of(state: *mut lua_State) -> *mut c_void {
    #[cfg(not(feature = "programs"))]
    if crate::lua_ffi::missing_function().is_some() {
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe { pool_of(state).cast() }
}
