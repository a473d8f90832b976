//! Everything this crate asks of the operating system and of the C runtime.

#[cfg(feature = "programs")]
pub mod c_runtime;
