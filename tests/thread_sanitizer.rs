//! The thread sanitizer looks at pools in several threads: the library, Rust's standard library, and Lua with the fast
//! path inlined, are compiled for it. It needs a nightly compiler with its sources (`rustup toolchain install nightly
//! --component rust-src`) and clang, so it runs on demand:
//!
//! `cargo test --release --test thread_sanitizer -- --ignored`
//!
//! A standard library that is not compiled for the sanitizer would do its waiting for a contended lock out of sight, and
//! what the lock protects would be reported now and then. The threads are made in C, as those of most hosts are.
#![cfg(all(feature = "programs", target_os = "linux", target_arch = "x86_64"))]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::{c_compiler, scratch};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A command of the nightly toolchain.
fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(words);
    // Set for this test by its own cargo.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}

/// The sanitizer's library in the nightly toolchain.
fn runtime() -> PathBuf {
    let output = nightly(&["rustc", "--print", "sysroot"]).output().expect("rustup");
    assert!(
        output.status.success(),
        "there is no nightly compiler: rustup toolchain install nightly --component rust-src"
    );
    let sysroot = String::from_utf8(output.stdout).expect("a path in Unicode");
    Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib/librustc-nightly_rt.tsan.a")
}

/// The program, built once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = scratch().join("thread-sanitizer");
        let mut cargo = nightly(&["cargo", "build", "--release", "--package", "lua_pool_allocator_static"]);
        cargo.args(["-Zbuild-std", "--target", TARGET, "--target-dir"]).arg(&target).current_dir(root);
        cargo.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
        c_compiler::run(&mut cargo);

        let lua = c_compiler::lua_include().with_file_name("lua54_pool");
        let compile = |source: PathBuf, object: &str| {
            let object = target.join(object);
            let mut clang = Command::new("clang");
            clang.args(["-std=gnu99", "-g", "-O1", "-fsanitize=thread", "-DLUA_USE_LINUX", "-c", "-o"]).arg(&object);
            c_compiler::run(clang.arg("-I").arg(&lua).arg("-I").arg(root.join("include")).arg(source));
            object
        };
        let program = target.join("threads");
        let mut link = Command::new("clang");
        link.arg("-o").arg(&program);
        link.arg(compile(root.join("tests/thread_sanitizer/threads.c"), "threads.o"));
        link.arg(compile(lua.join("onelua.c"), "lua.o"));
        link.arg(target.join(TARGET).join("release/liblua_pool_allocator.a"));
        // The sanitizer's part that belongs to the Rust compiler: clang's may be of an older version.
        link.arg("-Wl,--whole-archive").arg(runtime()).arg("-Wl,--no-whole-archive");
        c_compiler::run(link.args(["-rdynamic", "-lm", "-ldl", "-lpthread", "-lrt"]));
        program
    })
}

fn run(what: &str) -> Output {
    Command::new(program()).arg(what).env("TSAN_OPTIONS", "exitcode=66").output().expect("it starts")
}

fn nothing_is_reported(what: &str) {
    let output = run(what);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && messages.is_empty(), "{what}: {}\n{messages}", output.status);
    assert_eq!(output.stdout, b"done\n");
}

#[test]
#[ignore = "needs a nightly compiler and clang"]
fn threads_with_pools_of_their_own_share_nothing_without_a_lock() {
    nothing_is_reported("apart");
}

#[test]
#[ignore = "needs a nightly compiler and clang"]
fn a_pool_can_go_from_thread_to_thread() {
    nothing_is_reported("handed");
}

#[test]
#[ignore = "needs a nightly compiler and clang"]
fn pools_of_a_group_meet_in_its_limit_and_its_cache_without_a_race() {
    nothing_is_reported("grouped");
}

#[test]
#[ignore = "needs a nightly compiler and clang"]
fn a_pool_in_two_threads_at_a_time_is_reported() {
    let output = run("together");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(messages.contains("WARNING: ThreadSanitizer: data race"), "{}\n{messages}", output.status);
}
