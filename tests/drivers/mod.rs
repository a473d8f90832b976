//! What fuzzing, the replay of its corpus and the differential tests share: each driver takes bytes, and panics if
//! anything is wrong.

pub mod arrangement;
pub mod generator;
pub mod lua_source;
pub mod model;
pub mod pool_operations;
