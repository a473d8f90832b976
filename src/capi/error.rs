//! Errors of the C interface: a code for the caller, a line for the error callback.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use std::ffi::CString;

/// What a function of the C interface returns: `LUA_POOL_OK` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ErrorCode {
    /// It worked.
    Ok = 0,
    /// Not enough memory.
    Memory = 1,
    /// A null pointer, or a value that cannot be.
    Argument = 2,
    /// Not a pool, or one that was closed.
    Closed = 3,
    /// Another thread uses this pool.
    Thread = 4,
    /// Not a live block of this pool.
    Foreign = 5,
    /// The pool's books do not add up: somebody wrote where he should not.
    Corrupt = 6,
    /// The Lua state is not one that this can be done with.
    State = 7,
    /// There is no profile, or it could not be written.
    Profile = 8,
}

/// `void (*) (void *ud, int code, const char *message)`
#[allow(non_camel_case_types, reason = "the name it has in C")]
pub type lua_pool_error_function = Option<unsafe extern "C" fn(ud: *mut c_void, code: c_int, message: *const c_char)>;

/// Tells the host of an error: through its callback, or else by a line on standard error. Returns the code.
pub(crate) fn report(callback: lua_pool_error_function, ud: *mut c_void, code: ErrorCode, message: &str) -> c_int {
    match callback {
        Some(callback) => {
            let text = CString::new(message).unwrap_or_default();
            // SAFETY: the host promised a callable function when it configured the pool.
            unsafe { callback(ud, code as c_int, text.as_ptr()) };
        }
        None => eprintln!("lua_pool: {message}"),
    }
    code as c_int
}

/// Whom to tell of errors.
#[derive(Clone, Copy)]
pub(super) struct Listener {
    callback: lua_pool_error_function,
    ud: *mut c_void,
}

impl Listener {
    /// On standard error.
    pub(super) const NOBODY: Listener = Listener { callback: None, ud: ptr::null_mut() };

    pub(super) fn new(callback: lua_pool_error_function, ud: *mut c_void) -> Listener {
        Listener { callback, ud }
    }

    /// Tells of an error; returns the code.
    pub(super) fn report(self, code: ErrorCode, message: &str) -> c_int {
        report(self.callback, self.ud, code, message)
    }
}

/// A short text for an error code; never null.
#[unsafe(no_mangle)]
pub extern "C" fn lua_pool_error_text(code: c_int) -> *const c_char {
    let text = match code {
        0 => c"no error",
        1 => c"not enough memory",
        2 => c"bad argument",
        3 => c"not a pool, or a closed one",
        4 => c"pool in use by another thread",
        5 => c"not a live block of this pool",
        6 => c"corrupt pool",
        7 => c"unsuitable Lua state",
        8 => c"no profile",
        _ => c"unknown error code",
    };
    text.as_ptr()
}
