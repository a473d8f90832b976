//! For Rust hosts with [mlua](https://docs.rs/mlua): a pool under mlua's state.
//!
//! ```no_run
//! # fn main() -> mlua::Result<()> {
//! let lua = mlua::Lua::new();
//! let pool = lua_pool_allocator::Pool::new().expect("memory for a pool");
//! lua_pool_allocator::mlua::attach(&lua, pool).expect("a fresh state takes a pool");
//! lua.load("list = {} for i = 1, 1000 do list[i] = {i} end").exec()?;
//! let stats = lua_pool_allocator::mlua::stats(&lua).expect("it is on a pool");
//! assert!(stats.live_bytes > 56_000);
//! # Ok(())
//! # }
//! ```
//!
//! [`attach`] is the safe way: mlua goes on owning the state, and the pool goes when mlua closes it. What the state had
//! allocated before, some 20 KB in a fresh one, stays where it was.
//!
//! [`PoolLua`] creates the state on the pool and lets mlua in afterwards. Then everything comes from the pool, but
//! mlua treats the state as somebody else's: it expects every push of a string, table or function to fail for lack of
//! memory, and so runs each inside a protected call. That makes the way from Rust into Lua slower; Lua code itself
//! runs as fast.

use std::ffi::{c_uint, c_void};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::ptr::NonNull;

use ::mlua::{Lua, StdLib, ffi};

use crate::capi::{ErrorCode, attach_owned};
use crate::lua_alloc::pool_of;
use crate::pool::stats::PoolStats;
use crate::{Pool, PoolError};

/// Why a pool could not be put under a state.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttachError {
    /// The state is on a pool already.
    AlreadyOnAPool,
    /// Not enough memory.
    OutOfMemory,
    /// It has to be done from outside of coroutines.
    InsideCoroutine,
    /// mlua refused.
    Lua(::mlua::Error),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachError::AlreadyOnAPool => f.write_str("this Lua state is on a pool already"),
            AttachError::OutOfMemory => f.write_str("not enough memory to put a pool under a Lua state"),
            AttachError::InsideCoroutine => f.write_str("a pool cannot be put under a Lua state from a coroutine"),
            AttachError::Lua(error) => write!(f, "cannot put a pool under a Lua state: {error}"),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AttachError::Lua(error) => Some(error),
            _ => None,
        }
    }
}

/// Puts a pool under a state that mlua owns; the pool goes when the state goes. Best done right after [`Lua::new`]:
/// what there is already stays with the allocator it came from.
///
/// The pool's limit takes the place of [`Lua::set_memory_limit`], which is no longer available. Set it before: for a
/// pool that has one, mlua is made to expect that memory may run out, at the price described in the
/// [module's documentation](self).
///
/// # Errors
/// [`AttachError`] says why; the pool is freed then, and the state is as it was.
pub fn attach(lua: &Lua, pool: Pool) -> Result<(), AttachError> {
    if pool.stats().limit_bytes.is_some() {
        // Not a limit that anything reaches, but a sign to mlua that there is one.
        lua.set_memory_limit(isize::MAX as usize).map_err(AttachError::Lua)?;
    }
    let mut pool = Some(pool);
    let mut code = ErrorCode::Ok;
    // SAFETY: the closure leaves the stack as it was, and what it owns is outside of it; `attach_owned` checks the
    // rest, and the state is of this thread, as mlua sees to.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            let main = main_thread(state);
            if main != state {
                code = ErrorCode::State;
            } else if !pool_of(state.cast()).is_null() {
                code = ErrorCode::Argument;
            } else if let Some(pool) = pool.take() {
                code = attach_owned(state.cast(), pool);
            }
        })
        .map_err(AttachError::Lua)?;
    }
    match code {
        ErrorCode::Ok => Ok(()),
        ErrorCode::Argument => Err(AttachError::AlreadyOnAPool),
        ErrorCode::State => Err(AttachError::InsideCoroutine),
        _ => Err(AttachError::OutOfMemory),
    }
}

/// `state` if it is the main thread of its state, else null.
///
/// # Safety
/// `state` is a live state of this thread with a free stack slot.
unsafe fn main_thread(state: *mut ffi::lua_State) -> *mut ffi::lua_State {
    // SAFETY: the caller's promise.
    unsafe {
        let is_main = ffi::lua_pushthread(state) == 1;
        ffi::lua_settop(state, -2);
        if is_main { state } else { std::ptr::null_mut() }
    }
}

/// The figures of the pool that a state is on; `None` if it is on none.
pub fn stats(lua: &Lua) -> Option<PoolStats> {
    let mut stats = None;
    // SAFETY: the closure leaves the stack as it was; the pool of a live state is live, and nobody else uses it now.
    let outcome =
        unsafe { lua.exec_raw::<()>((), |state| stats = pool_of(state.cast()).as_ref().map(|pool| pool.stats())) };
    outcome.ok().and(stats)
}

/// A state that lives on a pool as a whole, with mlua on top; see the [module's documentation](self). Used as a
/// [`Lua`] through its `Deref`.
#[derive(Debug)]
pub struct PoolLua {
    /// None only while dropping.
    lua: Option<Lua>,
    state: NonNull<ffi::lua_State>,
    pool: Pool,
}

impl PoolLua {
    /// A state on `pool`, with the standard libraries that [`Lua::new`] has.
    ///
    /// # Errors
    /// [`PoolError::OutOfMemory`] if there is not enough memory for it, or the pool's limit is too low.
    ///
    /// # Safety
    /// No clone of the `Lua`, nor a value made from it, is used after the `PoolLua` is dropped: mlua cannot know that
    /// the state is gone then. Nor is the `PoolLua` used by two threads at a time.
    pub unsafe fn new(pool: Pool) -> Result<PoolLua, PoolError> {
        // SAFETY: the pool lives in the `PoolLua`, which outlives the state.
        let state = unsafe { new_state(&pool) };
        let state = NonNull::new(state).ok_or(PoolError::OutOfMemory)?;
        // SAFETY: a live state of this thread; the clone is dropped before the state is closed.
        let lua = unsafe { Lua::get_or_init_from_ptr(state.as_ptr()).clone() };
        let lua = PoolLua { lua: Some(lua), state, pool };
        // SAFETY: a protected call, which leaves the stack as it was.
        let base = unsafe {
            lua.exec_raw::<()>((), |state| {
                ffi::luaL_requiref(state, c"_G".as_ptr(), ffi::luaopen_base, 1);
                ffi::lua_settop(state, -2);
            })
        };
        base.and_then(|()| lua.load_std_libs(StdLib::ALL_SAFE)).map_err(|_| PoolError::OutOfMemory)?;
        Ok(lua)
    }

    /// The figures of the pool.
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }
}

/// # Safety
/// The pool outlives the state.
unsafe fn new_state(pool: &Pool) -> *mut ffi::lua_State {
    // Declared here because mlua's declaration is that of its version: only Lua 5.5 has a seed. The others never see
    // it, for the caller of a C function removes the arguments.
    unsafe extern "C" {
        fn lua_newstate(alloc: ffi::lua_Alloc, ud: *mut c_void, seed: c_uint) -> *mut ffi::lua_State;
    }
    let seed = RandomState::new().hash_one(pool.as_ud().addr()) as c_uint;
    // SAFETY: the caller's promise.
    unsafe { lua_newstate(pool.alloc_function(), pool.as_ud(), seed) }
}

impl Deref for PoolLua {
    type Target = Lua;

    fn deref(&self) -> &Lua {
        self.lua.as_ref().expect("there until dropped")
    }
}

impl Drop for PoolLua {
    fn drop(&mut self) {
        self.lua = None;
        // SAFETY: the caller of `new` promised that nobody uses the state any more.
        unsafe { ffi::lua_close(self.state.as_ptr()) };
    }
}
