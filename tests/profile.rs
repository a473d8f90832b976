//! `--pool-profile` and `alloc.profile`: where a script takes memory.
#![cfg(feature = "programs")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

const POOL: &str = env!("CARGO_BIN_EXE_lua54_pool");

/// Takes about 9 parts of 10 in `hungry`: tables of 48 + 32 bytes; the rest is strings.
const SCRIPT: &str = "local keep = {}
local function hungry(n) for i = 1, n do keep[i % 100] = {i, i} end end
local function modest(n) for i = 1, n do keep[i % 100] = 'item ' .. i end end
hungry(9e5)
modest(1e5)
for i = 1, 10 do keep[1] = ('x'):rep(1e5) end
";

fn run(options: &[&str], script: &str) -> Output {
    Command::new(POOL).args(options).args(["-e", script]).output().expect("the program starts")
}

fn succeed(options: &[&str], script: &str) -> String {
    let output = run(options, script);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).expect("text")
}

/// Stacks and their bytes.
fn folded(path: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).expect("the profile");
    let split = |line: &str| {
        let (stack, bytes) = line.rsplit_once(' ').expect("a stack and its bytes");
        (stack.to_owned(), bytes.parse().expect("bytes"))
    };
    text.lines().map(split).collect()
}

/// Bytes of the stacks that have a function of this name in them.
fn bytes_in(stacks: &BTreeMap<String, u64>, name: &str) -> u64 {
    let has = |stack: &str| stack.split(';').any(|frame| frame.starts_with(&format!("{name} (")));
    stacks.iter().filter(|(stack, _)| has(stack)).map(|(_, bytes)| bytes).sum()
}

#[test]
fn who_takes_most_is_seen_with_what_it_takes() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let path = folder.path().join("out.folded");
    succeed(&[&format!("--pool-profile={}", path.display()), "--pool-profile-bytes=16K"], SCRIPT);
    let stacks = folded(&path);
    let (all, hungry) = (stacks.values().sum::<u64>(), bytes_in(&stacks, "hungry"));
    // 900,000 tables with two places each, and at 5,000 samples an error of some percent.
    let expected = 900_000 * (48 + 32);
    assert!(hungry.abs_diff(expected) < expected / 10, "{hungry} of {expected}: {stacks:#?}");
    assert!(hungry > all / 10 * 8, "{stacks:#?}");
    // The big strings, and the buffers that they were put together in.
    let rep = bytes_in(&stacks, "rep");
    assert!(rep.abs_diff(2_000_000) < 500_000, "{rep}: {stacks:#?}");
    assert!(stacks.keys().any(|stack| stack.contains("main chunk") && stack.contains(";hungry (")), "{stacks:#?}");
}

#[test]
fn a_name_that_ends_in_svg_gets_a_flame_graph() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let path = folder.path().join("out.svg");
    let script = format!("print(alloc.profile('{}', 16384)) {SCRIPT} print(alloc.profile())", path.display());
    assert_eq!(succeed(&[], &script), "true\ntrue\n");
    let svg = std::fs::read_to_string(&path).expect("the profile");
    assert!(svg.starts_with("<svg ") && svg.contains("<title>hungry ("), "{svg}");
}

#[test]
fn a_profile_is_written_however_the_program_ends_and_only_what_was_taken_while_it_was_on_counts() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let path = folder.path().join("out.folded");
    for end in ["os.exit(0)", "os.exit(0, true)", "error('bad')", "alloc.profile()"] {
        let script = format!(
            "local function before() for i = 1, 1e5 do local t = {{}} end end
            local function inside() for i = 1, 1e5 do local t = {{}} end end
            before() alloc.profile('{}', 4096) inside() {end}",
            path.display()
        );
        run(&[], &script);
        let stacks = folded(&path);
        assert!(bytes_in(&stacks, "inside") > 3_000_000 && bytes_in(&stacks, "before") == 0, "{end}: {stacks:#?}");
        std::fs::remove_file(&path).expect("it was written");
    }
}

#[test]
fn looking_at_blocks_changes_no_count() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let script = format!(
        "local function repeated() {} end repeated()
        for _, class in ipairs(alloc.stats().classes) do print(class.size, class.allocations, class.live) end",
        SCRIPT.replace("e5", "e3")
    );
    // By variables, for options would be strings in the script's `arg`.
    let counts = |settings: &[(&str, &str)]| {
        let mut command = Command::new(POOL);
        let output = command.args(["-e", &script]).envs(settings.iter().copied()).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let without = counts(&[]);
    let path = folder.path().join("out.folded");
    let path = path.to_str().expect("a path in Unicode");
    for bytes in ["1", "5000", "512K"] {
        let settings = [("LUA_POOL_PROFILE", path), ("LUA_POOL_PROFILE_BYTES", bytes), ("LUA_POOL_CHECK", "1")];
        assert_eq!(counts(&settings), without, "{bytes}");
    }
}

#[test]
fn coroutines_and_finalizers_are_seen_with_their_own_stacks() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let path = folder.path().join("out.folded");
    let script = "
        local function inner() for i = 1, 1e4 do local t = {i}; if i % 100 == 0 then coroutine.yield() end end end
        for i = 1, 100 do
            local resume = coroutine.wrap(inner)
            for i = 1, 101 do resume() end
            setmetatable({}, {__gc = function() for i = 1, 1000 do local t = {i} end end})
        end";
    succeed(&[&format!("--pool-profile={}", path.display()), "--pool-profile-bytes=512"], script);
    let stacks = folded(&path);
    let inner: u64 = stacks.iter().filter(|(stack, _)| stack.starts_with("function (")).map(|(_, bytes)| bytes).sum();
    assert!(inner > 50_000_000, "{stacks:#?}");
    assert!(bytes_in(&stacks, "__gc") > 1_000_000, "{stacks:#?}");
}

#[test]
fn what_cannot_be_written_is_one_line() {
    let folder = tempfile::tempdir_in(support::scratch()).expect("a folder");
    let path = folder.path().join("no folder").join("out.svg");
    let output = run(&[&format!("--pool-profile={}", path.display())], "print 'not reached'");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.lines().count(), output.stdout.len()), (Some(1), 1, 0), "{errors}");
    assert!(errors.contains("out.svg"), "{errors}");
    let script = format!("print(alloc.profile('{}'))", path.display());
    assert!(succeed(&[], &script).starts_with("nil\tcannot write the profile "));
    for option in ["--pool-profile=", "--pool-profile-bytes=0", "--pool-profile-bytes=x"] {
        let output = run(&[option], "");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{option}: {errors}");
    }
}
