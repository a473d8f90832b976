//! The part of Lua 5.4's C API that this crate uses; the names and their meaning are the reference manual's (§4).
//!
//! The library links no Lua: a program names the archive it wants, as `src/bin/lua54.rs` does.
//!
//! Whatever may raise a Lua error is declared `C-unwind`: the error is a `longjmp` that skips the Rust frames above
//! the protected call. So **a Rust frame that is active across such a call owns nothing that needs dropping.**
//! Everything here is `unsafe` for the usual reasons of the C API: a live state, enough stack, valid indexes.

#![allow(non_snake_case, non_camel_case_types, missing_docs)]

use std::ffi::{CStr, c_char, c_int, c_longlong, c_void};
use std::marker::{PhantomData, PhantomPinned};

/// A Lua thread; only ever seen through a pointer.
#[repr(C)]
pub struct lua_State {
    _opaque: [u8; 0],
    _not_send_sync_unpin: PhantomData<(*mut u8, PhantomPinned)>,
}

/// What a hook is told; this crate never looks inside.
#[repr(C)]
pub struct lua_Debug {
    _opaque: [u8; 0],
    _not_send_sync_unpin: PhantomData<(*mut u8, PhantomPinned)>,
}

pub type lua_Integer = c_longlong;
pub type lua_Number = f64;
pub type lua_KContext = isize;
pub type lua_CFunction = unsafe extern "C-unwind" fn(state: *mut lua_State) -> c_int;
pub type lua_KFunction = unsafe extern "C-unwind" fn(state: *mut lua_State, status: c_int, ctx: lua_KContext) -> c_int;
pub type lua_Hook = unsafe extern "C-unwind" fn(state: *mut lua_State, activation: *mut lua_Debug);
pub type lua_WarnFunction = unsafe extern "C-unwind" fn(ud: *mut c_void, message: *const c_char, to_continue: c_int);
pub type lua_Alloc = unsafe extern "C" fn(ud: *mut c_void, ptr: *mut c_void, osize: usize, nsize: usize) -> *mut c_void;

pub const LUA_COPYRIGHT: &CStr = c"Lua 5.4.4  Copyright (C) 1994-2022 Lua.org, PUC-Rio";
pub const LUA_VERSION_NUM: lua_Number = 504.0;

pub const LUA_OK: c_int = 0;
pub const LUA_ERRSYNTAX: c_int = 3;
pub const LUA_MULTRET: c_int = -1;
/// Free stack slots a C function may count on.
pub const LUA_MINSTACK: c_int = 20;
/// One below the lowest index of a stack of LUAI_MAXSTACK (a million) slots, less a thousand.
pub const LUA_REGISTRYINDEX: c_int = -1_000_000 - 1000;

/// Type of an index beyond the arguments.
pub const LUA_TNONE: c_int = -1;
pub const LUA_TNIL: c_int = 0;
pub const LUA_TBOOLEAN: c_int = 1;
pub const LUA_TSTRING: c_int = 4;
pub const LUA_TTABLE: c_int = 5;

pub const LUA_GCCOUNT: c_int = 3;
pub const LUA_GCCOUNTB: c_int = 4;
pub const LUA_GCGEN: c_int = 10;

pub const LUA_MASKCALL: c_int = 1 << 0;
pub const LUA_MASKRET: c_int = 1 << 1;
pub const LUA_MASKLINE: c_int = 1 << 2;
pub const LUA_MASKCOUNT: c_int = 1 << 3;

/// Sizes of the number types, as luaL_checkversion compares them.
pub const LUAL_NUMSIZES: usize = size_of::<lua_Integer>() * 16 + size_of::<lua_Number>();

// The unit tests are a program too, and need a Lua of their own: the one that has the pool's fast path inside.
#[cfg_attr(test, link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive"))]
unsafe extern "C" {
    pub fn lua_newstate(alloc: lua_Alloc, ud: *mut c_void) -> *mut lua_State;
    pub fn luaL_newstate() -> *mut lua_State;
    pub fn lua_atpanic(state: *mut lua_State, panic: Option<lua_CFunction>) -> Option<lua_CFunction>;
    pub fn lua_setwarnf(state: *mut lua_State, warn: Option<lua_WarnFunction>, ud: *mut c_void);
    pub fn lua_getallocf(state: *mut lua_State, ud: *mut *mut c_void) -> lua_Alloc;
    pub fn lua_setallocf(state: *mut lua_State, alloc: lua_Alloc, ud: *mut c_void);
    pub fn lua_sethook(state: *mut lua_State, hook: Option<lua_Hook>, mask: c_int, count: c_int);

    pub fn lua_gettop(state: *mut lua_State) -> c_int;
    pub fn lua_checkstack(state: *mut lua_State, n: c_int) -> c_int;
    pub fn lua_pushvalue(state: *mut lua_State, index: c_int);
    pub fn lua_rotate(state: *mut lua_State, index: c_int, n: c_int);

    pub fn lua_type(state: *mut lua_State, index: c_int) -> c_int;
    pub fn lua_typename(state: *mut lua_State, kind: c_int) -> *const c_char;
    pub fn lua_toboolean(state: *mut lua_State, index: c_int) -> c_int;
    pub fn lua_touserdata(state: *mut lua_State, index: c_int) -> *mut c_void;

    pub fn lua_pushthread(state: *mut lua_State) -> c_int;
    pub fn lua_pushnil(state: *mut lua_State);
    pub fn lua_pushboolean(state: *mut lua_State, value: c_int);
    pub fn lua_pushinteger(state: *mut lua_State, value: lua_Integer);
    pub fn lua_pushnumber(state: *mut lua_State, value: lua_Number);
    pub fn lua_pushlightuserdata(state: *mut lua_State, value: *mut c_void);
    pub fn lua_rawgeti(state: *mut lua_State, index: c_int, n: lua_Integer) -> c_int;
}

unsafe extern "C-unwind" {
    pub fn lua_close(state: *mut lua_State);
    pub fn lua_settop(state: *mut lua_State, index: c_int);
    pub fn lua_tointegerx(state: *mut lua_State, index: c_int, is_num: *mut c_int) -> lua_Integer;
    pub fn lua_tolstring(state: *mut lua_State, index: c_int, len: *mut usize) -> *const c_char;

    pub fn lua_pushcclosure(state: *mut lua_State, function: lua_CFunction, upvalues: c_int);
    pub fn lua_pushlstring(state: *mut lua_State, text: *const c_char, len: usize) -> *const c_char;
    pub fn lua_pushstring(state: *mut lua_State, text: *const c_char) -> *const c_char;
    pub fn lua_pushfstring(state: *mut lua_State, format: *const c_char, ...) -> *const c_char;
    pub fn lua_concat(state: *mut lua_State, n: c_int);

    pub fn lua_createtable(state: *mut lua_State, array: c_int, hash: c_int);
    pub fn lua_getglobal(state: *mut lua_State, name: *const c_char) -> c_int;
    pub fn lua_setglobal(state: *mut lua_State, name: *const c_char);
    pub fn lua_setfield(state: *mut lua_State, index: c_int, key: *const c_char);
    pub fn lua_rawseti(state: *mut lua_State, index: c_int, n: lua_Integer);

    pub fn lua_callk(
        state: *mut lua_State,
        arguments: c_int,
        results: c_int,
        ctx: lua_KContext,
        k: Option<lua_KFunction>,
    );
    pub fn lua_pcallk(
        state: *mut lua_State,
        arguments: c_int,
        results: c_int,
        message_handler: c_int,
        ctx: lua_KContext,
        k: Option<lua_KFunction>,
    ) -> c_int;
    pub fn lua_gc(state: *mut lua_State, what: c_int, ...) -> c_int;
    pub fn lua_warning(state: *mut lua_State, message: *const c_char, to_continue: c_int);

    pub fn luaL_openlibs(state: *mut lua_State);
    pub fn luaL_checkversion_(state: *mut lua_State, version: lua_Number, sizes: usize);
    pub fn luaL_loadfilex(state: *mut lua_State, name: *const c_char, mode: *const c_char) -> c_int;
    pub fn luaL_loadbufferx(
        state: *mut lua_State,
        buffer: *const c_char,
        size: usize,
        name: *const c_char,
        mode: *const c_char,
    ) -> c_int;
    pub fn luaL_callmeta(state: *mut lua_State, object: c_int, event: *const c_char) -> c_int;
    pub fn luaL_tolstring(state: *mut lua_State, index: c_int, len: *mut usize) -> *const c_char;
    pub fn luaL_traceback(state: *mut lua_State, of: *mut lua_State, message: *const c_char, level: c_int);
    pub fn luaL_checkstack(state: *mut lua_State, n: c_int, message: *const c_char);
    pub fn luaL_len(state: *mut lua_State, index: c_int) -> lua_Integer;
    pub fn luaL_checklstring(state: *mut lua_State, argument: c_int, len: *mut usize) -> *const c_char;
    pub fn luaL_checkinteger(state: *mut lua_State, argument: c_int) -> lua_Integer;
    pub fn luaL_argerror(state: *mut lua_State, argument: c_int, message: *const c_char) -> c_int;
    pub fn luaL_error(state: *mut lua_State, format: *const c_char, ...) -> c_int;
    pub fn luaL_requiref(state: *mut lua_State, name: *const c_char, open: lua_CFunction, global: c_int);
}

/// The pseudo-index of an upvalue of the running C function.
pub const fn lua_upvalueindex(n: c_int) -> c_int {
    LUA_REGISTRYINDEX - n
}

// The macros of lua.h and lauxlib.h. Each passes its caller's promises on to the function it stands for.

/// # Safety
/// As `lua_settop`.
pub unsafe fn lua_pop(state: *mut lua_State, n: c_int) {
    // SAFETY: the caller's promise.
    unsafe { lua_settop(state, -n - 1) }
}

/// # Safety
/// As `lua_rotate`.
pub unsafe fn lua_insert(state: *mut lua_State, index: c_int) {
    // SAFETY: the caller's promise.
    unsafe { lua_rotate(state, index, 1) }
}

/// # Safety
/// As `lua_rotate` and `lua_settop`.
pub unsafe fn lua_remove(state: *mut lua_State, index: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        lua_rotate(state, index, -1);
        lua_pop(state, 1);
    }
}

/// # Safety
/// As `lua_tolstring`.
pub unsafe fn lua_tostring(state: *mut lua_State, index: c_int) -> *const c_char {
    // SAFETY: the caller's promise; the length may be left out.
    unsafe { lua_tolstring(state, index, std::ptr::null_mut()) }
}

/// # Safety
/// As `lua_pushcclosure`.
pub unsafe fn lua_pushcfunction(state: *mut lua_State, function: lua_CFunction) {
    // SAFETY: the caller's promise.
    unsafe { lua_pushcclosure(state, function, 0) }
}

/// # Safety
/// As `lua_callk`.
pub unsafe fn lua_call(state: *mut lua_State, arguments: c_int, results: c_int) {
    // SAFETY: the caller's promise; no continuation.
    unsafe { lua_callk(state, arguments, results, 0, None) }
}

/// # Safety
/// As `lua_pcallk`.
pub unsafe fn lua_pcall(state: *mut lua_State, arguments: c_int, results: c_int, message_handler: c_int) -> c_int {
    // SAFETY: the caller's promise; no continuation.
    unsafe { lua_pcallk(state, arguments, results, message_handler, 0, None) }
}

/// # Safety
/// As `luaL_checkversion_`.
pub unsafe fn luaL_checkversion(state: *mut lua_State) {
    // SAFETY: the caller's promise.
    unsafe { luaL_checkversion_(state, LUA_VERSION_NUM, LUAL_NUMSIZES) }
}

/// # Safety
/// As `lua_type` and `lua_typename`.
pub unsafe fn luaL_typename(state: *mut lua_State, index: c_int) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { lua_typename(state, lua_type(state, index)) }
}
