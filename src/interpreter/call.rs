//! Protected calls: with a traceback for errors, and with Ctrl-C stopping what runs.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::lua_ffi::*;
use crate::os::c_runtime::{SIGINT, SignalAction, set_signal};

/// The state that Ctrl-C stops. Only set while a call runs or after one; there is one state in the program.
static RUNNING: AtomicPtr<lua_State> = AtomicPtr::new(ptr::null_mut());

/// Calls the function below its `arguments` on the stack, and gives Lua's status.
///
/// # Safety
/// `state` is live, with the function and its arguments on top of the stack. It does not raise.
pub(super) unsafe fn call(state: *mut lua_State, arguments: c_int, results: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let function = lua_gettop(state) - arguments;
        lua_pushcfunction(state, message_handler);
        lua_insert(state, function);
        RUNNING.store(state, Ordering::Relaxed);
        set_signal(SIGINT, SignalAction::Call(on_interrupt));
        let status = lua_pcall(state, arguments, results, function);
        set_signal(SIGINT, SignalAction::Default);
        lua_remove(state, function);
        status
    }
}

/// Makes a message of the error object, with a traceback where the object is not one that speaks for itself.
unsafe extern "C-unwind" fn message_handler(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with the error object as its only argument.
    unsafe {
        let mut message = lua_tostring(state, 1);
        if message.is_null() {
            if luaL_callmeta(state, 1, c"__tostring".as_ptr()) != 0 && lua_type(state, -1) == LUA_TSTRING {
                return 1;
            }
            let format = c"(error object is a %s value)";
            message = lua_pushfstring(state, format.as_ptr(), luaL_typename(state, 1));
        }
        luaL_traceback(state, state, message, 1);
        1
    }
}

/// Inside a signal handler a state cannot be changed, but a hook can be set, which stops the script soon after. Until
/// then, and so for a script stuck in a C function, the next signal ends the program.
extern "C" fn on_interrupt(signal: c_int) {
    set_signal(signal, SignalAction::Default);
    let mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
    // SAFETY: the handler is only in place while `call` runs, with the state it stored. lua_sethook is made to be
    // called from signal handlers.
    unsafe { lua_sethook(RUNNING.load(Ordering::Relaxed), Some(stop), mask, 1) };
}

unsafe extern "C-unwind" fn stop(state: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: Lua calls this as a hook.
    unsafe {
        lua_sethook(state, None, 0, 0);
        luaL_error(state, c"interrupted!".as_ptr());
    }
}
