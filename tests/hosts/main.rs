//! The pool inside hosts other than our own programs: C, C++ and Rust, our Lua and Debian's, linked and preloaded.
#![cfg(all(feature = "programs", unix))]

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod build;
mod c_hosts;
mod debian;
mod memory;
mod preload;
mod rust_hosts;

/// What the pool served, from the last line that the examples print: blocks handed out.
fn blocks_served(report: &str) -> u64 {
    let line = report.lines().rfind(|line| line.starts_with("pool: ")).unwrap_or_else(|| panic!("no report: {report}"));
    let number = line["pool: ".len()..].split(' ').next().expect("a word");
    number.parse().unwrap_or_else(|e| panic!("{line}: {e}"))
}
