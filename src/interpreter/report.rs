//! Messages on standard error, in lua's words.

use std::ffi::{CStr, c_char};

use crate::lua_ffi::{LUA_COPYRIGHT, LUA_OK, lua_State, lua_pop, lua_tostring};
use crate::os::c_runtime::{flush_output, write_error, write_output};

/// Writes messages, with the name of the program before them.
pub(super) struct Reporter<'a> {
    name: &'a CStr,
    /// Off in the interactive loop, and where nobody told the name.
    pub(super) shows_name: bool,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(name: &'a CStr) -> Self {
        Reporter { name, shows_name: true }
    }

    /// For the one message lua.c gives before it has settled on a name.
    pub(super) fn without_default(name: Option<&'a CStr>) -> Self {
        Reporter { name: name.unwrap_or(c""), shows_name: name.is_some() }
    }

    /// A line on standard error.
    pub(super) fn message(&self, text: &[u8]) {
        if self.shows_name {
            write_error(self.name.to_bytes());
            write_error(b": ");
        }
        write_error(text);
        write_error(b"\n");
    }

    /// The same for text of our own.
    pub(super) fn message_text(&self, text: &str) {
        self.message(text.as_bytes());
    }

    /// If `status` tells of an error, takes its message off the stack and writes it.
    ///
    /// # Safety
    /// `state` is live; with an error its message is on top of the stack.
    pub(super) unsafe fn report(&self, state: *mut lua_State, status: i32) -> bool {
        if status == LUA_OK {
            return true;
        }
        // SAFETY: the caller's promise; the message is used before it is taken off.
        unsafe {
            self.message(text_or_null(lua_tostring(state, -1)));
            lua_pop(state, 1);
        }
        false
    }

    /// What is wrong with `option`, and which options there are.
    pub(super) fn usage(&self, option: &CStr) {
        let lacks_value = matches!(option.to_bytes().get(1), Some(b'e' | b'l'));
        let (before, after): (&[u8], &[u8]) =
            if lacks_value { (b"'", b"' needs argument") } else { (b"unrecognized option '", b"'") };
        self.message(&[before, option.to_bytes(), after].concat());
        write_error(&[b"usage: ", self.name.to_bytes(), USAGE].concat());
    }
}

/// Lua's own text, the same for both programs: what is read by a script must not depend on the allocator.
const USAGE: &[u8] = b" [options] [script [args]]
Available options are:
  -e stat   execute string 'stat'
  -i        enter interactive mode after executing 'script'
  -l mod    require library 'mod' into global 'mod'
  -l g=mod  require library 'mod' into global 'g'
  -v        show version information
  -E        ignore environment variables
  -W        turn warnings on
  --        stop handling options
  -         stop handling options and execute stdin
";

/// A C string's bytes; for `NULL` what C's `printf` writes.
///
/// # Safety
/// `text` is `NULL` or a C string that is not collected for as long as the result is used.
pub(super) unsafe fn text_or_null<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return b"(null)";
    }
    // SAFETY: not NULL, so a C string by the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// Lua's line for `-v` and the interactive loop.
pub(super) fn print_lua_version() {
    write_output(LUA_COPYRIGHT.to_bytes());
    write_output(b"\n");
    flush_output();
}
