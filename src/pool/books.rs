//! The books of size classes with chunks of their own. They lie at the end of the pool's first unit, and nothing touches
//! that memory before a class needs its first chunk: an idle Lua state never does, and saves three pages.

use core::ops::{Index, IndexMut};
use core::ptr;

use super::chunk::{self, ChunkQueue};
use super::layout::{CHUNK_SIZE, CLASS_COUNT, ChunkHeader, FreeBlock};
use super::size_class::Class;

/// The books of one size class.
///
/// When there is no memory, an allocation list may have blocks of a larger class; books are kept by the class that the
/// block is of. Identities, with what [`Bootstrap`](super::bootstrap::Bootstrap) counts added to
/// both: allocations = `handed` - blocks on allocation lists; frees = `returned` + the sum of `free_count()` over the
/// class's chunks + its blocks on the lists of mixed chunks; live = allocations - frees.
#[repr(C)]
pub struct ClassState {
    /// Chunks that have freed blocks.
    pub queue: ChunkQueue,
    /// The chunk that still has blocks to carve; may be in the queue as well.
    pub carving: *mut ChunkHeader,
    /// Blocks put on an allocation list, ever.
    pub handed: u64,
    /// Freed blocks taken back from chunks, ever.
    pub returned: u64,
    /// Chunks acquired, ever.
    pub chunks_acquired: u64,
    /// Chunks released, ever.
    pub chunks_released: u64,
    /// In pools that may not cut freed blocks: those of the bootstrap unit that wait until the class would need another
    /// chunk.
    pub parked: *mut FreeBlock,
    /// Length of `parked`.
    pub parked_count: u32,
}

impl ClassState {
    const EMPTY: ClassState = ClassState {
        queue: ChunkQueue::EMPTY,
        carving: ptr::null_mut(),
        handed: 0,
        returned: 0,
        chunks_acquired: 0,
        chunks_released: 0,
        parked: ptr::null_mut(),
        parked_count: 0,
    };

    /// The next blocks, of `size` bytes and no more than `most`, of the chunk being carved.
    ///
    /// # Safety
    /// `carving` is a live chunk of this class with blocks left.
    pub unsafe fn carve(&mut self, size: usize, most: u32) -> *mut FreeBlock {
        // SAFETY: the caller's promise.
        unsafe {
            let (list, count) = chunk::carve(self.carving, size, most);
            if !(*self.carving).can_carve() {
                self.carving = ptr::null_mut();
            }
            self.handed += u64::from(count);
            list
        }
    }

    /// The parked blocks; null if there are none.
    pub fn take_parked(&mut self) -> *mut FreeBlock {
        let taken = self.parked;
        self.handed += u64::from(self.parked_count);
        (self.parked, self.parked_count) = (ptr::null_mut(), 0);
        taken
    }
}

/// What was counted up to the last [`RawPool::reset_counts`](super::RawPool::reset_counts).
pub struct CountsBefore {
    /// Allocations and frees of each class.
    pub classes: [(u64, u64); CLASS_COUNT - 1],
    /// Allocations and frees of large blocks.
    pub large: (u64, u64),
    pub purged_bytes: u64,
    pub memory_calls: u64,
    pub limit_refusals: u64,
}

/// What lies at [`BOOKS_OFFSET`], once it is needed. All zero at first.
#[repr(C, align(64))]
struct Books {
    classes: [ClassState; CLASS_COUNT],
    counted_before: CountsBefore,
}

/// Where these books are in the pool's first unit.
pub const BOOKS_OFFSET: usize = CHUNK_SIZE - size_of::<Books>();

/// A class's books, by index. Reading them never touches memory that nobody has written; writing opens them.
pub struct ClassBooks {
    /// Where the books are, or will be.
    place: *mut Books,
    open: bool,
}

/// What classes have before the books are open.
struct Empty(ClassState);

// SAFETY: nobody writes to it, and its pointers are null.
unsafe impl Sync for Empty {}

static EMPTY: Empty = Empty(ClassState::EMPTY);

impl ClassBooks {
    /// Books in the unit at `base` that are not open yet.
    ///
    /// # Safety
    /// As long as the books are used, nobody else uses the memory from [`BOOKS_OFFSET`] to the end of the unit.
    pub unsafe fn closed(base: *mut u8) -> ClassBooks {
        // SAFETY: the offset is inside the unit.
        ClassBooks { place: unsafe { base.add(BOOKS_OFFSET).cast() }, open: false }
    }

    /// Whether any class has had a chunk, or anything else to write here.
    #[inline]
    pub fn are_open(&self) -> bool {
        self.open
    }

    #[cold]
    fn open(&mut self) {
        // SAFETY: the place is these books' own, as `closed` was promised; books that are all zero are valid.
        unsafe { self.place.write_bytes(0, 1) };
        self.open = true;
    }

    /// What was counted before the last reset, if there was one.
    pub fn counted_before(&self) -> Option<&CountsBefore> {
        // SAFETY: open, so it has been written.
        self.open.then(|| unsafe { &(*self.place).counted_before })
    }

    pub fn set_counted_before(&mut self, counts: CountsBefore) {
        if !self.open {
            self.open();
        }
        // SAFETY: open, and `&mut self` makes this the only access.
        unsafe { (*self.place).counted_before = counts };
    }
}

impl Index<Class> for ClassBooks {
    type Output = ClassState;

    #[inline]
    fn index(&self, class: Class) -> &ClassState {
        if !self.open {
            return &EMPTY.0;
        }
        // SAFETY: open, so they have been written.
        unsafe { &(*self.place).classes[class] }
    }
}

impl IndexMut<Class> for ClassBooks {
    #[inline]
    fn index_mut(&mut self, class: Class) -> &mut ClassState {
        if !self.open {
            self.open();
        }
        // SAFETY: open, and `&mut self` makes this the only access.
        unsafe { &mut (*self.place).classes[class] }
    }
}
