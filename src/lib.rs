pub mod pool {
    pub mod layout;
}
