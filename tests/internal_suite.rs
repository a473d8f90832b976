//! The official suite with Lua's internal test library T, and T's memory from the pool: T checks Lua's structures,
//! makes any request for memory fail, and reaches the API directly.
#![cfg(all(feature = "programs", unix))]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{c_compiler, official_suite, scratch};

#[test]
fn lua_on_the_pool_passes_the_user_tests() {
    official_suite::passes(program(), &["-e", official_suite::USER_MODE], &[], &["testC not active"]);
}

#[test]
fn lua_on_the_pool_passes_the_internal_tests() {
    // T makes Lua format '%a' itself, which takes no modifiers.
    official_suite::passes(
        program(),
        &[],
        &[],
        &["pt_BR locale not available", "modifiers for format '%a' not available"],
    );
}

/// Our Lua built with T, on the pool.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build)
}

fn build() -> PathBuf {
    let folder = scratch().join("internal-suite");
    let allocator = build_allocator(&folder);
    let sources = c_compiler::lua_include().with_file_name("lua54_pool");
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = package.join("tests/internal_suite");
    let program = folder.join("lua");

    let mut compile = c_compiler::compiler();
    compile.args(["-std=gnu99", "-O2", "-DLUA_COMPAT_5_3", "-DLUA_USER_H=\"user.h\""]);
    // The suite's heaps are small, and the collector's ways through large ones are to be checked.
    compile.arg("-DLARGEHEAP=0");
    compile.arg(if cfg!(target_os = "macos") { "-DLUA_USE_MACOSX" } else { "-DLUA_USE_LINUX" });
    for headers in [&ours, &folder, &sources, &package.join("include")] {
        compile.arg("-I").arg(headers);
    }
    compile.arg(ours.join("lua_and_ltests.c")).arg(folder.join("lua.c"));
    for name in ["ltests.h", "ltests.c", "lua.c"] {
        let fetched = official_suite::file(name).unwrap_or_else(|| {
            panic!("{name} is not in LUA_TESTS_DIR: put that of Lua 5.4.4 there, or unset LUA_TESTS_DIR")
        });
        // Copied: the fetched tree has a Lua without our fixes beside these files.
        let copy = folder.join(name);
        fs::copy(fetched, &copy).unwrap_or_else(|e| panic!("{}: {e}", copy.display()));
    }
    compile.arg(allocator).args(["-rdynamic", "-lm", "-ldl", "-lpthread", "-o"]).arg(&program);
    c_compiler::run(&mut compile);
    program
}

/// Builds debug_realloc.rs and the pool into a static library, with the pool's debug assertions on.
fn build_allocator(folder: &Path) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--no-default-features", "--example", "debug_realloc", "--config", "profile.dev.opt-level=1"]);
    cargo.arg("--target-dir").arg(folder).current_dir(env!("CARGO_MANIFEST_DIR"));
    c_compiler::run(&mut cargo);
    folder.join("debug/examples/libdebug_realloc.a")
}
