//! A pool allocator for Lua states: the same scripts in less time, and memory given back when it is no longer needed.
//!
//! A [`Pool`] is the memory of one Lua state, or of several of one thread. Lua asks for memory through one function;
//! here that is [`lua_pool_alloc`]:
//!
//! ```no_run
//! use lua_pool_allocator::{Pool, lua_pool_alloc};
//! # use std::ffi::c_void;
//! # enum lua_State {}
//! # type lua_Alloc = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void;
//! # unsafe fn lua_newstate(_: lua_Alloc, _: *mut c_void) -> *mut lua_State { std::ptr::null_mut() }
//! # unsafe fn lua_close(_: *mut lua_State) {}
//!
//! let pool = Pool::new()?;
//! // SAFETY: the pool outlives the state.
//! let state = unsafe { lua_newstate(lua_pool_alloc, pool.as_ud()) };
//! // ... use the state as any other ...
//! # // SAFETY: nobody uses the state any more.
//! unsafe { lua_close(state) };
//! println!("{} bytes at the peak", pool.stats().peak_bytes);
//! drop(pool); // all of its memory goes back to the system
//! # Ok::<(), lua_pool_allocator::PoolError>(())
//! ```
//!
//! Any Lua will do: 5.1 to 5.5, LuaJIT; linked, vendored or your own. The library links none itself.
//!
//! # Which way in
//!
//! | host | what to do |
//! |---|---|
//! | Rust, C API | `lua_newstate(lua_pool_alloc, pool.as_ud())`, as above; `examples/rust_host.rs` |
//! | Rust, mlua | feature `mlua`: `lua_pool_allocator::mlua::attach(&lua, pool)`; `examples/mlua_host` |
//! | C, C++ | `include/lua_pool.h` and `liblua_pool_allocator`; [`capi`], `examples/c_host.c`, `examples/cpp_host.cpp` |
//! | any, with a state that lives already | [`capi::lua_pool_attach`] |
//! | any on Unix that links Lua dynamically | nothing: `LD_PRELOAD=liblua_pool_allocator.so PROGRAM` |
//! | one that compiles Lua 5.4.4 itself | the fast path inlined into Lua: `include/lua_pool_inline.h` |
//!
//! # What a pool can do
//!
//! ```
//! use lua_pool_allocator::{Pool, PurgeMode};
//!
//! let mut pool = Pool::builder()
//!     .limit_bytes(64 << 20)          // Lua raises "not enough memory" beyond 64 MiB, and lives on
//!     .soft_limit_bytes(48 << 20)     // a collection is asked for before that
//!     .purge_mode(PurgeMode::Auto)    // free memory goes back after it was not needed for a while
//!     .build()?;
//! # let block = pool.allocate(100);
//! # // SAFETY: allocated just now, and not used afterwards.
//! # unsafe { pool.free(block) };
//!
//! let stats = pool.stats();           // derived when asked for: counting costs the fast path nothing
//! assert!(stats.live_bytes <= stats.used_bytes && stats.used_bytes <= stats.mapped_bytes);
//! for class in stats.classes.iter().filter(|class| class.allocations > 0) {
//!     println!("{} bytes: {} made, {} live", class.block_size, class.allocations, class.live_blocks);
//! }
//!
//! pool.trim(0);                       // give back now what is free
//! assert_eq!(pool.verify(), Ok(()));  // the whole pool's books, checked
//! # Ok::<(), lua_pool_allocator::PoolError>(())
//! ```
//!
//! # What to keep to
//!
//! - A pool outlives every state on it. Nothing else may free its blocks, and it frees nobody else's.
//! - A pool has no locks: one thread at a time. It is [`Send`], so it may move between threads with its state.
//! - One pool for each state is the usual choice; states that share a pool share its limit. Pools of several threads
//!   share a limit and free memory in a [`PoolGroup`].
//! - Memory comes from the system, or from a [`Source`]: functions of the host's own, or one fixed buffer.
//!
//! # Features
//!
//! - `programs` (default): builds `lua54` and `lua54_pool`, two Lua 5.4.4 that differ in their allocator only, and
//!   `lua54_compare`. A library user wants `default-features = false`.
//! - `lua-fixes` (default): the programs' Lua gets fixes for known bugs of 5.4.4.
//! - `mlua`: the module `mlua`.
#![warn(missing_docs, unsafe_op_in_unsafe_fn)]
// The packages in capi/ compile these sources too, and would run the same unit tests again.
#![cfg(not(all(test, any(linked_lua, preload))))]

// The unit tests share files with tests outside of the crate, which know it by its name.
#[cfg(test)]
extern crate self as lua_pool_allocator;

pub mod alloc_module;
pub mod capi;
#[cfg(not(any(test, feature = "fault-injection")))]
mod faults;
#[cfg(any(test, feature = "fault-injection"))]
pub mod faults;
#[cfg(all(test, feature = "programs"))]
mod faults_test;
mod flame_graph;
mod lua_alloc;
mod memory_tools;
#[cfg(feature = "mlua")]
pub mod mlua;
pub mod os;
pub mod pool;
#[cfg(all(preload, unix))]
mod preload;
mod profile;
pub mod settings;

#[cfg(feature = "programs")]
pub mod compare;
#[cfg(feature = "programs")]
pub mod interpreter;
#[cfg(feature = "programs")]
pub mod lua_ffi;
#[cfg(not(feature = "programs"))]
#[path = "host_lua.rs"]
mod lua_ffi;
#[cfg(feature = "programs")]
pub mod pool_program;
#[cfg(feature = "programs")]
pub mod report;

pub use lua_alloc::{lua_pool_alloc, lua_pool_alloc_hardened};
pub use pool::{Pool, PoolBuilder, PoolError, PoolGroup, PoolGroupBuilder, PurgeMode, Source, Violation};
