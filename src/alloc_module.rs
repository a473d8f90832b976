//! The Lua module `alloc`, in both programs, so that a script runs on either. Without a pool, its figures are zeros.

use std::ffi::{CStr, c_int};
use std::{ptr, slice};

use crate::lua_alloc::pool_of;
use crate::lua_ffi::{
    LUA_GCCOUNT, LUA_GCCOUNTB, LUA_TBOOLEAN, LUA_TNIL, LUA_TNONE, lua_CFunction, lua_Integer, lua_State,
    lua_createtable, lua_gc, lua_pushboolean, lua_pushcclosure, lua_pushinteger, lua_pushlstring, lua_pushnil,
    lua_pushstring, lua_rawseti, lua_setfield, lua_toboolean, lua_type, luaL_argerror, luaL_checkinteger,
    luaL_checklstring,
};
use crate::pool::RawPool;
use crate::pool::layout::{CHUNK_SIZE, CLASS_COUNT};
use crate::pool::sample::TYPE_NAMES;
use crate::pool::stats::{ClassStats, PoolStats};
use crate::profile::{self, DEFAULT_BYTES_PER_SAMPLE};

/// The functions of the module.
const FUNCTIONS: [(&CStr, lua_CFunction); 9] = [
    (c"getStat", get_stat),
    (c"limit", limit),
    (c"name", name),
    (c"profile", profile),
    (c"reset", reset),
    (c"softlimit", soft_limit),
    (c"stats", stats),
    (c"trim", trim),
    (c"types", types),
];

/// Opens the module: leaves its table on the stack, as `require` wants it.
///
/// # Safety
/// Called by Lua, in a state whose pool, if it has one, outlives it.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn luaopen_alloc(state: *mut lua_State) -> c_int {
    #[cfg(not(feature = "programs"))]
    if let Some(name) = crate::lua_ffi::missing_function() {
        eprintln!("lua_pool: luaopen_alloc: {name} is not visible in this program; link the static library");
        return 0;
    }
    // SAFETY: a C function has LUA_MINSTACK free slots.
    unsafe {
        lua_createtable(state, 0, FUNCTIONS.len() as c_int);
        for (name, function) in FUNCTIONS {
            lua_pushcclosure(state, function, 0);
            lua_setfield(state, -2, name.as_ptr());
        }
    }
    1
}

/// The pool of the state that calls one of [`FUNCTIONS`].
///
/// # Safety
/// `state` is running one of them.
unsafe fn pool<'a>(state: *mut lua_State) -> Option<&'a mut RawPool> {
    // SAFETY: the pool of a live state is live, and Lua code runs on its thread only.
    unsafe { pool_of(state).as_mut() }
}

/// `alloc.name()`: "pool" or "system".
unsafe extern "C-unwind" fn name(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe {
        let name = if pool(state).is_some() { c"pool" } else { c"system" };
        lua_pushstring(state, name.as_ptr());
    }
    1
}

/// `alloc.getStat()`: a list with a table for each size class, and `cacheMem`, the bytes of all chunks.
unsafe extern "C-unwind" fn get_stat(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe {
        // The figures are taken before the tables that report them are made.
        let figures = pool(state).map(|pool| pool.stats());
        let mut chunk_bytes = figures.as_ref().map_or(0, |stats| stats.mixed_bytes);
        let classes = figures.map_or([ClassStats::default(); CLASS_COUNT - 1], |stats| stats.classes);
        lua_createtable(state, classes.len() as c_int, 1);
        for (class, index) in classes.iter().zip(1..) {
            lua_createtable(state, 0, 8);
            set_integer(state, c"blockSize", class.block_size as u64);
            set_integer(state, c"blockCount", class.blocks_per_chunk as u64);
            set_integer(state, c"iCreate", class.allocations);
            set_integer(state, c"iFree", class.frees);
            set_integer(state, c"iHitCreate", class.hit_allocations());
            set_integer(state, c"iHitFree", class.hit_frees());
            set_integer(state, c"iChunkCount", class.chunks);
            set_integer(state, c"chunkMem", class.chunk_bytes());
            lua_rawseti(state, -2, index);
            chunk_bytes += class.chunk_bytes();
        }
        // The unit that the pool itself and the first blocks of every class lie in.
        let first_unit = if pool(state).is_some() { CHUNK_SIZE as u64 } else { 0 };
        set_integer(state, c"cacheMem", chunk_bytes + first_unit);
    }
    1
}

/// What a function that takes a size was given: nothing, `false` for no limit, or bytes. Raises for anything else.
///
/// # Safety
/// `state` is running a C function.
unsafe fn size_argument(state: *mut lua_State) -> Option<Option<usize>> {
    // SAFETY: the caller's promise.
    unsafe {
        match lua_type(state, 1) {
            LUA_TNONE | LUA_TNIL => None,
            LUA_TBOOLEAN if lua_toboolean(state, 1) == 0 => Some(None),
            _ => {
                let bytes = usize::try_from(luaL_checkinteger(state, 1));
                if bytes.is_err() {
                    luaL_argerror(state, 1, c"size must not be negative".as_ptr());
                }
                Some(Some(bytes.unwrap_or(0)))
            }
        }
    }
}

/// Pushes a limit in bytes; nil for none.
///
/// # Safety
/// There is a free slot.
unsafe fn push_limit(state: *mut lua_State, limit: Option<u64>) {
    // SAFETY: the caller's promise.
    unsafe {
        match limit {
            Some(bytes) => lua_pushinteger(state, lua_Integer::try_from(bytes).unwrap_or(lua_Integer::MAX)),
            None => lua_pushnil(state),
        }
    }
}

/// Sets or lifts a limit as the arguments say, and pushes the one before; nil for none.
///
/// # Safety
/// `state` is running a C function of the module.
unsafe fn change_limit(state: *mut lua_State, get: fn(&RawPool) -> Option<u64>, set: fn(&mut RawPool, usize)) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let new = size_argument(state);
        let old = pool(state).and_then(|pool| get(pool));
        if let (Some(new), Some(pool)) = (new, pool(state)) {
            set(pool, new.unwrap_or(usize::MAX));
        }
        push_limit(state, old);
    }
    1
}

/// `alloc.limit([bytes | false])`: sets or lifts the hard limit; returns the one before, nil for none.
unsafe extern "C-unwind" fn limit(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe { change_limit(state, RawPool::limit_bytes, RawPool::set_limit_bytes) }
}

/// `alloc.softlimit([bytes | false])`: sets or lifts the soft limit; returns the one before, nil for none.
unsafe extern "C-unwind" fn soft_limit(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe { change_limit(state, RawPool::soft_limit_bytes, RawPool::set_soft_limit_bytes) }
}

/// `alloc.trim([bytes])`: gives free memory back to the system until at most so many bytes of it are left, by default
/// none. Returns how many bytes went.
unsafe extern "C-unwind" fn trim(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe {
        let keep = size_argument(state).flatten().unwrap_or(0);
        let freed = pool(state).map_or(0, |pool| pool.trim(keep));
        lua_pushinteger(state, freed as lua_Integer);
    }
    1
}

/// `alloc.profile(file | nil [, bytes per sample])`: starts a profile of where memory is taken, to be written to a file
/// when the program ends or `alloc.profile()` is called. Returns whether a profile started, or ended; nil and a message
/// when that failed.
unsafe extern "C-unwind" fn profile(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module. `change_profile` returns with nothing left to drop, so the
    // functions around it may raise.
    unsafe {
        let mut length = 0;
        let path = match lua_type(state, 1) {
            LUA_TNONE | LUA_TNIL => ptr::null(),
            LUA_TBOOLEAN if lua_toboolean(state, 1) == 0 => ptr::null(),
            _ => luaL_checklstring(state, 1, &raw mut length),
        };
        let bytes = match lua_type(state, 2) {
            LUA_TNONE | LUA_TNIL => DEFAULT_BYTES_PER_SAMPLE,
            _ => match usize::try_from(luaL_checkinteger(state, 2)) {
                Ok(bytes) if bytes > 0 => bytes,
                _ => {
                    luaL_argerror(state, 2, c"bytes per sample must be positive".as_ptr());
                    return 0;
                }
            },
        };
        let path = if path.is_null() { None } else { Some(slice::from_raw_parts(path.cast(), length)) };
        let mut message = [0; MESSAGE_MAX];
        match pool(state).map_or(Ok(false), |pool| change_profile(pool, path, bytes, &mut message)) {
            Ok(changed) => {
                lua_pushboolean(state, c_int::from(changed));
                1
            }
            Err(length) => {
                lua_pushnil(state);
                lua_pushlstring(state, message.as_ptr().cast(), length);
                2
            }
        }
    }
}

/// Longest message of [`profile`], in bytes; a path in it may be cut.
const MESSAGE_MAX: usize = 1024;

/// Starts or ends a profile; whether one started or ended. A message goes to `message`, and its length is returned.
fn change_profile(
    pool: &mut RawPool,
    path: Option<&[u8]>,
    bytes: usize,
    message: &mut [u8; MESSAGE_MAX],
) -> Result<bool, usize> {
    let changed = match path {
        Some(path) => profile::start(pool, &profile::path_from_bytes(path), bytes).map(|()| {
            #[cfg(feature = "programs")]
            crate::pool_program::end_profile_at_exit();
            true
        }),
        None => profile::stop(pool),
    };
    changed.map_err(|text| {
        let length = text.len().min(MESSAGE_MAX);
        message[..length].copy_from_slice(&text.as_bytes()[..length]);
        length
    })
}

/// `alloc.types()`: a table with a table for each of Lua's types that has objects: `count`, and `bytes` asked for them
/// and all that goes with them, and `other` with the bytes that belong to no object. All bytes together are
/// `collectgarbage("count")`. An empty table where the Lua cannot tell.
unsafe extern "C-unwind" fn types(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module; a live state of this pool.
    unsafe {
        let census = pool(state).and_then(|pool| pool.census(state.cast()));
        lua_createtable(state, 0, TYPE_NAMES.len() as c_int);
        for (index, name) in census.iter().flat_map(|_| TYPE_NAMES) {
            let figures = census.unwrap_or_default()[index];
            lua_createtable(state, 0, 2);
            if index > 0 {
                set_integer(state, c"count", figures.count as u64);
            }
            set_integer(state, c"bytes", figures.bytes as u64);
            lua_setfield(state, -2, name.as_ptr());
        }
    }
    1
}

/// `alloc.reset()`: starts counting over.
unsafe extern "C-unwind" fn reset(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe {
        if let Some(pool) = pool(state) {
            pool.reset_counts();
        }
    }
    0
}

/// `alloc.stats()`: a table of figures in bytes and counts, and `classes`, a list with a table for each size class.
/// Where the pool is in a group, `group` has the group's figures.
unsafe extern "C-unwind" fn stats(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe {
        // The figures are taken before the tables that report them are made.
        let figures = pool(state).map(|pool| (pool.stats(), pool.resident_bytes().unwrap_or(0)));
        let hardened = pool(state).is_some_and(|pool| pool.is_hardened());
        let requested = requested_bytes(state);
        let value = |get: fn(&PoolStats) -> u64| figures.as_ref().map_or(0, |(stats, _)| get(stats));
        lua_createtable(state, 0, 21);
        set_integer(state, c"live", value(|stats| stats.live_bytes));
        let requested = figures.as_ref().map_or(0, |_| requested);
        set_integer(state, c"requested", requested);
        set_integer(state, c"slack", value(|stats| stats.live_bytes).saturating_sub(requested));
        set_integer(state, c"used", value(|stats| stats.used_bytes));
        set_integer(state, c"cached", value(|stats| stats.cached_bytes));
        set_integer(state, c"peak", value(|stats| stats.peak_bytes));
        set_integer(state, c"committed", value(|stats| stats.used_bytes + stats.cached_bytes));
        set_integer(state, c"mapped", value(|stats| stats.mapped_bytes));
        set_integer(state, c"resident", figures.as_ref().map_or(0, |&(_, resident)| resident));
        set_integer(state, c"mixed", value(|stats| stats.mixed_bytes));
        set_integer(state, c"holes", value(|stats| stats.hole_bytes));
        set_integer(state, c"purged", value(|stats| stats.purged_bytes));
        set_integer(state, c"calls", value(|stats| stats.memory_calls));
        set_integer(state, c"refused", value(|stats| stats.limit_refusals));
        set_integer(state, c"largeLive", value(|stats| stats.large_live_bytes));
        set_integer(state, c"largeBlocks", value(|stats| stats.large_live_blocks));
        set_integer(state, c"largeAllocations", value(|stats| stats.large_allocations));
        set_integer(state, c"largeFrees", value(|stats| stats.large_frees));
        lua_pushboolean(state, c_int::from(hardened));
        lua_setfield(state, -2, c"hardened".as_ptr());
        let classes = figures.map_or([ClassStats::default(); CLASS_COUNT - 1], |(stats, _)| stats.classes);
        lua_createtable(state, classes.len() as c_int, 0);
        for (class, index) in classes.iter().zip(1..) {
            lua_createtable(state, 0, 6);
            set_integer(state, c"size", class.block_size as u64);
            set_integer(state, c"allocations", class.allocations);
            set_integer(state, c"frees", class.frees);
            set_integer(state, c"live", class.live_blocks);
            set_integer(state, c"free", class.free_blocks);
            set_integer(state, c"chunks", class.chunks);
            lua_rawseti(state, -2, index);
        }
        lua_setfield(state, -2, c"classes".as_ptr());
        if let Some(group) = figures.and_then(|(stats, _)| stats.group) {
            lua_createtable(state, 0, 7);
            set_integer(state, c"pools", group.pools);
            set_integer(state, c"committed", group.committed_bytes);
            set_integer(state, c"cached", group.cached_bytes);
            set_integer(state, c"peak", group.peak_bytes);
            set_integer(state, c"refused", group.limit_refusals);
            set_integer(state, c"reused", group.reused_segments);
            push_limit(state, group.limit_bytes);
            lua_setfield(state, -2, c"limit".as_ptr());
            lua_setfield(state, -2, c"group".as_ptr());
        }
    }
    1
}

/// Bytes that the state asked for and has not freed: Lua's own count.
///
/// # Safety
/// `state` is a live state.
unsafe fn requested_bytes(state: *mut lua_State) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { lua_gc(state, LUA_GCCOUNT, 0) as u64 * 1024 + lua_gc(state, LUA_GCCOUNTB, 0) as u64 }
}

/// Sets a field of the table on top of the stack.
///
/// # Safety
/// There is one, and a free slot.
unsafe fn set_integer(state: *mut lua_State, name: &CStr, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        lua_pushinteger(state, lua_Integer::try_from(value).unwrap_or(lua_Integer::MAX));
        lua_setfield(state, -2, name.as_ptr());
    }
}
