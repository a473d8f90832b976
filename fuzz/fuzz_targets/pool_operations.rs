//! Bytes as requests to a pool, against the model.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../tests/drivers/mod.rs"]
mod drivers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::pool_operations::run(data));
