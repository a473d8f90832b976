//! Bytes as a Lua program that runs in a pool with a limit. Whatever it does, closing the state gives everything back.

use std::ffi::c_int;

use lua_pool_allocator::lua_ffi::{
    LUA_MASKCOUNT, LUA_OK, lua_Debug, lua_State, lua_close, lua_newstate, lua_pcall, lua_pushcfunction, lua_sethook,
    luaL_error, luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::{Pool, PoolBuilder};

use super::generator::{Bytes, program};

/// Bytes that a program may have.
const LIMIT: usize = 4 << 20;
/// Instructions before the hook ends it; from then on it meets every one of them.
const INSTRUCTIONS: c_int = 100_000;
/// Events of the pool's slow path between two checks, for every 64 KiB in use.
const CHECK_INTERVAL: u32 = 32;

/// What reaches outside is taken away, and what runs for long without passing the hook. Binary chunks are not for
/// bytes that anybody made up.
const SETTING: &str = "\
local load, rep, setmetatable, rawset, pcall = load, string.rep, setmetatable, rawset, pcall
dofile, loadfile, require, package, io, os, debug = nil
function _G.load(chunk, name, mode, ...) return load(chunk, name, 't', ...) end
function string.rep(s, n, ...) if math.type(n) == 'integer' and n > 100000 then error('too often') end return rep(s, n, ...) end
for _, name in ipairs{'find', 'match', 'gmatch', 'gsub'} do
  local f = string[name]
  string[name] = function(s, ...) if #s > 2000 or #tostring(...) > 20 then error('too long') end return f(s, ...) end
end
function print(...) for i = 1, select('#', ...) do tostring((select(i, ...))) end end
";

/// Runs `data`: as the text of a program, or, from a first byte that no text begins with, as the choices of the
/// generator.
pub fn run(data: &[u8]) {
    run_on(Pool::builder(), data);
}

/// The same in a hardened pool.
pub fn run_hardened(data: &[u8]) {
    run_on(Pool::builder().hardened(true), data);
}

fn run_on(builder: PoolBuilder, data: &[u8]) {
    match data.split_first() {
        Some((first, choices)) if *first >= 0x80 => run_text(builder, program(&mut Bytes(choices), 12).as_bytes()),
        _ => run_text(builder, data),
    }
}

fn run_text(builder: PoolBuilder, text: &[u8]) {
    let pool = builder.limit_bytes(LIMIT).check_interval(CHECK_INTERVAL).build().expect("a pool");
    // SAFETY: the pool outlives the state. What may raise an error runs inside of `lua_pcall`, or raises none.
    unsafe {
        let state = lua_newstate(pool.alloc_function(), pool.as_ud());
        assert!(!state.is_null(), "the limit is large enough for a state");
        lua_pushcfunction(state, open_libraries);
        assert_eq!(lua_pcall(state, 0, 0, 0), LUA_OK);
        let load =
            |text: &[u8]| luaL_loadbufferx(state, text.as_ptr().cast(), text.len(), c"=fuzz".as_ptr(), c"t".as_ptr());
        assert_eq!(load(SETTING.as_bytes()), LUA_OK);
        assert_eq!(lua_pcall(state, 0, 0, 0), LUA_OK);
        if load(text) == LUA_OK {
            lua_sethook(state, Some(out_of_time), LUA_MASKCOUNT, INSTRUCTIONS);
            lua_pcall(state, 0, 0, 0);
        }
        // Finalizers of the program run here.
        lua_close(state);
    }
    if let Err(violation) = pool.verify() {
        panic!("{violation}");
    }
    let stats = pool.stats();
    assert_eq!(stats.live_bytes, 0, "bytes left after closing the state");
    assert!(stats.peak_bytes <= LIMIT as u64, "{} bytes in use, the limit is {LIMIT}", stats.peak_bytes);
}

unsafe extern "C-unwind" fn open_libraries(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { luaL_openlibs(state) };
    0
}

unsafe extern "C-unwind" fn out_of_time(state: *mut lua_State, _activation: *mut lua_Debug) {
    // SAFETY: called by Lua as a hook, which may raise errors; nothing here needs dropping.
    unsafe {
        lua_sethook(state, Some(out_of_time), LUA_MASKCOUNT, 1);
        luaL_error(state, c"out of time".as_ptr());
    }
}
