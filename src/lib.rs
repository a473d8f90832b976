//! A pool allocator for Lua 5.4 states.
#![warn(missing_docs, unsafe_op_in_unsafe_fn)]

// The unit tests share files with tests outside of the crate, which know it by its name.
#[cfg(test)]
extern crate self as lua_pool_allocator;

#[cfg(not(any(test, feature = "fault-injection")))]
mod faults;
#[cfg(any(test, feature = "fault-injection"))]
pub mod faults;
#[cfg(all(test, feature = "programs"))]
mod faults_test;
mod lua_alloc;
pub mod os;
pub mod pool;

#[cfg(feature = "programs")]
pub mod alloc_module;
#[cfg(feature = "programs")]
pub mod compare;
#[cfg(feature = "programs")]
pub mod interpreter;
#[cfg(feature = "programs")]
pub mod lua_ffi;

pub use lua_alloc::lua_pool_alloc;
pub use pool::{Pool, PoolBuilder, PoolError, PurgeMode, Violation};
