//! The profile, for C hosts.

use core::ffi::{CStr, c_char, c_int, c_void};

use super::error::ErrorCode;
use super::with_pool;
use crate::profile::{self, DEFAULT_BYTES_PER_SAMPLE};

/// As [`Pool::start_profile`](crate::Pool::start_profile); 0 bytes per sample are the default.
///
/// # Safety
/// `path` is null or a C string; no other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_profile_start(
    pool: *mut c_void,
    path: *const c_char,
    bytes_per_sample: usize,
) -> c_int {
    with_pool("lua_pool_profile_start", pool, |raw, listener| {
        if path.is_null() {
            return listener.report(ErrorCode::Argument, "lua_pool_profile_start: no file to write to (NULL)");
        }
        // SAFETY: the caller's promise.
        let path = profile::path_from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes());
        let bytes = if bytes_per_sample == 0 { DEFAULT_BYTES_PER_SAMPLE } else { bytes_per_sample };
        match profile::start(raw, &path, bytes) {
            Ok(()) => ErrorCode::Ok as c_int,
            Err(message) => listener.report(ErrorCode::Profile, &format!("lua_pool_profile_start: {message}")),
        }
    })
}

/// As [`Pool::stop_profile`](crate::Pool::stop_profile); `was_on`, which may be null, is told whether a profile was on.
///
/// # Safety
/// `was_on` is null or writable; no other thread uses the pool meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lua_pool_profile_stop(pool: *mut c_void, was_on: *mut c_int) -> c_int {
    with_pool("lua_pool_profile_stop", pool, |raw, listener| {
        let stopped = profile::stop(raw);
        if !was_on.is_null() {
            // SAFETY: the caller's promise. A profile that could not be written was on.
            unsafe { was_on.write(c_int::from(*stopped.as_ref().unwrap_or(&true))) };
        }
        match stopped {
            Ok(_) => ErrorCode::Ok as c_int,
            Err(message) => listener.report(ErrorCode::Profile, &format!("lua_pool_profile_stop: {message}")),
        }
    })
}
