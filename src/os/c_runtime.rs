//! The C runtime of the program: its standard streams, signals and environment.
//!
//! Lua reads and writes through C's `stdin`, `stdout` and `stderr`. What the front end prints and reads goes the same
//! way; through Rust's own streams it would overtake, or be overtaken by, what a script does.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// C's `FILE`; only ever seen through a pointer.
#[repr(C)]
struct File {
    _opaque: [u8; 0],
}

/// What `fgetc` gives when there is nothing to read.
const EOF: c_int = -1;

/// The signal of Ctrl-C; 2 on every system.
pub const SIGINT: c_int = 2;

/// What to do when a signal arrives.
#[derive(Clone, Copy)]
pub enum SignalAction {
    /// What the system does when nobody asked for anything.
    Default,
    /// Call this. It may only do what is safe inside a signal handler.
    Call(extern "C" fn(signal: c_int)),
}

unsafe extern "C" {
    fn fwrite(data: *const c_void, size: usize, count: usize, stream: *mut File) -> usize;
    fn fflush(stream: *mut File) -> c_int;
    fn fgetc(stream: *mut File) -> c_int;
    fn getenv(name: *const c_char) -> *mut c_char;
    fn raise(signal: c_int) -> c_int;
    fn atexit(function: extern "C" fn()) -> c_int;
}

/// Where each C library keeps its standard streams.
#[cfg(unix)]
mod streams {
    use super::File;

    unsafe extern "C" {
        #[cfg_attr(any(target_vendor = "apple", target_os = "freebsd"), link_name = "__stdinp")]
        static stdin: *mut File;
        #[cfg_attr(any(target_vendor = "apple", target_os = "freebsd"), link_name = "__stdoutp")]
        static stdout: *mut File;
        #[cfg_attr(any(target_vendor = "apple", target_os = "freebsd"), link_name = "__stderrp")]
        static stderr: *mut File;
    }

    pub(super) fn input() -> *mut File {
        // SAFETY: set before `main` and never written again.
        unsafe { stdin }
    }

    pub(super) fn output() -> *mut File {
        // SAFETY: as `input`.
        unsafe { stdout }
    }

    pub(super) fn error() -> *mut File {
        // SAFETY: as `input`.
        unsafe { stderr }
    }
}

#[cfg(windows)]
mod streams {
    use super::File;
    use std::ffi::c_uint;

    unsafe extern "C" {
        fn __acrt_iob_func(index: c_uint) -> *mut File;
    }

    pub(super) fn input() -> *mut File {
        // SAFETY: 0, 1 and 2 are the standard streams.
        unsafe { __acrt_iob_func(0) }
    }

    pub(super) fn output() -> *mut File {
        // SAFETY: as `input`.
        unsafe { __acrt_iob_func(1) }
    }

    pub(super) fn error() -> *mut File {
        // SAFETY: as `input`.
        unsafe { __acrt_iob_func(2) }
    }
}

/// Writes to C's standard output. Like lua.c, nobody looks whether that worked.
pub fn write_output(bytes: &[u8]) {
    // SAFETY: the pointer and the length are one slice's; the stream is open for the life of the program.
    unsafe { fwrite(bytes.as_ptr().cast(), 1, bytes.len(), streams::output()) };
}

/// Sends what standard output has gathered on its way.
pub fn flush_output() {
    // SAFETY: the stream is open for the life of the program.
    unsafe { fflush(streams::output()) };
}

/// Writes to C's standard error, at once.
pub fn write_error(bytes: &[u8]) {
    // SAFETY: the pointer and the length are one slice's; the stream is open for the life of the program.
    unsafe {
        fwrite(bytes.as_ptr().cast(), 1, bytes.len(), streams::error());
        fflush(streams::error());
    }
}

/// The next byte of C's standard input; `None` at its end.
pub fn read_byte() -> Option<u8> {
    // SAFETY: the stream is open for the life of the program.
    let byte = unsafe { fgetc(streams::input()) };
    if byte == EOF { None } else { u8::try_from(byte).ok() }
}

/// A copy of an environment variable, as the bytes it has.
pub fn environment(name: &CStr) -> Option<CString> {
    // SAFETY: `name` is a C string. What comes back is one too and is copied before anybody can change it: this
    // program has a single thread and does not change its environment.
    unsafe {
        let value = getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
    }
}

/// Sets what happens when `signal` arrives.
pub fn set_signal(signal: c_int, action: SignalAction) {
    #[cfg(unix)]
    {
        // SAFETY: a zeroed `sigaction` masks no signal and has no flags; the handler is a function of the right type.
        unsafe {
            let mut how: libc::sigaction = std::mem::zeroed();
            how.sa_sigaction = match action {
                SignalAction::Default => libc::SIG_DFL,
                SignalAction::Call(handler) => handler as *const () as libc::sighandler_t,
            };
            libc::sigemptyset(&raw mut how.sa_mask);
            libc::sigaction(signal, &raw const how, std::ptr::null_mut());
        }
    }
    #[cfg(not(unix))]
    {
        unsafe extern "C" {
            #[link_name = "signal"]
            fn c_signal(signal: c_int, handler: usize) -> usize;
        }
        let handler = match action {
            SignalAction::Default => 0, // SIG_DFL
            SignalAction::Call(handler) => handler as *const () as usize,
        };
        // SAFETY: 0 is SIG_DFL, anything else is a function of the right type.
        unsafe { c_signal(signal, handler) };
    }
}

/// Sends `signal` to this program itself. Comes back when the signal is ignored.
pub fn raise_signal(signal: c_int) {
    // SAFETY: any number is fine; one that is no signal is refused.
    unsafe { raise(signal) };
}

/// Has `function` called when the program ends by returning from `main` or by `os.exit`, closed state or not.
pub fn at_exit(function: extern "C" fn()) {
    // SAFETY: a function of the right type. A full table (32 at least) leaves it out, which nobody can help.
    unsafe { atexit(function) };
}
