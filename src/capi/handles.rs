//! The table of the pools that C hosts have made and not yet closed.

use core::ffi::c_void;
use std::collections::TryReserveError;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::attach::Attachment;
use super::error::Listener;
use crate::Pool;

/// What the C interface knows of one pool.
pub(super) struct Handle {
    pool: Pool,
    listener: Listener,
    /// The thread that uses the pool, by [`this_thread`]; 0 until one does.
    thread: usize,
    /// Live states that the pool was attached to; what their allocator gets as `ud`.
    #[expect(clippy::vec_box, reason = "Lua states hold their addresses")]
    attachments: Vec<Box<Attachment>>,
}

// SAFETY: a pool may move between threads, and so may the host's pointers, which are only ever passed back to it.
unsafe impl Send for Handle {}

impl Handle {
    pub(super) fn new(pool: Pool, listener: Listener) -> Handle {
        Handle { pool, listener, thread: 0, attachments: Vec::new() }
    }

    /// A pool of Rust's, whose threads the type system looks after.
    #[cfg(feature = "mlua")]
    pub(super) fn of_any_thread(pool: Pool) -> Handle {
        let mut handle = Handle::new(pool, Listener::NOBODY);
        handle.thread = ANY_THREAD;
        handle
    }

    fn address(&self) -> usize {
        self.pool.as_ud().addr()
    }
}

/// `thread` of a pool whose threads are not checked.
const ANY_THREAD: usize = usize::MAX;

/// Sorted by address.
static HANDLES: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

fn lock() -> MutexGuard<'static, Vec<Handle>> {
    // Nothing under this lock panics halfway through a change.
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn position(handles: &[Handle], pool: *mut c_void) -> Result<usize, usize> {
    handles.binary_search_by_key(&pool.addr(), Handle::address)
}

/// Adds a pool. On failure the pool is freed.
pub(super) fn insert(handle: Handle) -> Result<(), TryReserveError> {
    let mut handles = lock();
    handles.try_reserve(1)?;
    if let Err(place) = position(&handles, handle.pool.as_ud()) {
        handles.insert(place, handle);
    }
    Ok(())
}

/// Takes a pool out of the table; the last step of closing it is to drop what this returns.
pub(super) fn remove(pool: *mut c_void) -> Option<Handle> {
    let mut handles = lock();
    position(&handles, pool).ok().map(|place| handles.remove(place))
}

/// Whom to tell of errors of a pool; `None` if it is no live pool.
pub(super) fn listener(pool: *mut c_void) -> Option<Listener> {
    let handles = lock();
    position(&handles, pool).ok().map(|place| handles[place].listener)
}

/// Keeps an attachment as long as its pool lives; its address.
pub(super) fn keep_attachment(pool: *mut c_void, attachment: Attachment) -> Option<*mut Attachment> {
    let mut handles = lock();
    let place = position(&handles, pool).ok()?;
    let attachments = &mut handles[place].attachments;
    attachments.try_reserve(1).ok()?;
    attachments.push(Box::new(attachment));
    attachments.last_mut().map(|kept| &raw mut **kept)
}

/// Forgets an attachment whose state was closed.
pub(super) fn drop_attachment(pool: *mut c_void, attachment: *const Attachment) {
    let mut handles = lock();
    if let Ok(place) = position(&handles, pool) {
        handles[place].attachments.retain(|kept| !std::ptr::eq(&raw const **kept, attachment));
    }
}

/// Lets the next thread that uses the pool be its thread. False if it is no live pool.
pub(super) fn unbind_thread(pool: *mut c_void) -> bool {
    let mut handles = lock();
    let place = position(&handles, pool);
    if let Ok(place) = place {
        handles[place].thread = 0;
    }
    place.is_ok()
}

/// What using a pool from this thread amounts to.
pub(super) enum Access {
    /// No live pool of the table.
    Unknown,
    /// This thread's.
    Granted,
    /// Another thread's.
    Denied(Listener),
}

/// Makes this thread the one that uses the pool, if there is none yet.
pub(super) fn access(pool: *mut c_void) -> Access {
    let mut handles = lock();
    let Ok(place) = position(&handles, pool) else {
        return Access::Unknown;
    };
    let handle = &mut handles[place];
    if handle.thread == 0 {
        handle.thread = this_thread();
    }
    if [this_thread(), ANY_THREAD].contains(&handle.thread) { Access::Granted } else { Access::Denied(handle.listener) }
}

/// A number that no other live thread has.
fn this_thread() -> usize {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}
