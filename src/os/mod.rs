//! What this crate asks of the operating system, in one place.

#[cfg(feature = "programs")]
pub(crate) mod process;
