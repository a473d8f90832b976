//! The interactive loop: read a line, or as many as make a statement; run it; print what it gives.

use std::ffi::{CStr, c_char, c_int};
use std::io::IsTerminal;

use super::call::call;
use super::report::text_or_null;
use super::terminal::{Read, Terminal};
use super::{Front, NO_STRING};
use crate::lua_ffi::*;
use crate::os::c_runtime::{flush_output, read_byte, write_output};

/// Whether somebody sits at standard input.
pub(super) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Where lines come from. It owns them, so that the frames which hand them to Lua need not.
#[derive(Default)]
pub(super) struct Input {
    terminal: Option<Terminal>,
    /// Lines are written out after they are read, so that output reads like a session on a terminal, which does that
    /// itself. lua does so, by way of readline, and the official main.lua expects it.
    echoes: bool,
    line: Vec<u8>,
}

impl Input {
    /// Reads a line, without its end, into `self.line`. `false` at the end of input.
    fn read(&mut self, prompt: &[u8]) -> bool {
        self.line.clear();
        if let Some(terminal) = &mut self.terminal {
            match terminal.read(prompt) {
                Read::Line(line) => {
                    self.line = line;
                    self.cut_at_nul();
                    return true;
                }
                Read::End => return false,
                Read::Broken => self.terminal = None, // from now on like a pipe
            }
        }
        write_output(prompt);
        flush_output();
        let mut any = false;
        while let Some(byte) = read_byte() {
            any = true;
            if byte == b'\n' {
                break;
            }
            self.line.push(byte);
        }
        if any && self.echoes {
            write_output(&self.line);
            write_output(b"\n");
            flush_output();
        }
        self.cut_at_nul();
        any
    }

    /// Lua takes a line as a C string.
    fn cut_at_nul(&mut self) {
        if let Some(end) = self.line.iter().position(|&byte| byte == 0) {
            self.line.truncate(end);
        }
    }

    /// Keeps what was read for the arrow keys.
    fn remember(&mut self, code: &[u8]) {
        if let Some(terminal) = &mut self.terminal {
            terminal.remember(code);
        }
    }
}

/// Reads and runs until the input ends.
///
/// # Safety
/// `state` is live; this may raise, after an error in making a prompt for one.
pub(super) unsafe fn run(state: *mut lua_State, front: &mut Front) {
    front.reporter.shows_name = false;
    front.input.terminal = Terminal::open();
    front.input.echoes = !is_terminal();
    // SAFETY: the caller's promise.
    unsafe {
        while let Some(mut status) = load(state, &mut front.input) {
            if status == LUA_OK {
                status = call(state, 0, LUA_MULTRET);
            }
            if status == LUA_OK {
                print_results(state, front);
            } else {
                front.reporter.report(state, status);
            }
        }
        lua_settop(state, 0);
    }
    write_output(b"\n");
    flush_output();
    front.reporter.shows_name = true;
}

/// Reads what is to be run next and leaves the chunk, or the message, alone on the stack. `None` at the end of input.
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn load(state: *mut lua_State, input: &mut Input) -> Option<c_int> {
    // SAFETY: the caller's promise.
    unsafe {
        lua_settop(state, 0);
        if !push_line(state, input, true) {
            return None;
        }
        let mut status = load_expression(state, input);
        if status != LUA_OK {
            status = load_statement(state, input);
        }
        lua_remove(state, 1);
        Some(status)
    }
}

/// Shows the prompt, reads a line and pushes it. At the end of input the prompt's value is left instead.
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn push_line(state: *mut lua_State, input: &mut Input, first: bool) -> bool {
    // SAFETY: the caller's promise. The prompt is on the stack while it is used; the line is the input's own.
    unsafe {
        let prompt = push_prompt(state, first);
        if !input.read(text_or_null(prompt)) {
            return false;
        }
        lua_pop(state, 1);
        let push = |line: &[u8]| lua_pushlstring(state, line.as_ptr().cast(), line.len());
        match input.line.as_slice() {
            // Lua 5.1's way to print an expression.
            [b'=', expression @ ..] if first => {
                push(b"return ");
                push(expression);
                lua_concat(state, 2);
            }
            line => {
                push(line);
            }
        }
        true
    }
}

/// # Safety
/// `state` is live; this may raise, in the prompt's `__tostring` for one. The result lives as long as what is pushed.
unsafe fn push_prompt(state: *mut lua_State, first: bool) -> *const c_char {
    let (global, usual) = if first { (c"_PROMPT", c"> ") } else { (c"_PROMPT2", c">> ") };
    // SAFETY: the caller's promise.
    unsafe {
        if lua_getglobal(state, global.as_ptr()) == LUA_TNIL {
            return usual.as_ptr();
        }
        let prompt = luaL_tolstring(state, -1, std::ptr::null_mut());
        lua_remove(state, -2);
        prompt
    }
}

/// Tries the line as an expression. Leaves the line, and above it the chunk if that worked.
///
/// # Safety
/// `state` is live, with a line as the only thing on the stack; this may raise.
unsafe fn load_expression(state: *mut lua_State, input: &mut Input) -> c_int {
    // SAFETY: the caller's promise. Both texts are on the stack while they are used.
    unsafe {
        let line = lua_tostring(state, -1);
        let expression = lua_pushfstring(state, c"return %s;".as_ptr(), line);
        let length = CStr::from_ptr(expression).count_bytes();
        let status = luaL_loadbufferx(state, expression, length, c"=stdin".as_ptr(), NO_STRING);
        if status == LUA_OK {
            lua_remove(state, -2);
            let line = CStr::from_ptr(line).to_bytes();
            if !line.is_empty() {
                input.remember(line);
            }
        } else {
            lua_pop(state, 2);
        }
        status
    }
}

/// Takes the line as a statement, and reads on while it is not a whole one.
///
/// # Safety
/// `state` is live, with a line as the only thing on the stack; this may raise.
unsafe fn load_statement(state: *mut lua_State, input: &mut Input) -> c_int {
    loop {
        // SAFETY: the caller's promise. The text is on the stack while it is used.
        unsafe {
            let mut length = 0;
            let text = lua_tolstring(state, 1, &raw mut length);
            let status = luaL_loadbufferx(state, text, length, c"=stdin".as_ptr(), NO_STRING);
            if !pop_if_incomplete(state, status) || !push_line(state, input, false) {
                input.remember(CStr::from_ptr(text).to_bytes());
                return status;
            }
            lua_pushstring(state, c"\n".as_ptr());
            lua_insert(state, -2);
            lua_concat(state, 3);
        }
    }
}

/// Whether the compiler wanted more; its message is then taken off.
///
/// # Safety
/// `state` is live, with what the compiler gave on top.
unsafe fn pop_if_incomplete(state: *mut lua_State, status: c_int) -> bool {
    if status != LUA_ERRSYNTAX {
        return false;
    }
    // SAFETY: the caller's promise; the message is on the stack while it is used.
    unsafe {
        let incomplete = text_or_null(lua_tostring(state, -1)).ends_with(b"<eof>");
        if incomplete {
            lua_pop(state, 1);
        }
        incomplete
    }
}

/// Calls `print` with all that is on the stack.
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn print_results(state: *mut lua_State, front: &Front) {
    // SAFETY: the caller's promise. The message is on the stack while it is used.
    unsafe {
        let count = lua_gettop(state);
        if count == 0 {
            return;
        }
        luaL_checkstack(state, LUA_MINSTACK, c"too many results to print".as_ptr());
        lua_getglobal(state, c"print".as_ptr());
        lua_insert(state, 1);
        if lua_pcall(state, count, 0, 0) != LUA_OK {
            let format = c"error calling 'print' (%s)";
            let message = lua_pushfstring(state, format.as_ptr(), lua_tostring(state, -1));
            front.reporter.message(text_or_null(message));
        }
    }
}
