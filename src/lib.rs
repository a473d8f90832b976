//! A pool allocator for Lua 5.4 states.
pub mod os;
pub mod pool {
    pub mod layout;
}

#[cfg(feature = "programs")]
pub mod interpreter;
#[cfg(feature = "programs")]
pub mod lua_ffi;
