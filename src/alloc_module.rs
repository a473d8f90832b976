//! The Lua module `alloc`, in both programs, so that a script runs on either. Without a pool, its figures are zeros.

use std::ffi::{CStr, c_int};

use crate::lua_alloc::pool_of;
use crate::lua_ffi::{
    lua_CFunction, lua_Integer, lua_State, lua_createtable, lua_pushcclosure, lua_pushinteger, lua_pushstring,
    lua_rawseti, lua_setfield,
};
use crate::pool::RawPool;
use crate::pool::layout::{CHUNK_SIZE, CLASS_COUNT};
use crate::pool::stats::ClassStats;

/// The functions of the module.
const FUNCTIONS: [(&CStr, lua_CFunction); 2] = [(c"getStat", get_stat), (c"name", name)];

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

/// `alloc.getStat()`: a list with a table for each size class, and `cacheMem`, the bytes of all their chunks.
unsafe extern "C-unwind" fn get_stat(state: *mut lua_State) -> c_int {
    // SAFETY: called by Lua as a function of the module.
    unsafe {
        // The figures are taken before the tables that report them are made.
        let classes = pool(state).map_or([ClassStats::default(); CLASS_COUNT - 1], |pool| pool.stats().classes);
        lua_createtable(state, classes.len() as c_int, 1);
        let mut chunk_bytes = 0;
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
