//! With the feature `memory-tools`, valgrind and AddressSanitizer report a C module that touches one byte too many,
//! or a block that it has freed.
#![cfg(all(feature = "programs", target_os = "linux"))]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{c_compiler, scratch, without_lua_settings};

/// Sizes of small blocks, some as large as their class, of large ones, and of one that is a mapping of its own.
const SIZES: [usize; 8] = [1, 24, 40, 64, 1000, 5120, 70_000, 3_000_000];
const MISTAKES: [&str; 3] = ["write_beyond", "read_beyond", "read_freed"];

/// lua54_pool with the feature, built once, in the folder where the tests of the build have their dependencies.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = scratch().join("build-promises");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--bin", "lua54_pool", "--features", "memory-tools", "--target-dir"]);
        c_compiler::run(cargo.arg(&target).current_dir(env!("CARGO_MANIFEST_DIR")));
        // The next build in this folder replaces it.
        let program = scratch().join("lua54_pool-memory-tools");
        fs::copy(target.join("debug/lua54_pool"), &program).expect("a copy of the program");
        program
    })
}

/// The folder of the module, compiled with `flags` of the C compiler.
fn module(flags: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/memory_tools/misuse.c");
    let mut compile = c_compiler::compiler();
    compile.args(["-g", "-O1", "-fno-omit-frame-pointer", "-fPIC", "-shared"]).args(flags);
    compile.arg("-I").arg(c_compiler::lua_include());
    c_compiler::run(compile.arg("-o").arg(folder.path().join("misuse.so")).arg(source));
    folder
}

/// Whether the run ended well, and its messages.
fn run(mut command: Command, module: &Path, script: &str) -> (bool, String) {
    without_lua_settings(&mut command);
    let output = command.env("LUA_CPATH", module.join("?.so")).args(["-e", script]).output().expect("it starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn script(mistake: &str, size: usize) -> String {
    format!("require('misuse').{mistake}({size})")
}

/// No mistake, and a good deal of Lua's own work.
fn sound_script() -> String {
    let sizes = SIZES.map(|size| size.to_string()).join(", ");
    format!(
        "local m = require 'misuse'; for _, size in ipairs{{{sizes}}} do assert(m.behave(size) == 1) end
         local t = {{}}; for i = 1, 3000 do t[i] = {{('x'):rep(i % 700)}}; if i % 3 == 0 then t[i - 2] = nil end end
         t = nil; collectgarbage(); print(#('y'):rep(1 << 20))"
    )
}

fn valgrind() -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=9"]).arg(program());
    command
}

#[test]
#[ignore = "builds the program anew and needs valgrind; .ci/run installs it"]
fn valgrind_reports_each_mistake() {
    let module = module(&[]);
    for mistake in MISTAKES {
        let access = if mistake == "write_beyond" { "Invalid write of size 1" } else { "Invalid read of size 1" };
        for size in SIZES {
            // The pool keeps its link in the first 8 bytes of a free block.
            if mistake == "read_freed" && size <= 8 {
                continue;
            }
            let (well, messages) = run(valgrind(), module.path(), &script(mistake, size));
            assert!(!well && messages.contains(access), "{mistake}({size}):\n{messages}");
            assert!(messages.contains(&format!(": {mistake} (misuse.c:")), "{mistake}({size}):\n{messages}");
        }
    }
}

#[test]
#[ignore = "builds the program anew and needs valgrind; .ci/run installs it"]
fn valgrind_finds_nothing_where_nothing_is_wrong() {
    let (well, messages) = run(valgrind(), module(&[]).path(), &sound_script());
    assert!(well && messages.is_empty(), "{messages}");
}

/// The program itself is not compiled for the sanitizer; it gets the library at its start.
fn sanitized() -> Command {
    let mut compiler = c_compiler::compiler();
    let output = compiler.arg("-print-file-name=libasan.so").output().expect("a C compiler");
    let library = String::from_utf8(output.stdout).expect("a path in Unicode").trim().to_owned();
    assert!(fs::exists(&library).unwrap_or(false), "this needs gcc and its libasan, not {library}");
    let mut command = Command::new(program());
    command.env("LD_PRELOAD", library).env("ASAN_OPTIONS", "detect_leaks=0");
    command
}

#[test]
#[ignore = "builds the program anew and needs gcc with its libasan"]
fn address_sanitizer_reports_each_mistake() {
    let module = module(&["-fsanitize=address"]);
    for mistake in MISTAKES {
        for size in SIZES {
            let (well, messages) = run(sanitized(), module.path(), &script(mistake, size));
            assert!(!well && messages.contains("use-after-poison"), "{mistake}({size}):\n{messages}");
            assert!(messages.contains(&format!(" in {mistake} ")), "{mistake}({size}):\n{messages}");
        }
    }
}

#[test]
#[ignore = "builds the program anew and needs gcc with its libasan"]
fn address_sanitizer_finds_nothing_where_nothing_is_wrong() {
    let (well, messages) = run(sanitized(), module(&["-fsanitize=address"]).path(), &sound_script());
    assert!(well && messages.is_empty(), "{messages}");
}
