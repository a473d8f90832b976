//! The part of the Lua C API that the library itself calls, the same in Lua 5.1 to 5.5 and LuaJIT.
//!
//! In liblua_pool_allocator.a, and beside mlua, these are plain references, which the linker resolves. Everywhere else they are
//! looked up when they are first called: the library loads into a host without Lua, or with any version of it.
//!
//! What may raise a Lua error is `C-unwind`: a `longjmp` then skips these frames, which own nothing.

#![allow(non_snake_case, non_camel_case_types)]

#[cfg(not(any(linked_lua, feature = "mlua")))]
use std::ffi::CStr;
use std::ffi::{c_char, c_int, c_longlong, c_void};
use std::marker::{PhantomData, PhantomPinned};

/// A Lua thread; only ever seen through a pointer.
#[repr(C)]
pub struct lua_State {
    _opaque: [u8; 0],
    _not_send_sync_unpin: PhantomData<(*mut u8, PhantomPinned)>,
}

pub type lua_Integer = c_longlong;
pub type lua_CFunction = unsafe extern "C-unwind" fn(state: *mut lua_State) -> c_int;
pub type lua_Alloc = unsafe extern "C" fn(ud: *mut c_void, ptr: *mut c_void, osize: usize, nsize: usize) -> *mut c_void;

macro_rules! lua_functions {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)?;)*) => {
        #[cfg(any(linked_lua, feature = "mlua"))]
        unsafe extern "C-unwind" {
            $(pub fn $name($($argument: $kind),*) $(-> $result)?;)*
        }

        $(
            /// # Safety
            /// As Lua's manual says; and the host has a Lua that [`missing_function`] finds complete.
            #[cfg(not(any(linked_lua, feature = "mlua")))]
            pub unsafe fn $name($($argument: $kind),*) $(-> $result)? {
                type Function = unsafe extern "C-unwind" fn($($argument: $kind),*) $(-> $result)?;
                static FOUND: std::sync::atomic::AtomicPtr<c_void> =
                    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());
                let name = const {
                    match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                        Ok(name) => name,
                        Err(_) => panic!("a name without a NUL"),
                    }
                };
                let function = dynamic::resolve(&FOUND, name);
                // SAFETY: a function of this name in a Lua library has this type; the rest is the caller's promise.
                unsafe { std::mem::transmute::<*mut c_void, Function>(function)($($argument),*) }
            }
        )*

        /// Names of everything above.
        #[cfg(not(any(linked_lua, feature = "mlua")))]
        const NAMES: &[&str] = &[$(concat!(stringify!($name), "\0")),*];
    };
}

/// Type of an index beyond the arguments.
pub const LUA_TNONE: c_int = -1;
pub const LUA_TNIL: c_int = 0;
pub const LUA_TBOOLEAN: c_int = 1;

/// Whole kilobytes in use, and the bytes beyond them; the same numbers in every Lua.
pub const LUA_GCCOUNT: c_int = 3;
pub const LUA_GCCOUNTB: c_int = 4;

lua_functions! {
    fn lua_type(state: *mut lua_State, index: c_int) -> c_int;
    fn lua_toboolean(state: *mut lua_State, index: c_int) -> c_int;
    fn lua_pushboolean(state: *mut lua_State, value: c_int);
    fn lua_pushnil(state: *mut lua_State);
    fn luaL_checklstring(state: *mut lua_State, argument: c_int, len: *mut usize) -> *const c_char;
    fn luaL_checkinteger(state: *mut lua_State, argument: c_int) -> lua_Integer;
    fn luaL_argerror(state: *mut lua_State, argument: c_int, message: *const c_char) -> c_int;
    fn lua_gc(state: *mut lua_State, what: c_int, data: c_int) -> c_int;
    fn lua_getallocf(state: *mut lua_State, ud: *mut *mut c_void) -> lua_Alloc;
    fn lua_setallocf(state: *mut lua_State, alloc: lua_Alloc, ud: *mut c_void);
    fn lua_settop(state: *mut lua_State, index: c_int);
    fn lua_checkstack(state: *mut lua_State, n: c_int) -> c_int;
    fn lua_pushthread(state: *mut lua_State) -> c_int;
    fn lua_pushinteger(state: *mut lua_State, value: lua_Integer);
    fn lua_pushcclosure(state: *mut lua_State, function: lua_CFunction, upvalues: c_int);
    fn lua_pushlstring(state: *mut lua_State, text: *const c_char, len: usize) -> *const c_char;
    fn lua_pushstring(state: *mut lua_State, text: *const c_char) -> *const c_char;
    fn lua_createtable(state: *mut lua_State, array: c_int, hash: c_int);
    fn lua_setfield(state: *mut lua_State, index: c_int, key: *const c_char);
    fn lua_rawseti(state: *mut lua_State, index: c_int, n: lua_Integer);
}

/// A function that this host's Lua lacks, or that cannot be seen from here; `None` when all is well.
pub fn missing_function() -> Option<&'static str> {
    #[cfg(any(linked_lua, feature = "mlua"))]
    return None;
    #[cfg(not(any(linked_lua, feature = "mlua")))]
    NAMES.iter().find_map(|name| {
        let found = CStr::from_bytes_with_nul(name.as_bytes()).is_ok_and(|name| !dynamic::find(name).is_null());
        if found { None } else { Some(name.trim_end_matches('\0')) }
    })
}

/// Looking functions up by name in the running program.
#[cfg(not(any(linked_lua, feature = "mlua")))]
mod dynamic {
    use std::ffi::{CStr, c_void};
    use std::sync::atomic::{AtomicPtr, Ordering};

    pub(super) use crate::os::symbol as find;

    /// The function `name`, kept in `place`. Ends the program without it: the caller had to ask `missing_function`.
    pub(super) fn resolve(place: &AtomicPtr<c_void>, name: &CStr) -> *mut c_void {
        let known = place.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        let found = find(name);
        if found.is_null() {
            eprintln!("lua_pool: {} is not visible in this program", name.to_string_lossy());
            std::process::abort();
        }
        place.store(found, Ordering::Relaxed);
        found
    }
}
