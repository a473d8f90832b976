//! What a hardened pool can find wrong, and how the process ends then.

use std::fmt;

/// What was found wrong. Blocks are named by the addresses that the pool handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// Freed or resized, but never handed out by this pool.
    Foreign { block: usize },
    /// Freed or resized, but inside a block, or where none is.
    NoBlock { block: usize },
    /// Freed again.
    DoubleFree { block: usize },
    /// Resized after it was freed.
    ResizeOfFreed { block: usize },
    /// The caller is wrong about the size.
    SizeMismatch { block: usize, size: usize, told: usize },
    /// Bytes behind the block were written.
    WriteBeyond { block: usize, size: usize },
    /// Bytes before the block were written.
    WriteBefore { block: usize, size: usize },
    /// A free block was written.
    WriteAfterFree { block: usize },
    /// The page behind a large block was touched.
    AccessBeyond { block: usize, size: usize },
    /// The page before a large block was touched.
    AccessBefore { block: usize, size: usize },
    /// What was a large block was touched.
    AccessAfterFree { block: usize },
    /// A free block's link was written.
    CorruptLink { block: usize },
    /// The header of a chunk or of a large block was written.
    CorruptHeader { header: usize },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misuse::Foreign { block } => write!(f, "free of foreign block {block:#x}: it is not from this pool"),
            Misuse::NoBlock { block } => write!(f, "invalid free: no block of this pool starts at {block:#x}"),
            Misuse::DoubleFree { block } => write!(f, "double free of block {block:#x}"),
            Misuse::ResizeOfFreed { block } => write!(f, "resize of block {block:#x}, which was freed"),
            Misuse::SizeMismatch { block, size, told } => {
                write!(f, "size mismatch: block {block:#x} has {size} bytes, its user says {told}")
            }
            Misuse::WriteBeyond { block, size } => {
                write!(f, "write beyond the end of block {block:#x} of {size} bytes")
            }
            Misuse::WriteBefore { block, size } => {
                write!(f, "write before the start of block {block:#x} of {size} bytes")
            }
            Misuse::WriteAfterFree { block } => write!(f, "write to block {block:#x} after it was freed"),
            Misuse::AccessBeyond { block, size } => {
                write!(f, "access beyond the end of large block {block:#x} of {size} bytes")
            }
            Misuse::AccessBefore { block, size } => {
                write!(f, "access before the start of large block {block:#x} of {size} bytes")
            }
            Misuse::AccessAfterFree { block } => write!(f, "access to large block {block:#x} after it was freed"),
            Misuse::CorruptLink { block } => write!(f, "corrupt free list: the link of block {block:#x} was written"),
            Misuse::CorruptHeader { header } => write!(f, "corrupt chunk header {header:#x}"),
        }
    }
}

/// Ends the process with a line that names the misuse: nothing in the pool can be trusted any more.
#[cold]
pub fn die(misuse: Misuse) -> ! {
    eprintln!("lua_pool: {misuse}");
    std::process::abort();
}
