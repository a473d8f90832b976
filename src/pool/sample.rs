//! Which allocations a profile looks at.
//!
//! Every byte handed out is as likely to be looked at as any other: one in `mean_bytes`, at random. So what a place in
//! a script is seen with is, on average, what it took; and no rhythm of the script's can hide behind one of ours.
//!
//! The fast path knows nothing of it. While a profile is on, an allocation list is cut before the block that will be
//! looked at, and the request for that block takes the slow path. The blocks between two looks are a random number
//! without memory (geometric), so a list that ends earlier loses nothing: the number is drawn anew.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use super::layout::{CLASS_COUNT, FreeBlock};
use super::raw::RawPool;
use super::size_class::{Class, block_size};

/// Types in a census: Lua's own numbers up to that of prototypes. As `LUA_POOL_TYPES` in lua_pool_inline.h.
pub const TYPE_COUNT: usize = 11;

/// Places in a census with something to tell, and what they are called.
pub const TYPE_NAMES: [(usize, &CStr); 8] = [
    (4, c"string"),
    (5, c"table"),
    (6, c"function"),
    (7, c"userdata"),
    (8, c"thread"),
    (9, c"upvalue"),
    (10, c"prototype"),
    (0, c"other"),
];

/// Objects of one type, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TypeCensus {
    /// Objects, those included that are dead but not collected yet.
    pub count: usize,
    /// Bytes asked for, of the objects and of all that goes with them.
    pub bytes: usize,
}

/// `int (*) (void *ud, const char *name, const char *what, const char *source, int line)`
type FrameFunction = unsafe extern "C" fn(
    ud: *mut c_void,
    name: *const c_char,
    what: *const c_char,
    source: *const c_char,
    line: c_int,
) -> c_int;

/// What a Lua core with the fast path can tell about a state: `lua_pool_Core` in lua_pool_inline.h.
#[repr(C)]
pub struct Core {
    census: unsafe extern "C" fn(thread: *mut c_void, types: *mut TypeCensus),
    stack: unsafe extern "C" fn(thread: *mut c_void, frame: FrameFunction, ud: *mut c_void),
}

/// One function on the stack of a thread.
pub struct Frame<'a> {
    /// What its caller calls it, where that can be told.
    pub name: Option<&'a CStr>,
    /// "Lua", "C" or "main".
    pub what: &'a CStr,
    /// Where it is from, as in Lua's messages.
    pub source: &'a CStr,
    /// The line that runs; below 1 where nobody knows.
    pub line: i32,
}

impl Core {
    /// Calls `visit` for the functions on the stack of `thread`, innermost first, until it returns false.
    ///
    /// # Safety
    /// `thread` is a live thread of a state with this core.
    pub unsafe fn for_each_frame<F: FnMut(&Frame) -> bool>(&self, thread: *mut c_void, mut visit: F) {
        unsafe extern "C" fn frame<F: FnMut(&Frame) -> bool>(
            ud: *mut c_void,
            name: *const c_char,
            what: *const c_char,
            source: *const c_char,
            line: c_int,
        ) -> c_int {
            // SAFETY: `ud` is the visitor below; the core passes C strings, and null for a name it does not know.
            unsafe {
                let name = (!name.is_null()).then(|| CStr::from_ptr(name));
                let frame = Frame { name, what: CStr::from_ptr(what), source: CStr::from_ptr(source), line };
                c_int::from((*ud.cast::<F>())(&frame))
            }
        }
        // SAFETY: the caller's promise; `frame` gets the visitor, which outlives the call.
        unsafe { (self.stack)(thread, frame::<F>, (&raw mut visit).cast()) }
    }
}

/// Who is told of the allocations looked at.
pub trait SampleSink: Send {
    /// `thread` has taken a block that stands for `bytes` of its kind.
    ///
    /// # Safety
    /// `thread` is a live thread of a state with this core, in the middle of an allocation: it may be looked at only.
    unsafe fn sample(&mut self, core: &Core, thread: *mut c_void, bytes: u64);

    /// Called once, when no more samples come.
    ///
    /// # Errors
    /// A line for the user: what went wrong.
    fn finish(&mut self) -> Result<(), String>;
}

/// A profile that is on.
pub(super) struct Sampler {
    mean_bytes: f64,
    random: u64,
    /// Bit c: the next refill of class c is looked at.
    due: [u64; CLASS_COUNT.div_ceil(64)],
    pub(super) sink: Box<dyn SampleSink>,
}

impl Sampler {
    /// A number above 0, up to 1.
    fn uniform(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// How many blocks of `size` bytes go by before the next that is looked at.
    fn blocks_to_pass(&mut self, size: usize) -> u64 {
        (-self.uniform().ln() * self.mean_bytes / size as f64) as u64
    }

    /// The chance that a block of `size` bytes is looked at.
    fn chance(&self, size: usize) -> f64 {
        1.0 - (-(size as f64) / self.mean_bytes).exp()
    }

    fn is_due(&self, class: Class) -> bool {
        self.due[class / 64] & (1 << (class % 64)) != 0
    }

    fn set_due(&mut self, class: Class, due: bool) {
        let bit = 1 << (class % 64);
        self.due[class / 64] = if due { self.due[class / 64] | bit } else { self.due[class / 64] & !bit };
    }
}

impl RawPool {
    /// What the Lua core says of itself; called when a state gets this pool.
    pub(crate) fn set_core(&mut self, core: *const Core) {
        self.core = core;
    }

    /// Objects of `thread`'s state by type, in Lua's numbering; at 0 the bytes that belong to no object. `None` if the
    /// Lua is not one with the fast path. Takes time proportional to the number of objects.
    ///
    /// # Safety
    /// `thread` is a live thread of a state on this pool, or of one whose objects all went with it.
    pub unsafe fn census(&self, thread: *mut c_void) -> Option<[TypeCensus; TYPE_COUNT]> {
        let mut types = [TypeCensus::default(); TYPE_COUNT];
        // SAFETY: null or a constant of the core's; the rest is the caller's promise.
        unsafe {
            let core = self.core.as_ref()?;
            (core.census)(thread, types.as_mut_ptr());
        }
        Some(types)
    }

    /// Starts looking at one byte in `mean_bytes` (at least 1) on average. False if the Lua on this pool cannot tell
    /// what it runs.
    pub(crate) fn start_sampling(&mut self, mean_bytes: usize, sink: Box<dyn SampleSink>) -> bool {
        if self.core.is_null() {
            return false;
        }
        self.sampler = Some(Box::new(Sampler {
            mean_bytes: mean_bytes.max(1) as f64,
            random: 0x9E37_79B9_7F4A_7C15,
            due: Default::default(),
            sink,
        }));
        true
    }

    /// Stops, and gives back who was told.
    pub(crate) fn stop_sampling(&mut self) -> Option<Box<dyn SampleSink>> {
        self.sampler.take().map(|sampler| sampler.sink)
    }

    /// As [`RawPool::refill`], for `thread` (null for one not known), with a profile on.
    #[cold]
    #[inline(never)]
    pub(super) fn refill_sampled(&mut self, class: Class, thread: *mut c_void) -> *mut u8 {
        let Some(sampler) = &mut self.sampler else { return ptr::null_mut() };
        let size = block_size(class);
        let mut most = sampler.blocks_to_pass(size);
        let looked_at = sampler.is_due(class) || most == 0;
        if looked_at {
            most = 1 + sampler.blocks_to_pass(size);
        }
        let most = u32::try_from(most).unwrap_or(u32::MAX);

        let block = self.fill_list(class, most);
        let Some(sampler) = &mut self.sampler else { return block };
        if block.is_null() {
            return block;
        }
        sampler.set_due(class, 1 + length(self.lists.free[class]) == most);
        if looked_at {
            let weight = size as f64 / sampler.chance(size);
            // SAFETY: the core is set while there is a sampler; `thread` is the caller's, in its refill.
            unsafe { Sampler::look(sampler, self.core, thread, weight) };
        }
        block
    }

    /// A block of `bytes` was taken by `thread` without a refill.
    ///
    /// # Safety
    /// `thread` is a live thread of a state with the fast path, on this pool.
    pub(crate) unsafe fn sample(&mut self, bytes: usize, thread: *mut c_void) {
        let Some(sampler) = &mut self.sampler else { return };
        let chance = sampler.chance(bytes);
        if sampler.uniform() <= chance {
            // SAFETY: the core is set while there is a sampler; the rest is the caller's promise.
            unsafe { Sampler::look(sampler, self.core, thread, bytes as f64 / chance) };
        }
    }
}

impl Sampler {
    /// # Safety
    /// `core` is a live core; `thread` is null or a live thread of a state of its.
    unsafe fn look(&mut self, core: *const Core, thread: *mut c_void, weight: f64) {
        if !thread.is_null() {
            // SAFETY: the caller's promise.
            unsafe { self.sink.sample(&*core, thread, weight.round() as u64) };
        }
    }
}

fn length(mut list: *mut FreeBlock) -> u32 {
    let mut length = 0;
    while !list.is_null() {
        length += 1;
        // SAFETY: an allocation list holds free blocks of its pool.
        list = unsafe { (*list).next };
    }
    length
}
