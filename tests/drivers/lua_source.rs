//! Bytes as a Lua program that runs in a pool with a limit. Whatever it does, closing the state gives everything back.

use std::cell::Cell;
use std::ffi::c_int;

use lua_pool_allocator::lua_ffi::{
    LUA_GCGEN, LUA_MASKCOUNT, LUA_OK, lua_Debug, lua_State, lua_close, lua_gc, lua_newstate, lua_pcall,
    lua_pushcfunction, lua_sethook, luaL_error, luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::{Pool, PoolGroup, PurgeMode};

use super::generator::{Bytes, Choices as _, Seeded, program};

const LUA_GCCOLLECT: c_int = 2;
const LUA_GCSTEP: c_int = 5;
const LUA_GCINC: c_int = 11;

/// Bytes that a program may have.
const LIMIT: usize = 4 << 20;
/// Instructions before the hook ends it; from then on it meets every one of them.
const INSTRUCTIONS: c_int = 100_000;
/// Events of the pool's slow path between two checks, for every 64 KiB in use.
const CHECK_INTERVAL: u32 = 32;

/// What reaches outside is taken away, and what runs for long without passing the hook. Binary chunks are not for
/// bytes that anybody made up.
const PRELUDE: &str = "\
local load, rep, setmetatable, rawset, pcall = load, string.rep, setmetatable, rawset, pcall
dofile, loadfile, require, package, io, os, debug = nil
function _G.load(chunk, name, mode, ...) return load(chunk, name, 't', ...) end
function string.rep(s, n, ...) if math.type(n) == 'integer' and n > 100000 then error('too often') end return rep(s, n, ...) end
for _, name in ipairs{'find', 'match', 'gmatch', 'gsub'} do
  local f = string[name]
  string[name] = function(s, ...) if #s > 2000 or #tostring(...) > 20 then error('too long') end return f(s, ...) end
end
local insert, remove, move = table.insert, table.remove, table.move
function table.move(t, f, e, ...) if (tonumber(e) or 0) - (tonumber(f) or 0.0) > 5000 then error('too much') end return move(t, f, e, ...) end
function table.insert(t, ...) if #t > 5000 then error('too much') end return insert(t, ...) end
function table.remove(t, ...) if #t > 5000 then error('too much') end return remove(t, ...) end
function print(...) for i = 1, select('#', ...) do tostring((select(i, ...))) end end
";

/// What a program runs on.
#[derive(Clone, Copy, Default)]
struct Setting {
    hardened: bool,
    generational: bool,
    in_group: bool,
    purge_now: bool,
    /// The state's objects are left for the pool to free.
    ends_with_state: bool,
    soft_limit: bool,
    /// The limit from when the program begins.
    limit: Option<usize>,
    /// Garbage is collected, and the collector's mode changed, every so many instructions; 0: never.
    period: u32,
}

impl Setting {
    fn of([flags, period]: [u8; 2]) -> Setting {
        let flag = |bit: u32| flags >> bit & 1 == 1;
        Setting {
            hardened: flag(0),
            generational: flag(1),
            in_group: flag(2),
            purge_now: flag(3),
            ends_with_state: flag(4),
            soft_limit: flag(5),
            limit: [None, Some(1 << 20), Some(256 << 10), Some(0)][usize::from(flags >> 6)],
            period: u32::from(period) * 4,
        }
    }
}

/// Runs `data`: as the text of a program, or, from a first byte that no text begins with, as the choices of the
/// generator. Before either there may be the setting: a byte from 1 to 8, and two more.
pub fn run(data: &[u8]) {
    run_in(Setting::default(), data);
}

/// The same in a hardened pool.
pub fn run_hardened(data: &[u8]) {
    run_in(Setting { hardened: true, ..Setting::default() }, data);
}

fn run_in(setting: Setting, data: &[u8]) {
    match *data {
        [1..=8, flags, period, ref program @ ..] => {
            let hardened = setting.hardened;
            let setting = Setting::of([flags, period]);
            run_program(Setting { hardened: setting.hardened || hardened, ..setting }, program);
        }
        _ => run_program(setting, data),
    }
}

fn run_program(setting: Setting, data: &[u8]) {
    match data.split_first() {
        Some((first, choices)) if *first >= 0x80 => run_text(setting, program(&mut Bytes(choices), 12).as_bytes()),
        _ => run_text(setting, data),
    }
}

fn run_text(setting: Setting, text: &[u8]) {
    let group = PoolGroup::builder().limit_bytes(LIMIT).cache_bytes(1 << 20).build();
    let mut builder = Pool::builder().check_interval(CHECK_INTERVAL).hardened(setting.hardened);
    builder = builder.ends_with_state(setting.ends_with_state);
    builder = if setting.in_group { builder.group(&group) } else { builder.limit_bytes(LIMIT) };
    builder = if setting.purge_now { builder.purge_mode(PurgeMode::Now) } else { builder };
    builder = if setting.soft_limit { builder.soft_limit_bytes(LIMIT / 4) } else { builder };
    let mut pool = builder.build().expect("a pool");
    let mut limit = LIMIT as u64;
    // SAFETY: the pool outlives the state. What may raise an error runs inside of `lua_pcall`, or raises none.
    unsafe {
        let state = lua_newstate(pool.alloc_function(), pool.as_ud());
        assert!(!state.is_null(), "the limit is large enough for a state");
        if setting.generational {
            lua_gc(state, LUA_GCGEN, 0 as c_int, 0 as c_int);
        }
        lua_pushcfunction(state, open_libraries);
        assert_eq!(lua_pcall(state, 0, 0, 0), LUA_OK);
        let load =
            |text: &[u8]| luaL_loadbufferx(state, text.as_ptr().cast(), text.len(), c"=fuzz".as_ptr(), c"t".as_ptr());
        assert_eq!(load(PRELUDE.as_bytes()), LUA_OK);
        assert_eq!(lua_pcall(state, 0, 0, 0), LUA_OK);
        if let Some(bytes) = setting.limit {
            pool.set_limit_bytes(Some(bytes));
            limit = pool.stats().peak_bytes.max(bytes as u64);
        }
        if load(text) == LUA_OK {
            let period = if setting.period == 0 { INSTRUCTIONS as u32 } else { setting.period };
            STRESS.set(Stress { left: INSTRUCTIONS as u32, period, choices: u64::from(period) });
            lua_sethook(state, Some(collect_or_end), LUA_MASKCOUNT, period as c_int);
            lua_pcall(state, 0, 0, 0);
        }
        // Finalizers of the program run here.
        lua_close(state);
    }
    if let Err(violation) = pool.verify() {
        panic!("{violation}");
    }
    let stats = pool.stats();
    // Otherwise the objects are still there; in a hardened pool they are freed in any case.
    if !setting.ends_with_state || setting.hardened {
        assert_eq!(stats.live_bytes, 0, "bytes left after closing the state");
    }
    assert!(stats.peak_bytes <= limit, "{} bytes in use, the limit is {limit}", stats.peak_bytes);
    drop(pool);
    let stats = group.stats();
    assert_eq!((stats.pools, stats.committed_bytes), (0, 0), "the pool left something to its group");
    assert!(stats.peak_bytes <= LIMIT as u64);
}

unsafe extern "C-unwind" fn open_libraries(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua.
    unsafe { luaL_openlibs(state) };
    0
}

/// What the hook does in this thread.
#[derive(Clone, Copy)]
struct Stress {
    /// Instructions until the program ends.
    left: u32,
    period: u32,
    choices: u64,
}

thread_local! {
    static STRESS: Cell<Stress> = const { Cell::new(Stress { left: 0, period: 1, choices: 0 }) };
}

/// Ends a program that has run for long enough, and collects garbage at random until then.
unsafe extern "C-unwind" fn collect_or_end(state: *mut lua_State, _activation: *mut lua_Debug) {
    let mut stress = STRESS.get();
    stress.left = stress.left.saturating_sub(stress.period);
    stress.choices += 1;
    STRESS.set(stress);
    // SAFETY: called by Lua as a hook, which may collect garbage and raise errors; nothing here needs dropping.
    unsafe {
        if stress.left == 0 {
            lua_sethook(state, Some(collect_or_end), LUA_MASKCOUNT, 1);
            luaL_error(state, c"out of time".as_ptr());
        }
        let mut choices = Seeded::new(stress.choices);
        match choices.below(16) {
            0..6 => lua_gc(state, LUA_GCCOLLECT),
            6..12 => lua_gc(state, LUA_GCSTEP, choices.below(40) as c_int),
            12..14 => lua_gc(state, LUA_GCGEN, 0 as c_int, 0 as c_int),
            _ => lua_gc(state, LUA_GCINC, 0 as c_int, 0 as c_int, 0 as c_int),
        };
    }
}
