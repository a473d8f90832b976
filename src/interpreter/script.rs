//! The protected part of a run: everything between a fresh state and its end.

use std::ffi::{CStr, CString, c_char, c_int};

use super::call::call;
use super::options::Action;
use super::report::{Reporter, print_lua_version};
use super::{Front, NO_STRING, repl};
use crate::alloc_module::luaopen_alloc;
use crate::lua_ffi::*;
use crate::os::c_runtime::environment;

/// Does all that the command line asks for. Whether it went well; messages are written.
///
/// # Safety
/// `state` is live, fresh and of this thread; nobody else uses `front` until this returns.
pub(super) unsafe fn run_protected(state: *mut lua_State, front: *mut Front) -> bool {
    // SAFETY: the caller's promise; a fresh state has room for two.
    unsafe {
        lua_pushcfunction(state, protected_main);
        // As many arguments as lua.c's has: a script can count the stack slots that are left.
        lua_pushinteger(state, 0);
        lua_pushlightuserdata(state, front.cast());
        let status = lua_pcall(state, 2, 1, 0);
        let finished = lua_toboolean(state, -1) != 0;
        (*front).reporter.report(state, status) && finished
    }
}

/// Returns `true` to Lua if all went well, and nothing where a message was already written.
unsafe extern "C-unwind" fn protected_main(state: *mut lua_State) -> c_int {
    // SAFETY: called by `run_protected`, with its `front` as the second argument. What follows runs on the state Lua passed,
    // as lua.c does it call by call, and no frame in here owns anything.
    unsafe {
        let front = &mut *lua_touserdata(state, 2).cast::<Front>();
        luaL_checkversion(state);
        if front.options.version {
            print_lua_version();
        }
        if front.options.ignore_environment {
            lua_pushboolean(state, 1); // what the libraries look for before they ask for LUA_PATH and the like
            lua_setfield(state, LUA_REGISTRYINDEX, c"LUA_NOENV".as_ptr());
        }
        luaL_openlibs(state);
        luaL_requiref(state, c"alloc".as_ptr(), luaopen_alloc, 1);
        lua_pop(state, 1);
        create_arg_table(state, front.arguments, front.options.script);
        lua_gc(state, LUA_GCGEN, 0, 0);
        if !(run_init(state, front) && run_actions(state, front)) {
            return 0;
        }
        let has_script = front.options.script < front.arguments.len();
        if has_script && !run_script(state, front) {
            return 0;
        }
        if front.options.interactive {
            repl::run(state, front);
        } else if !has_script && !front.options.executes && !front.options.version {
            if repl::is_terminal() {
                print_lua_version();
                repl::run(state, front);
            } else {
                // A failing standard input does not change the exit code; lua.c ignores it too.
                run_file(state, &front.reporter, NO_STRING);
            }
        }
        lua_pushboolean(state, 1);
        1
    }
}

/// Sets the global `arg`: the script at index 0, what is after it from 1 on, what is before it below 0. Without a
/// script the program's own name is at 0.
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn create_arg_table(state: *mut lua_State, arguments: &[&CStr], script: usize) {
    let script = if script == arguments.len() { 0 } else { script };
    // A program cannot be given as many arguments as a C int counts; should it be, the sizes are but a hint.
    let hint = |count: usize| c_int::try_from(count).unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe {
        lua_createtable(state, hint(arguments.len().saturating_sub(script + 1)), hint(script + 1));
        for (index, argument) in (-(script as lua_Integer)..).zip(arguments) {
            lua_pushstring(state, argument.as_ptr());
            lua_rawseti(state, -2, index);
        }
        lua_setglobal(state, c"arg".as_ptr());
    }
}

/// The chunk name and the value of LUA_INIT_5_4 or, where that is not set, of LUA_INIT.
pub(super) fn init_from_environment() -> Option<(&'static CStr, CString)> {
    let value = |variable: &CStr, chunk| environment(variable).map(|value| (chunk, value));
    value(c"LUA_INIT_5_4", c"=LUA_INIT_5_4").or_else(|| value(c"LUA_INIT", c"=LUA_INIT"))
}

/// # Safety
/// `state` is live; this may raise.
unsafe fn run_init(state: *mut lua_State, front: &Front) -> bool {
    let Some((name, init)) = &front.init else { return true };
    // SAFETY: the caller's promise.
    unsafe {
        if init.to_bytes().starts_with(b"@") {
            run_file(state, &front.reporter, init.as_ptr().add(1))
        } else {
            run_string(state, &front.reporter, init, name)
        }
    }
}

/// Does what -e, -l and -W ask for, up to the first that fails.
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn run_actions(state: *mut lua_State, front: &Front) -> bool {
    front.options.actions.iter().all(|action| {
        // SAFETY: the caller's promise.
        unsafe {
            match action {
                Action::Execute(code) => run_string(state, &front.reporter, code, c"=(command line)"),
                Action::Require { global, module } => require(state, &front.reporter, global, module),
                Action::WarningsOn => {
                    lua_warning(state, c"@on".as_ptr(), 0);
                    true
                }
            }
        }
    })
}

/// `global = require(module)`
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn require(state: *mut lua_State, reporter: &Reporter, global: &CStr, module: &CStr) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        lua_getglobal(state, c"require".as_ptr());
        lua_pushstring(state, module.as_ptr());
        let status = call(state, 1, 1);
        if status == LUA_OK {
            lua_setglobal(state, global.as_ptr());
        }
        reporter.report(state, status)
    }
}

/// Runs a file; `name` is `NULL` for standard input.
///
/// # Safety
/// `state` is live, `name` is `NULL` or a C string; this may raise.
unsafe fn run_file(state: *mut lua_State, reporter: &Reporter, name: *const c_char) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let status = luaL_loadfilex(state, name, NO_STRING);
        run_chunk(state, reporter, status)
    }
}

/// # Safety
/// `state` is live; this may raise.
unsafe fn run_string(state: *mut lua_State, reporter: &Reporter, code: &CStr, name: &CStr) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let status = luaL_loadbufferx(state, code.as_ptr(), code.count_bytes(), name.as_ptr(), NO_STRING);
        run_chunk(state, reporter, status)
    }
}

/// Calls what was loaded with `status`, and reports what went wrong in either.
///
/// # Safety
/// `state` is live, with the chunk or the message on top; this may raise.
unsafe fn run_chunk(state: *mut lua_State, reporter: &Reporter, mut status: c_int) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if status == LUA_OK {
            status = call(state, 0, 0);
        }
        reporter.report(state, status)
    }
}

/// Runs the script of the command line with its arguments.
///
/// # Safety
/// `state` is live, and there is a script; this may raise.
unsafe fn run_script(state: *mut lua_State, front: &Front) -> bool {
    let script = front.arguments[front.options.script];
    // Behind `--` a dash is a file's name.
    let is_input = script == c"-" && front.arguments[front.options.script - 1] != c"--";
    // SAFETY: the caller's promise.
    unsafe {
        let mut status = luaL_loadfilex(state, if is_input { NO_STRING } else { script.as_ptr() }, NO_STRING);
        if status == LUA_OK {
            let count = push_arguments(state);
            status = call(state, count, LUA_MULTRET);
        }
        front.reporter.report(state, status)
    }
}

/// Pushes what the global `arg` holds from 1 on (a script's `...`), and gives how many. What ran before may have
/// changed the table.
///
/// # Safety
/// `state` is live; this may raise.
unsafe fn push_arguments(state: *mut lua_State) -> c_int {
    // SAFETY: the caller's promise; luaL_checkstack makes the room.
    unsafe {
        if lua_getglobal(state, c"arg".as_ptr()) != LUA_TTABLE {
            luaL_error(state, c"'arg' is not a table".as_ptr());
        }
        let table = lua_gettop(state);
        // As C does it: a length beyond an int is cut down to one.
        let count = luaL_len(state, -1) as c_int;
        luaL_checkstack(state, count.wrapping_add(3), c"too many arguments to script".as_ptr());
        for index in 1..=count {
            lua_rawgeti(state, table, lua_Integer::from(index));
        }
        lua_remove(state, table);
        count
    }
}
