//! What C hosts configure pools and groups with, and what is wrong with it.

use core::ffi::{c_uint, c_void};
use core::mem::{offset_of, size_of};
use core::ptr;

use super::error::{ErrorCode, Listener, lua_pool_error_function};
use super::{LUA_POOL_HARDENED, groups};
use crate::pool::{MapFunction, PoolBuilder, PoolGroupBuilder, UnmapFunction};
use crate::settings::LIMIT_BYTES_MIN;
use crate::{Pool, PoolError, PoolGroup, PurgeMode, Source};

/// A [`MapFunction`], or null.
#[allow(non_camel_case_types, reason = "the name it has in C")]
pub type lua_pool_map_function = Option<MapFunction>;

/// An [`UnmapFunction`], or null.
#[allow(non_camel_case_types, reason = "the name it has in C")]
pub type lua_pool_unmap_function = Option<UnmapFunction>;

/// What a pool is made with. `size` says how much of it the host knows; the rest, and every zero, is a default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lua_pool_config {
    /// `sizeof(lua_pool_config)` in the host.
    pub size: usize,
    /// Hard limit in bytes; 0 is none.
    pub limit_bytes: usize,
    /// Soft limit in bytes; 0 is none.
    pub soft_limit_bytes: usize,
    /// A [`PurgeMode`].
    pub purge_mode: c_uint,
    /// As [`PoolBuilder::ends_with_state`]: 0 or 1.
    pub ends_with_state: c_uint,
    /// As [`PoolBuilder::check_interval`]; 0 never checks.
    pub check_interval: c_uint,
    /// [`LUA_POOL_HARDENED`](super::LUA_POOL_HARDENED), or 0.
    pub flags: c_uint,
    /// Is told of every error; without one, errors go to standard error.
    pub on_error: lua_pool_error_function,
    /// Passed to `on_error`.
    pub error_ud: *mut c_void,
    /// A group from [`lua_pool_group_new`](super::lua_pool_group_new), or null.
    pub group: *mut c_void,
    /// Gets memory in place of the system.
    pub map: lua_pool_map_function,
    /// Takes it back.
    pub unmap: lua_pool_unmap_function,
    /// Passed to both.
    pub map_ud: *mut c_void,
    /// All the memory there is, in place of the system's.
    pub buffer: *mut c_void,
    /// Length of `buffer`.
    pub buffer_bytes: usize,
}

/// What a group is made with. `size` says how much of it the host knows; the rest, and every zero, is a default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct lua_pool_group_config {
    /// `sizeof(lua_pool_group_config)` in the host.
    pub size: usize,
    /// Limit of all pools together in bytes; 0 is none.
    pub limit_bytes: usize,
    /// Free memory that is kept for the pools, in bytes; 0 is 32 MiB.
    pub cache_bytes: usize,
    /// Is told of every error; without one, errors go to standard error.
    pub on_error: lua_pool_error_function,
    /// Passed to `on_error`.
    pub error_ud: *mut c_void,
    /// Gets memory in place of the system.
    pub map: lua_pool_map_function,
    /// Takes it back.
    pub unmap: lua_pool_unmap_function,
    /// Passed to both.
    pub map_ud: *mut c_void,
    /// All the memory there is, in place of the system's.
    pub buffer: *mut c_void,
    /// Length of `buffer`.
    pub buffer_bytes: usize,
}

impl Default for lua_pool_config {
    fn default() -> Self {
        lua_pool_config {
            size: size_of::<lua_pool_config>(),
            limit_bytes: 0,
            soft_limit_bytes: 0,
            purge_mode: 0,
            ends_with_state: 0,
            check_interval: 0,
            flags: 0,
            on_error: None,
            error_ud: ptr::null_mut(),
            group: ptr::null_mut(),
            map: None,
            unmap: None,
            map_ud: ptr::null_mut(),
            buffer: ptr::null_mut(),
            buffer_bytes: 0,
        }
    }
}

impl Default for lua_pool_group_config {
    fn default() -> Self {
        lua_pool_group_config {
            size: size_of::<lua_pool_group_config>(),
            limit_bytes: 0,
            cache_bytes: 0,
            on_error: None,
            error_ud: ptr::null_mut(),
            map: None,
            unmap: None,
            map_ud: ptr::null_mut(),
            buffer: ptr::null_mut(),
            buffer_bytes: 0,
        }
    }
}

/// Why there is no pool or group, and whom to tell.
pub(super) struct Refusal {
    code: ErrorCode,
    message: String,
    listener: Listener,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>, listener: Listener) -> Refusal {
        Refusal { code, message: message.into(), listener }
    }

    pub(super) fn report(&self) {
        self.listener.report(self.code, &self.message);
    }
}

/// What pools and groups are configured with alike.
struct Common {
    limit_bytes: usize,
    on_error: lua_pool_error_function,
    error_ud: *mut c_void,
    functions: (lua_pool_map_function, lua_pool_unmap_function, *mut c_void),
    buffer: (*mut c_void, usize),
}

/// The same fields of either configuration.
macro_rules! common {
    ($config:expr) => {
        Common {
            limit_bytes: $config.limit_bytes,
            on_error: $config.on_error,
            error_ud: $config.error_ud,
            functions: ($config.map, $config.unmap, $config.map_ud),
            buffer: ($config.buffer, $config.buffer_bytes),
        }
    };
}

impl Common {
    fn listener(&self) -> Listener {
        Listener::new(self.on_error, self.error_ud)
    }

    /// The host's own memory, if it has any; or what is wrong with it, or with the limit.
    ///
    /// # Safety
    /// The functions and the buffer are as [`super::lua_pool_new`] wants them.
    unsafe fn check(&self) -> Result<Option<Source>, &'static str> {
        if !is_limit(self.limit_bytes) {
            return Err("config->limit_bytes is in bytes, 0 for none, and at least 65536");
        }
        let (buffer, buffer_bytes) = self.buffer;
        // SAFETY: the caller's promise.
        let source = unsafe {
            match self.functions {
                (None, None, _) if buffer.is_null() && buffer_bytes == 0 => return Ok(None),
                (Some(map), Some(unmap), ud) if buffer.is_null() => Ok(Source::new(map, unmap, ud)),
                (None, None, _) if !buffer.is_null() => Source::in_raw_buffer(buffer.cast(), buffer_bytes),
                (None, None, _) => return Err("config->buffer_bytes is given, and config->buffer is NULL"),
                (Some(_), Some(_), _) => {
                    return Err("config has both map and unmap, and a buffer; it can be one of them");
                }
                _ => return Err("config->map and config->unmap go together; one is NULL"),
            }
        };
        let source = source.map_err(|_: PoolError| "config->buffer is too small; 192 KiB are enough in any case")?;
        Ok(Some(source.with_listener(self.on_error, self.error_ud)))
    }
}

/// A complete configuration from one of any size; null is all defaults.
///
/// # Safety
/// `given` is null, or points to as many readable bytes as its first field, a `usize`, says. `T` is made of integers,
/// pointers and optional functions, where the host writes functions only.
unsafe fn complete<T: Default>(given: *const T, first_version: usize, function: &str) -> Result<T, Refusal> {
    let mut config = T::default();
    if given.is_null() {
        return Ok(config);
    }
    // SAFETY: the caller's promise.
    let size = unsafe { given.cast::<usize>().read() };
    let refuse = |what| Err(Refusal::new(ErrorCode::Argument, format!("{function}: {what}"), Listener::NOBODY));
    // It never gets smaller. Far larger ones are a structure nobody initialized.
    if size < first_version || size > 4096 {
        return refuse(format!("config->size is wrong; call {}_config_init first", &function[..function.len() - 4]));
    }
    let known = size.min(size_of::<T>());
    // SAFETY: both have `known` bytes; the rest is the caller's promise.
    unsafe {
        ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut config).cast(), known);
        let unknown = core::slice::from_raw_parts(given.cast::<u8>().add(known), size - known);
        if unknown.iter().any(|&byte| byte != 0) {
            return refuse("the configuration has settings of a later version of the library".to_owned());
        }
    }
    Ok(config)
}

/// The configuration of a pool; null is all defaults.
///
/// # Safety
/// As [`super::lua_pool_new`].
pub(super) unsafe fn read_pool(given: *const lua_pool_config) -> Result<(Listener, PoolBuilder), Refusal> {
    const FIRST_VERSION: usize = offset_of!(lua_pool_config, error_ud) + size_of::<*mut c_void>();
    // SAFETY: the caller's promise.
    let config = unsafe { complete(given, FIRST_VERSION, "lua_pool_new")? };
    let common = common!(config);
    let listener = common.listener();
    let refuse = |what| Refusal::new(ErrorCode::Argument, format!("lua_pool_new: {what}"), listener);
    if config.flags & !LUA_POOL_HARDENED != 0 {
        return Err(refuse("config->flags must be 0 or LUA_POOL_HARDENED"));
    }
    if config.ends_with_state > 1 {
        return Err(refuse("config->ends_with_state is 0 or 1"));
    }
    let Some(mode) = purge_mode(config.purge_mode) else {
        return Err(refuse("config->purge_mode is none of LUA_POOL_PURGE_*"));
    };
    if !is_limit(config.soft_limit_bytes) {
        return Err(refuse("config->soft_limit_bytes is in bytes, 0 for none, and at least 65536"));
    }
    // SAFETY: the caller's promise.
    let source = unsafe { common.check() }.map_err(refuse)?;
    let mut builder = Pool::builder()
        .check_interval(config.check_interval)
        .purge_mode(mode)
        .ends_with_state(config.ends_with_state != 0)
        .hardened(config.flags & LUA_POOL_HARDENED != 0);
    if let Some(source) = source {
        if !config.group.is_null() {
            return Err(refuse("a pool in a group has no memory of its own; configure the group's"));
        }
        builder = builder.source(source);
    }
    if !config.group.is_null() {
        let Some(group) = groups::find(config.group) else {
            let message = "lua_pool_new: config->group is no group from lua_pool_group_new, or it was freed already";
            return Err(Refusal::new(ErrorCode::Closed, message, listener));
        };
        builder = builder.group(&group);
    }
    if config.limit_bytes != 0 {
        builder = builder.limit_bytes(config.limit_bytes);
    }
    if config.soft_limit_bytes != 0 {
        builder = builder.soft_limit_bytes(config.soft_limit_bytes);
    }
    Ok((listener, builder))
}

/// The configuration of a group; null is all defaults.
///
/// # Safety
/// As [`super::lua_pool_group_new`].
pub(super) unsafe fn read_group(given: *const lua_pool_group_config) -> Result<(Listener, PoolGroupBuilder), Refusal> {
    const FUNCTION: &str = "lua_pool_group_new";
    // SAFETY: the caller's promise.
    let config = unsafe { complete(given, size_of::<lua_pool_group_config>(), FUNCTION)? };
    let common = common!(config);
    let listener = common.listener();
    let refuse = |what| Refusal::new(ErrorCode::Argument, format!("{FUNCTION}: {what}"), listener);
    let mut builder = PoolGroup::builder();
    // SAFETY: the caller's promise.
    if let Some(source) = unsafe { common.check() }.map_err(refuse)? {
        builder = builder.source(source);
    }
    if config.limit_bytes != 0 {
        builder = builder.limit_bytes(config.limit_bytes);
    }
    if config.cache_bytes != 0 {
        builder = builder.cache_bytes(config.cache_bytes);
    }
    Ok((listener, builder))
}

/// Whether a limit is none (0) or one that makes sense.
pub(super) fn is_limit(bytes: usize) -> bool {
    bytes == 0 || bytes >= LIMIT_BYTES_MIN
}

pub(super) fn purge_mode(number: c_uint) -> Option<PurgeMode> {
    [PurgeMode::Auto, PurgeMode::Never, PurgeMode::Now].into_iter().find(|&mode| mode as c_uint == number)
}
