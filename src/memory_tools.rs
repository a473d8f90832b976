//! Blocks as valgrind and AddressSanitizer see them, with the feature `memory-tools`: one byte beyond a block, or a
//! byte of a freed one, is reported where it is touched.
//!
//! All of Lua's requests then go through [`request`], which makes every block longer:
//!
//! ```text
//! | bytes asked for | 8 bytes or more that nobody may touch | bytes asked for, as a number |
//! ```
//!
//! Without the feature the functions that the pool calls here are empty.

#[cfg(feature = "memory-tools")]
mod on {
    use core::ffi::c_void;
    use core::ptr;
    use std::sync::OnceLock;

    use crate::pool::RawPool;

    /// What a block is made longer by, at least.
    const EXTRA: usize = 2 * size_of::<usize>();
    /// Where the pool keeps its link in a free block.
    const LINK: usize = size_of::<usize>();

    /// Valgrind's client requests, by the numbers of its headers valgrind.h and memcheck.h.
    #[derive(Clone, Copy)]
    #[repr(usize)]
    enum Valgrind {
        CreatePool = 0x1303,
        DestroyPool = 0x1304,
        PoolAllocate = 0x1305,
        PoolFree = 0x1306,
        NoAccess = (b'M' as usize) << 24 | (b'C' as usize) << 16,
        Undefined = ((b'M' as usize) << 24 | (b'C' as usize) << 16) + 1,
        Defined = ((b'M' as usize) << 24 | (b'C' as usize) << 16) + 2,
    }

    /// Asks valgrind for something; outside of valgrind the instructions do nothing.
    fn ask(request: Valgrind, a: usize, b: usize, c: usize) {
        let arguments = [request as usize, a, b, c, 0, 0];
        // SAFETY: four rotations by 128 bits in all and an exchange of a register with itself change nothing;
        // valgrind knows the sequence, reads the arguments and sets the result.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") arguments.as_ptr(), inout("rdx") 0usize => _,
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!(
                "ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
                in("x4") arguments.as_ptr(), inout("x3") 0usize => _,
            );
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = arguments;
    }

    type Region = unsafe extern "C" fn(start: *const c_void, length: usize);

    /// AddressSanitizer's functions that poison a range and lift that, if the program has them.
    fn sanitizer() -> Option<(Region, Region)> {
        static FOUND: OnceLock<Option<(Region, Region)>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            #[cfg(unix)]
            // SAFETY: the names are C strings; whoever exports these names exports functions of this type.
            unsafe {
                let find = |name: &core::ffi::CStr| libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
                let (poison, lift) = (find(c"__asan_poison_memory_region"), find(c"__asan_unpoison_memory_region"));
                if !poison.is_null() && !lift.is_null() {
                    return Some((
                        core::mem::transmute::<*mut c_void, Region>(poison),
                        core::mem::transmute::<*mut c_void, Region>(lift),
                    ));
                }
            }
            None
        })
    }

    /// Nobody may touch the range.
    fn forbid(start: *mut u8, length: usize) {
        ask(Valgrind::NoAccess, start.addr(), length, 0);
        if let Some((poison, _)) = sanitizer() {
            // SAFETY: the range is the pool's own.
            unsafe { poison(start.cast(), length) };
        }
    }

    /// The range may be written, and what it holds means nothing.
    pub(crate) fn allow(start: *mut u8, length: usize) {
        ask(Valgrind::Undefined, start.addr(), length, 0);
        if let Some((_, lift)) = sanitizer() {
            // SAFETY: the range is the pool's own.
            unsafe { lift(start.cast(), length) };
        }
    }

    pub(crate) fn pool_created(pool: *mut RawPool) {
        ask(Valgrind::CreatePool, pool.addr(), 0, 0);
    }

    pub(crate) fn pool_destroyed(pool: *mut RawPool) {
        ask(Valgrind::DestroyPool, pool.addr(), 0, 0);
    }

    /// The number of bytes asked for is in the last bytes of a block.
    ///
    /// # Safety
    /// `block` is a live block of `pool` from [`allocate`].
    unsafe fn size_place(pool: *mut RawPool, block: *mut u8) -> *mut usize {
        // SAFETY: the caller's promise; blocks have a multiple of 8 bytes, or are as long as was asked for.
        unsafe { block.add(((*pool).usable_size(block) & !7) - size_of::<usize>()).cast() }
    }

    unsafe fn allocate(pool: *mut RawPool, size: usize) -> *mut u8 {
        let Some(longer) = size.checked_next_multiple_of(8).and_then(|size| size.checked_add(EXTRA)) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's promise about the pool; the block has at least `longer` bytes.
        unsafe {
            let block = (*pool).allocate(longer, true);
            if !block.is_null() {
                let place = size_place(pool, block);
                allow(block, (*pool).usable_size(block));
                place.write(size);
                forbid(block.add(size), place.addr() - block.addr() - size);
                ask(Valgrind::PoolAllocate, pool.addr(), block.addr(), size);
            }
            block
        }
    }

    unsafe fn free(pool: *mut RawPool, block: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            let usable = (*pool).usable_size(block);
            ask(Valgrind::PoolFree, pool.addr(), block.addr(), 0);
            forbid(block, usable);
            // The pool itself works with the link; AddressSanitizer does not see what the pool does.
            ask(Valgrind::Defined, block.addr(), LINK, 0);
            (*pool).free(block);
        }
    }

    /// As `lua_pool_alloc`.
    ///
    /// # Safety
    /// As for that.
    pub(crate) unsafe fn request(pool: *mut RawPool, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            if block.is_null() {
                return if size == 0 { ptr::null_mut() } else { allocate(pool, size) };
            }
            if size == 0 {
                free(pool, block);
                return ptr::null_mut();
            }
            let old_size = *size_place(pool, block);
            let new = allocate(pool, size);
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, old_size.min(size));
                free(pool, block);
                return new;
            }
            // No memory for a smaller copy, but the block as it is will do.
            if size <= old_size { block } else { ptr::null_mut() }
        }
    }
}

#[cfg(not(feature = "memory-tools"))]
mod off {
    use crate::pool::RawPool;

    #[inline(always)]
    pub(crate) fn allow(_start: *mut u8, _length: usize) {}

    #[inline(always)]
    pub(crate) fn pool_created(_pool: *mut RawPool) {}

    #[inline(always)]
    pub(crate) fn pool_destroyed(_pool: *mut RawPool) {}
}

#[cfg(not(feature = "memory-tools"))]
pub(crate) use off::*;
#[cfg(feature = "memory-tools")]
pub(crate) use on::*;
