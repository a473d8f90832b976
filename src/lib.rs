pub mod pool {
    pub mod layout;
}
#[cfg(feature = "programs")]
#[doc(hidden)]
pub mod compare;
#[cfg(feature = "programs")]
mod os;
