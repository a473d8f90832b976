//! A Rust host that calls Lua's C API itself, on a pool with a limit.
//!
//!     cargo run --release --example rust_host
//!
//! Lua is the one this package builds, with the pool's fast path inlined; any other works too (see `mlua_host`).

use std::error::Error;
use std::ffi::CString;

use lua_pool_allocator::lua_ffi::{
    lua_State, lua_close, lua_newstate, lua_pcall, lua_pop, lua_tostring, luaL_loadbufferx, luaL_openlibs,
};
use lua_pool_allocator::pool::stats::PoolStats;
use lua_pool_allocator::{Pool, lua_pool_alloc};

// Names the Lua library; the package's build script has put it where the linker looks.
#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

/// A Lua state and the pool it lives on.
struct Interpreter {
    state: *mut lua_State,
    // Behind `state`, which `drop` closes before the fields are dropped.
    pool: Pool,
}

impl Interpreter {
    fn new(limit_bytes: usize) -> Result<Interpreter, Box<dyn Error>> {
        let pool = Pool::builder().limit_bytes(limit_bytes).build()?;
        // SAFETY: the pool outlives the state, which `drop` closes first.
        let state = unsafe { lua_newstate(lua_pool_alloc, pool.as_ud()) };
        if state.is_null() {
            return Err("cannot create a Lua state".into());
        }
        // SAFETY: a fresh state; the limit leaves room for the libraries.
        unsafe { luaL_openlibs(state) };
        Ok(Interpreter { state, pool })
    }

    fn run(&mut self, chunk: &str) -> Result<(), String> {
        let name = CString::new("=chunk").map_err(|e| e.to_string())?;
        // SAFETY: a live state of this thread; text and length are one slice's.
        unsafe {
            let loaded =
                luaL_loadbufferx(self.state, chunk.as_ptr().cast(), chunk.len(), name.as_ptr(), std::ptr::null());
            if loaded == 0 && lua_pcall(self.state, 0, 0, 0) == 0 {
                return Ok(());
            }
            let text = lua_tostring(self.state, -1);
            let message = if text.is_null() {
                "?".to_owned()
            } else {
                std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned()
            };
            lua_pop(self.state, 1);
            Err(message)
        }
    }

    fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // SAFETY: nobody else has the state.
        unsafe { lua_close(self.state) };
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut lua = Interpreter::new(8 << 20)?;
    lua.run(
        "local words = {}
         for i = 1, 20000 do words[i] = { name = 'word ' .. i, size = i } end
         table.sort(words, function (a, b) return a.name < b.name end)
         print(#words, words[1].name, words[#words].name)",
    )?;
    // The limit is Lua's ordinary "not enough memory", and the state lives on.
    if let Err(message) = lua.run("local list = {} for i = 1, 1e7 do list[i] = {i} end") {
        lua.run(&format!("print '{message}'"))?;
    }
    lua.run("collectgarbage() print 'still here'")?;
    let stats = lua.stats();
    let blocks: u64 = stats.classes.iter().map(|class| class.allocations).sum();
    eprintln!("pool: {blocks} blocks handed out, {} bytes at the peak", stats.peak_bytes);
    Ok(())
}
