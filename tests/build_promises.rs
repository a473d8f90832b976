//! What the build promises: it works from a package, offline, from a path with a space and with clang, compiles once,
//! and refuses changed inputs with a message that names them.
//!
//! Each test compiles the crate from a copy of its own, so they run on demand: `cargo test --test build_promises --
//! --ignored`. They share one target folder, in which the dependencies are compiled once.
#![cfg(feature = "programs")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use assert_cmd::Command;
use flate2::read::GzDecoder;
use support::{lua, scratch};

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn the_package_builds_offline_in_a_path_with_a_space() {
    let copy = Copy::new();
    copy.cargo("build").args(["--locked", "--offline"]).assert().success();
    for program in ["lua54", "lua54_pool"] {
        lua(target().join("debug").join(program).to_str().expect("a path in Unicode"))
            .args(["-e", "print(_VERSION)"])
            .assert()
            .success()
            .stdout("Lua 5.4\n");
    }
}

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn a_second_build_compiles_nothing() {
    let copy = Copy::new();
    copy.cargo("build").arg("--offline").assert().success();
    let again = copy.cargo("build").args(["--offline", "--verbose"]).assert().success();
    let messages = String::from_utf8_lossy(&again.get_output().stderr).into_owned();
    assert!(messages.contains("Fresh lua_pool_allocator"), "{messages}");
    assert!(!messages.contains("Dirty") && !messages.contains("Compiling"), "{messages}");
}

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn cargo_install_gives_working_programs() {
    let copy = Copy::new();
    let root = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    copy.cargo("install").args(["--offline", "--debug", "--path", ".", "--root"]).arg(root.path()).assert().success();
    for program in ["lua54", "lua54_pool", "lua54_compare"] {
        Command::new(root.path().join("bin").join(program)).arg("--version").assert().success();
    }
}

#[test]
#[ignore = "needs clang; .ci/run installs it"]
fn clang_builds_working_programs() {
    let copy = Copy::new();
    copy.cargo("build").env("CC", "clang").arg("--offline").assert().success();
    lua(target().join("debug/lua54_pool").to_str().expect("a path in Unicode"))
        .args(["-e", "local t = {} for i = 1, 1e5 do t[i] = {i} end print(#t)"])
        .assert()
        .success()
        .stdout("100000\n");
}

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn a_source_that_is_not_lua_5_4_4_stops_the_build() {
    let copy = Copy::new();
    let list = copy.path().join("vendor/lua-5.4.4.sha256");
    let sums = fs::read_to_string(&list).expect("the list of sums");
    let line = sums.lines().find(|line| line.ends_with("  lapi.c")).expect("the sum of lapi.c");
    let other = format!("{}  lapi.c", "0".repeat(64));
    fs::write(&list, sums.replace(line, &other)).expect("a changed list of sums");
    copy.fails_with(&["error: ", "is not Lua 5.4.4's lapi.c", "vendor/lua-5.4.4.sha256", "fetch lua-src 544.0.1 anew"]);
}

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn a_source_that_is_missing_stops_the_build() {
    let copy = Copy::new();
    let list = copy.path().join("vendor/lua-5.4.4.sha256");
    let sums = fs::read_to_string(&list).expect("the list of sums");
    fs::write(&list, format!("{sums}{}  lextra.c\n", "0".repeat(64))).expect("a longer list of sums");
    copy.fails_with(&["error: ", "lextra.c"]);
}

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn a_patch_that_no_longer_applies_stops_the_build() {
    let copy = Copy::new();
    let patch = "--- a/lapi.c\n+++ b/lapi.c\n@@ -1,2 +1,2 @@\n-this line\n+is not there\n nor is this\n";
    fs::write(copy.path().join("vendor/speed-stale.patch"), patch).expect("a patch");
    copy.fails_with(&["error: ", "vendor/speed-stale.patch", "lapi.c", "hunk #1"]);
}

#[test]
#[ignore = "compiles the crate anew; .ci/run runs it"]
fn a_patch_for_neither_program_stops_the_build() {
    let copy = Copy::new();
    fs::write(copy.path().join("vendor/other.patch"), "").expect("a patch");
    copy.fails_with(&["error: ", "vendor/other.patch"]);
}

/// One target folder for all builds, kept for the next run.
fn target() -> PathBuf {
    scratch().join("build-promises")
}

/// What `cargo package` would publish, unpacked in a folder with a space in its name. There is one at a time: the
/// tests share the folder and the target folder, and each build replaces the programs of the one before.
struct Copy {
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Copy {
    fn new() -> Copy {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = scratch().join("with a space");
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("the copy of the test before can be removed");
        }
        let mut packed = tar::Archive::new(GzDecoder::new(File::open(package()).expect("the package")));
        // A package's files all bear one old date, by which cargo would take changed ones for unchanged.
        packed.set_preserve_mtime(false);
        packed.unpack(&folder).expect("the package can be unpacked");
        Copy { folder, _turn: turn }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION")))
    }

    fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = cargo(subcommand);
        cargo.current_dir(self.path());
        cargo
    }

    /// The build fails, and its messages contain all of `expected`.
    fn fails_with(&self, expected: &[&str]) {
        let output = self.cargo("build").arg("--offline").assert().failure();
        let messages = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        for part in expected {
            assert!(messages.contains(part), "`{part}` is not in:\n{messages}");
        }
    }
}

/// The file that `cargo package` makes, which must not need the network.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let mut cargo = cargo("package");
        cargo
            .args(["--package", "lua_pool_allocator", "--offline", "--no-verify", "--allow-dirty"])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.assert().success();
        let name = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), ".crate");
        target().join("package").join(name)
    })
}

fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.arg(subcommand).env("CARGO_TARGET_DIR", target());
    // Set for this test by its own cargo; the one it starts has another package to build.
    for name in ["CC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    cargo
}
