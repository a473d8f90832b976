//! Rust hosts: the library with our own Lua, and with mlua.

use std::process::Command;

use crate::blocks_served;
use crate::build::{root, succeeds};
use crate::support::{c_compiler, scratch};

/// One of this package's examples, built as the tests themselves are.
fn example(name: &str) -> Command {
    let tests = std::env::current_exe().expect("the path of this test program");
    // target/PROFILE/deps/TESTS
    let profile = tests.ancestors().nth(2).expect("a folder for the profile");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "lua_pool_allocator", "--example", name, "--profile"]);
    let profile_name = if profile.ends_with("debug") { "dev".as_ref() } else { profile.file_name().expect("a name") };
    cargo.arg(profile_name).arg("--target-dir").arg(profile.parent().expect("the target folder"));
    c_compiler::run(cargo.current_dir(root()));
    Command::new(profile.join("examples").join(name))
}

#[test]
fn a_rust_host_runs_a_script_and_meets_its_limit() {
    let (out, err) = succeeds(&mut example("rust_host"));
    assert_eq!(out, "20000\tword 1\tword 9999\nnot enough memory\nstill here\n");
    assert!(blocks_served(&err) > 50_000, "{err}");
}

#[test]
fn a_server_s_threads_share_a_group() {
    let (out, err) = succeeds(&mut example("threads_server"));
    let (served, group) = out.split_once('\n').expect("two lines");
    assert_eq!(served, "200 connections, 1000 requests, 50000 words");
    let figures: Vec<u64> = group.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [peak, cached, reused, refused] = figures[..] else { panic!("{group}") };
    assert!(peak <= 64 << 20 && (1..=peak).contains(&cached) && reused > 150 && refused == 0, "{group}");
    assert_eq!(err, "");
}

#[test]
#[ignore = "builds mlua and three Luas: cargo test --release --test hosts -- --ignored"]
fn mlua_hosts_run_on_the_pool() {
    for lua in ["lua54", "lua55", "luajit"] {
        let target = scratch().join("mlua_host");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--no-default-features", "--features", lua, "--target-dir"]).arg(&target);
        c_compiler::run(cargo.current_dir(root().join("examples/mlua_host")));
        let program = target.join("release/mlua_host");
        for mode in ["--attach", "--newstate"] {
            for (script, expected) in [(None, "20000\tword 1\tword 9999\n"), (Some("pushes"), "1000 90000300000\n")] {
                let (out, err) = succeeds(Command::new(&program).arg(mode).args(script));
                assert_eq!(out, expected, "{lua} {mode}");
                assert!(blocks_served(&err) > 50_000, "{lua} {mode}: {err}");
            }
        }
        let (_, err) = succeeds(Command::new(&program).arg("--system"));
        assert_eq!(err, "");
    }
}
