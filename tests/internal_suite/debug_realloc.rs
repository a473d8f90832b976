//! The allocator of Lua's internal test library T, over the pool.
//!
//! T's own puts a header before each block and gets it all from malloc. This one keeps T's accounting and its
//! failures on demand, remembers size and type beside the blocks, and hands Lua's exact requests to the pool.
//! Anything wrong ends the program with a message: a panic cannot leave an `extern "C"` function.
#![cfg(unix)]

use std::collections::HashMap;
use std::env;
use std::ffi::{c_int, c_ulong, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use lua_pool_allocator::{Pool, lua_pool_alloc};

/// LUA_NUMTYPES of lua.h.
const LUA_NUMTYPES: usize = 9;
/// What T fills fresh and freed memory with.
const FILL: u8 = 0xAB;
/// A whole-pool check after so many events of the pool's slow path.
const CHECK_INTERVAL: u32 = 64;

/// The variables by which T limits and watches memory; declared in ltests.h.
#[repr(C)]
pub struct Memcontrol {
    failnext: c_int,
    numblocks: c_ulong,
    total: c_ulong,
    maxmem: c_ulong,
    memlimit: c_ulong,
    countlimit: c_ulong,
    objcount: [c_ulong; LUA_NUMTYPES],
}

struct Block {
    size: usize,
    kind: usize,
}

/// One pool for the program: T's scripts make further states, with the same allocator and of the same thread.
struct Memory {
    pool: Pool,
    blocks: HashMap<usize, Block>,
}

static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);

/// Takes the place of the function of this name in ltests.c, which the test makes a weak symbol.
///
/// # Safety
/// Called by Lua as its `lua_Alloc`, with T's `l_memcontrol` as `ud`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn debug_realloc(ud: *mut c_void, block: *mut c_void, osize: usize, nsize: usize) -> *mut c_void {
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = memory.get_or_insert_with(|| Memory {
        pool: Pool::builder().check_interval(CHECK_INTERVAL).build().expect("a pool"),
        blocks: HashMap::new(),
    });
    // SAFETY: the caller's promise; `l_memcontrol` is as ltests.h declares it.
    let control = unsafe { &mut *ud.cast::<Memcontrol>() };
    if control.memlimit == 0 {
        // The first call: T takes its limit from the environment.
        control.memlimit = env::var("MEMLIMIT").map_or(c_ulong::MAX, |limit| limit.parse().expect("MEMLIMIT"));
    }

    let known = memory.blocks.get(&block.addr());
    let (kind, old) = match known {
        _ if block.is_null() => (if osize < LUA_NUMTYPES { osize } else { 0 }, 0),
        Some(known) => (known.kind, known.size),
        None => panic!("Lua passed {block:p}, which is not a live block"),
    };
    assert!(block.is_null() || osize == old, "Lua says that {block:p} has {osize} bytes, but it has {old}");
    // What Lua may not read: the end of a larger block, the whole of a freed one.
    // SAFETY: `size` bytes from `start` are part of a live block.
    let fill = |start: *mut c_void, from: usize, to: usize| unsafe {
        start.cast::<u8>().add(from).write_bytes(FILL, to.saturating_sub(from));
    };

    if nsize == 0 {
        if !block.is_null() {
            fill(block, 0, old);
        }
    } else if refuses(control, old, nsize) {
        return ptr::null_mut();
    }
    // SAFETY: `block` is null or a live block of this pool, which one thread uses.
    let moved = unsafe { lua_pool_alloc(memory.pool.as_ud(), block, osize, nsize) };
    if nsize != 0 && moved.is_null() {
        return moved;
    }

    if memory.blocks.remove(&block.addr()).is_some() {
        control.numblocks -= 1;
        control.total -= old as c_ulong;
        control.objcount[kind] -= 1;
    }
    if nsize == 0 {
        if memory.blocks.is_empty() {
            expect_nothing_left(&memory.pool);
        }
        return moved;
    }
    fill(moved, old, nsize);
    let earlier = memory.blocks.insert(moved.addr(), Block { size: nsize, kind });
    assert!(earlier.is_none(), "the pool gave out {moved:p}, which is in use");
    control.numblocks += 1;
    control.total += nsize as c_ulong;
    control.objcount[kind] += 1;
    control.maxmem = control.maxmem.max(control.total);
    moved
}

/// T's failures on demand: the next request, all after a number of requests, or what goes over a number of bytes.
fn refuses(control: &mut Memcontrol, old: usize, new: usize) -> bool {
    if control.failnext != 0 {
        control.failnext = 0;
        return true;
    }
    if control.countlimit != c_ulong::MAX && new != old {
        if control.countlimit == 0 {
            return true;
        }
        control.countlimit -= 1;
    }
    new > old && control.total.saturating_add((new - old) as c_ulong) > control.memlimit
}

/// Every state is closed: the pool must be whole and empty.
fn expect_nothing_left(pool: &Pool) {
    if let Err(violation) = pool.verify() {
        panic!("{violation}");
    }
    let live = pool.stats().live_bytes;
    assert!(live == 0, "all blocks are freed, but the pool counts {live} bytes");
}
