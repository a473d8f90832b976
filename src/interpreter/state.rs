//! What lauxlib.c gives a state it creates: the panic function and the warnings. Done here for both programs, since a
//! state with an allocator of its own is not created by `luaL_newstate`.

use std::ffi::{CStr, c_char, c_int, c_void};

use super::report::text_or_null;
use crate::lua_ffi::{lua_State, lua_WarnFunction, lua_atpanic, lua_setwarnf, lua_tostring};
use crate::os::c_runtime::write_error;

/// Gives a fresh state its panic and warning functions; warnings are off.
///
/// # Safety
/// `state` is a live state of this thread.
pub(super) unsafe fn set_up(state: *mut lua_State) {
    // SAFETY: the caller's promise.
    unsafe {
        lua_atpanic(state, Some(panic));
        set_warnings(state, warnings_off);
    }
}

/// Called for an error outside of any protected call. Lua aborts the program when this returns.
unsafe extern "C-unwind" fn panic(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the error object on top.
    let text = unsafe { lua_tostring(state, -1) };
    let text = if text.is_null() {
        &b"error object is not a string"[..]
    } else {
        // SAFETY: not NULL, so a string that stays on the stack.
        unsafe { text_or_null(text) }
    };
    write_error(b"PANIC: unprotected error in call to Lua API (");
    write_error(text);
    write_error(b")\n");
    0
}

/// Warnings are a machine of three states, each a function: off, ready for a new message, inside a message.
///
/// # Safety
/// `state` is a live state of this thread.
unsafe fn set_warnings(state: *mut lua_State, function: lua_WarnFunction) {
    // SAFETY: the caller's promise; the functions get the state back as their `ud`.
    unsafe { lua_setwarnf(state, Some(function), state.cast()) }
}

/// Obeys "@on" and "@off", and swallows any other message that starts with '@'. Whether it was one.
///
/// # Safety
/// As a warning function is called.
unsafe fn is_control(state: *mut lua_State, message: *const c_char, to_continue: c_int) -> bool {
    // SAFETY: Lua passes a C string.
    let message = unsafe { CStr::from_ptr(message) }.to_bytes();
    let (0, [b'@', control @ ..]) = (to_continue, message) else {
        return false;
    };
    match control {
        // SAFETY: the caller's promise.
        b"off" => unsafe { set_warnings(state, warnings_off) },
        // SAFETY: the caller's promise.
        b"on" => unsafe { set_warnings(state, warnings_on) },
        _ => {}
    }
    true
}

unsafe extern "C-unwind" fn warnings_off(ud: *mut c_void, message: *const c_char, to_continue: c_int) {
    // SAFETY: called by Lua with what `set_warnings` gave it.
    unsafe { is_control(ud.cast(), message, to_continue) };
}

unsafe extern "C-unwind" fn warnings_on(ud: *mut c_void, message: *const c_char, to_continue: c_int) {
    // SAFETY: called by Lua with what `set_warnings` gave it.
    unsafe {
        if !is_control(ud.cast(), message, to_continue) {
            write_error(b"Lua warning: ");
            warning_continues(ud, message, to_continue);
        }
    }
}

unsafe extern "C-unwind" fn warning_continues(ud: *mut c_void, message: *const c_char, to_continue: c_int) {
    // SAFETY: called by Lua with what `set_warnings` gave it, a C string among it.
    unsafe {
        write_error(text_or_null(message));
        if to_continue != 0 {
            set_warnings(ud.cast(), warning_continues);
        } else {
            write_error(b"\n");
            set_warnings(ud.cast(), warnings_on);
        }
    }
}
