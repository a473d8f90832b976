//! Bytes as requests to pools, against the model.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../tests/drivers/mod.rs"]
mod drivers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::arrangement::run(data));
