//! Bytes as a Lua program in a pool with a limit.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of it")]
#[path = "../../tests/drivers/mod.rs"]
mod drivers;

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

libfuzzer_sys::fuzz_target!(|data: &[u8]| drivers::lua_source::run(data));
