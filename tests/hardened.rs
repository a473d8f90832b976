//! Hardened pools: each misuse ends the process with a line that names it; whatever is no misuse goes on as ever.
#![cfg(all(feature = "programs", unix))]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use support::{c_compiler, scratch, without_lua_settings};

/// Small blocks, some of them as large as a class, and of the last class.
const SMALL: [usize; 6] = [40, 64, 104, 1000, 5120, 16_000];
/// Large blocks, one of them of whole pages, and one that is a mapping of its own in any pool.
const LARGE: [usize; 4] = [20_000, 32_768, 70_001, 3_000_000];

/// The folder of the module, compiled once.
fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let folder = scratch().join("hardened");
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hardened/misuse.c");
        // No optimization: the compiler need not know better.
        let mut compile = c_compiler::compiler();
        compile.args(["-O0", "-w", "-fPIC", "-shared"]).arg("-I").arg(c_compiler::lua_include());
        c_compiler::run(compile.arg("-o").arg(folder.join("misuse.so")).arg(source));
        folder
    })
}

fn run(hardened: bool, options: &[&str], script: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lua54_pool"));
    without_lua_settings(&mut command);
    if hardened {
        command.env("LUA_POOL_HARDENED", "1");
    }
    command.env("LUA_CPATH", module().join("?.so")).args(options).args(["-e", script]).output().expect("it starts")
}

/// The process was ended by a signal, after exactly one line, which has all of `parts`.
fn dies(script: &str, parts: &[&str]) {
    use std::os::unix::process::ExitStatusExt as _;
    let output = run(true, &[], script);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.signal().is_some(), "{script}: {}\n{messages}", output.status);
    assert_eq!(messages.lines().count(), 1, "{script}:\n{messages}");
    assert!(messages.starts_with("lua_pool: "), "{script}:\n{messages}");
    for part in parts {
        assert!(messages.contains(part), "{script}: no {part:?} in\n{messages}");
    }
}

fn all_die(misuse: &str, sizes: &[usize], message: &str) {
    for size in sizes {
        dies(&format!("require('misuse').{misuse}({size})"), &[message]);
    }
}

fn all() -> Vec<usize> {
    [&SMALL[..], &LARGE[..]].concat()
}

fn lives(options: &[&str], script: &str) -> String {
    let output = run(true, options, script);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && messages.is_empty(), "{script}: {}\n{messages}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_block_freed_twice_is_named() {
    all_die("double_free", &all(), "double free of block 0x");
    all_die("double_free_later", &all(), "double free of block 0x");
}

#[test]
fn a_freed_block_is_not_resized() {
    all_die("resize_freed", &all(), ", which was freed");
}

#[test]
fn foreign_blocks_are_not_freed() {
    all_die("foreign_free", &all(), "free of foreign block 0x");
    all_die("stack_free", &[64], "free of foreign block 0x");
    all_die("wild_free", &[64], "free of foreign block 0x123456789abcdef0: it is not from this pool");
}

#[test]
fn blocks_are_freed_by_their_start() {
    all_die("free_inside", &all(), "invalid free: no block of this pool starts at 0x");
    all_die("free_inside_aligned", &all(), "invalid free: no block of this pool starts at 0x");
}

#[test]
fn a_wrong_size_is_named() {
    for size in all() {
        let script = |misuse| format!("require('misuse').{misuse}({size})");
        let has = format!(" has {size} bytes, its user says ");
        dies(&script("wrong_size"), &["size mismatch: block 0x", &has, &(size + 1).to_string()]);
        dies(&script("resize_wrong_size"), &["size mismatch: block 0x", &has, &(size - 1).to_string()]);
    }
}

#[test]
fn a_byte_beyond_the_end_is_noticed() {
    // Of large blocks, when there is room left before the next page.
    for size in SMALL.into_iter().chain([20_001, 70_001]) {
        let message = format!(" of {size} bytes");
        for misuse in ["write_beyond", "write_beyond_resize"] {
            dies(&format!("require('misuse').{misuse}({size})"), &["write beyond the end of block 0x", &message]);
        }
    }
    // The length of a userdata is that of its block, less a header.
    for misuse in ["write_beyond_userdata", "write_beyond_until_close"] {
        all_die(misuse, &SMALL, "write beyond the end of block 0x");
    }
}

#[test]
fn a_byte_before_the_start_is_noticed() {
    for size in all() {
        // A large block of whole pages starts a page.
        let access = if size == 32_768 {
            "access before the start of large block 0x"
        } else {
            "write before the start of block 0x"
        };
        dies(&format!("require('misuse').write_before({size})"), &[access, &format!(" of {size} bytes")]);
    }
}

#[test]
fn a_write_to_a_freed_block_is_noticed() {
    all_die("write_freed", &SMALL, " after it was freed");
    all_die("write_freed_reused", &SMALL, " after it was freed");
}

#[test]
fn a_link_that_was_written_is_not_followed() {
    all_die("write_link", &SMALL, "corrupt free list: the link of block 0x");
}

#[test]
fn a_header_that_was_written_is_not_believed() {
    all_die("write_header", &[40, 104], "corrupt chunk header 0x");
}

#[test]
fn pages_around_large_blocks_cannot_be_touched() {
    for size in LARGE {
        let of = format!(" of {size} bytes");
        let script = |misuse| format!("require('misuse').{misuse}({size})");
        dies(&script("touch_behind"), &["access beyond the end of large block 0x", &of]);
        dies(&script("touch_before"), &["access before the start of large block 0x", &of]);
    }
}

#[test]
fn a_freed_large_block_cannot_be_touched() {
    all_die("touch_freed", &LARGE, "access to large block 0x");
}

#[test]
fn without_the_option_a_header_that_was_written_is_noticed_all_the_same() {
    let output = run(false, &[], "require('misuse').write_header(40)");
    let messages = String::from_utf8_lossy(&output.stderr);
    let expected = ["lua_pool: the pool is corrupt: chunk 0x", ": somebody wrote across its header\n"];
    assert!(!output.status.success() && expected.iter().all(|part| messages.contains(part)), "{messages}");
}

#[test]
fn what_is_no_misuse_goes_on() {
    for size in all().into_iter().chain([1, 8, 16, 23, 24, 25]) {
        lives(&[], &format!("for i = 1, 100 do require('misuse').behave({size}) end"));
    }
    let churn = "
        local t = {}
        for i = 1, 200000 do
            local k = i * 7919 % 3001
            t[k] = i % 3 == 0 and {i, {}} or ('x'):rep(i % 4000) .. i
            if i % 20011 == 0 then collectgarbage() end
        end
        print(#('y'):rep(1 << 24))";
    assert_eq!(lives(&["--pool-check"], churn), "16777216\n");
}

#[test]
fn limits_hold_and_are_survived() {
    let script = "
        local alloc = require 'alloc'
        local ok, message = pcall(function() local t = {} for i = 1, 1e7 do t[i] = {i} end end)
        assert(not ok and message == 'not enough memory', message)
        collectgarbage()
        local ok = pcall(string.rep, 'x', 1 << 24)
        assert(not ok)
        assert(alloc.stats().hardened)
        print(alloc.stats().peak <= 8 << 20, #('x'):rep(1 << 20))";
    assert_eq!(lives(&["--pool-limit=8M"], script), "true\t1048576\n");
}

#[test]
fn a_full_collection_gives_memory_back_and_the_soft_limit_asks_for_one() {
    let script = "
        local alloc = require 'alloc'
        local t = {} for i = 1, 3e5 do t[i] = {i} end
        local built = alloc.stats()
        t = nil collectgarbage()
        local after = alloc.stats()
        assert(built.used > 4 * after.used and after.cached < built.used / 4)
        collectgarbage('stop') collectgarbage('restart')
        collectgarbage('setpause', 1000)
        for i = 1, 1e6 do local garbage = {i} end
        print(alloc.stats().peak < 3 * built.peak, alloc.trim() >= 0)";
    assert_eq!(lives(&["--pool-soft-limit=4M"], script), "true\ttrue\n");
}

#[test]
fn statistics_say_that_the_pool_is_hardened() {
    let told = |hardened, format: &str| {
        let output = run(hardened, &[format], "");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(told(true, "--pool-stats=json").contains(r#""hardened":true"#));
    assert!(told(false, "--pool-stats=json").contains(r#""hardened":false"#));
    let line = |text: String| text.lines().find(|line| line.contains("hardened")).map(str::to_owned).expect("a line");
    assert!(line(told(true, "--pool-stats")).ends_with(" yes"));
    assert!(line(told(false, "--pool-stats")).ends_with(" no"));
}
