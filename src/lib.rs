//! A pool allocator for Lua 5.4 states.
#![warn(missing_docs, unsafe_op_in_unsafe_fn)]
// The packages in capi/ compile these sources too, and would run the same unit tests again.
#![cfg(not(all(test, any(linked_lua, preload))))]

pub mod alloc_module;
pub mod capi;
mod lua_alloc;
#[cfg(feature = "mlua")]
pub mod mlua;
pub mod os;
pub mod pool;
#[cfg(all(preload, unix))]
mod preload;
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

pub use lua_alloc::lua_pool_alloc;
pub use pool::{Pool, PoolBuilder, PoolError, PurgeMode, Violation};
