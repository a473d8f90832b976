//! The same script on both programs, with garbage collected at random points: both must print the same, byte by byte,
//! and end the same way.
#![cfg(all(feature = "programs", unix))]

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "drivers/generator.rs"]
mod generator;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::Command;

use generator::{Seeded, program};
use support::outcome::{Outcome, in_batches};
use support::{PROGRAMS, official_suite, package, scratch, tail};

/// How often garbage is collected: on average every so many instructions over two.
#[derive(Clone, Copy)]
struct Stress {
    seed: u64,
    period: u32,
}

fn run(program: &str, folder: &Path, stress: Option<Stress>, arguments: &[&str]) -> Outcome {
    let mut all = Vec::new();
    let setting = stress.map(|Stress { seed, period }| format!("SEED, PERIOD = {seed}, {period}"));
    if let Some(setting) = &setting {
        // An argument of -e must not begin with a dash, as a comment does.
        all.extend(["-e", setting, "-e", concat!("\n", include_str!("differential/stress.lua"))]);
    }
    all.extend(arguments);
    Outcome::of(Path::new(program), folder, &all)
}

/// Runs a script on both programs; both do the same, which is returned.
fn same_on_both(folder: &Path, stress: Option<Stress>, arguments: &[&str]) -> Outcome {
    let [plain, pool] = PROGRAMS.map(|(_, program)| run(program, folder, stress, arguments));
    let seed = stress.map_or(0, |stress| stress.seed);
    assert!(
        plain == pool,
        "{arguments:?} with seed {seed}:\nlua54: {}\n{}\n{}\nlua54_pool: {}\n{}\n{}",
        plain.status,
        tail(&plain.stdout, 10),
        tail(&plain.stderr, 10),
        pool.status,
        tail(&pool.stdout, 10),
        tail(&pool.stderr, 10)
    );
    pool
}

/// As [`same_on_both`], and the script ends well and prints something.
fn well_on_both(folder: &Path, stress: Option<Stress>, arguments: &[&str]) {
    let outcome = same_on_both(folder, stress, arguments);
    assert!(outcome.status.success(), "{arguments:?}: {}\n{}", outcome.status, tail(&outcome.stderr, 10));
    assert!(!outcome.stdout.is_empty(), "{arguments:?} printed nothing");
}

/// The scripts that use all of the library, with their prelude.
fn library_scripts() -> Vec<(String, PathBuf)> {
    let mut scripts: Vec<_> = fs::read_dir(package().join("tests/scripts"))
        .expect("the scripts")
        .map(|entry| entry.expect("a script").path())
        .filter(|path| path.file_stem().is_some_and(|name| name != "prelude"))
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    scripts.sort();
    scripts
}

#[test]
fn scripts_of_the_whole_library() {
    let prelude = package().join("tests/scripts/prelude.lua");
    let prelude = format!("dofile {:?}", prelude.display().to_string());
    for (name, path) in library_scripts() {
        let path = path.to_str().expect("a path in Unicode");
        well_on_both(scratch(), None, &["-e", &prelude, path]);
        // This one counts what its own hook sees.
        if name != "reflection" {
            let period = if name == "large" { 50_000 } else { 100 };
            for seed in 1..=3 {
                well_on_both(scratch(), Some(Stress { seed, period }), &["-e", &prelude, path]);
            }
        }
    }
}

/// The benchmarks with a small amount of work, and the instructions between two collections.
const BENCHMARKS: [(&str, &str, u32); 18] = [
    ("binary_trees", "8", 2000),
    ("closures", "5", 2000),
    ("coroutines", "3000", 4000),
    ("fragmenting", "1", 200_000),
    ("game_loop", "5", 20_000),
    ("graph", "500", 20_000),
    ("growing_tables", "1", 100_000),
    ("json", "2", 20_000),
    ("lru_cache", "5000", 20_000),
    ("mix", "3", 20_000),
    ("numeric_loops", "40", 5000),
    ("recursion", "18", 2000),
    ("small_strings", "500", 2000),
    ("string_building", "10", 5000),
    ("string_scanning", "1", 500_000),
    ("vector", "1", 2_000_000),
    ("vectors_metatables", "5", 20_000),
    ("burst", "4", 200_000),
];

#[test]
fn benchmarks() {
    for (name, work, period) in BENCHMARKS {
        let script = package().join("benchmark").join(name).with_extension("lua");
        let script = script.to_str().expect("a path in Unicode");
        well_on_both(scratch(), None, &[script, work]);
        well_on_both(scratch(), Some(Stress { seed: 1, period }), &[script, work]);
    }
}

/// What the programs' times are compared for is the allocator: the work around it must be the same.
#[test]
fn both_collectors_count_the_same_bytes_and_run_at_the_same_times() {
    let script = package().join("tests/differential/pace.lua");
    well_on_both(scratch(), None, &[script.to_str().expect("a path in Unicode")]);
}

/// Files of the official suite that run by themselves and print no times.
const SUITE: [&str; 17] = [
    "api",
    "bitwise",
    "calls",
    "closure",
    "constructs",
    "coroutine",
    "errors",
    "events",
    "goto",
    "literals",
    "locals",
    "nextvar",
    "pm",
    "strings",
    "tpack",
    "utf8",
    "vararg",
];

/// Without this some of them choose what to test at random.
const SUITE_SETTING: &str = "_port = true; _soft = true; math.randomseed(42)";

/// As an untouched Lua 5.4.4 does, Debian's, which printed these.
#[test]
fn next_goes_in_the_order_of_an_untouched_lua() {
    let digests = [
        "1\t779666717\t3",
        "2\t167340829\t5",
        "3\t1813667400\t6",
        "5\t1327287240\t10",
        "17\t1569286022\t30",
        "100\t617523044\t168",
        "1000\t1955620399\t1668",
        "70000\t1014982016\t116667",
        "300000\t380056675\t499996",
    ];
    let outcome = same_on_both(package(), None, &["tests/differential/order.lua"]);
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), digests);
}

/// The scripts print "ok" on an untouched Lua, too.
fn agrees_with_the_other_way(script: &str) {
    for stress in [None, Some(Stress { seed: 1, period: 100_000 })] {
        let outcome = same_on_both(package(), stress, &[script]);
        assert_eq!(outcome.stdout, "ok\n", "{}", outcome.stderr);
    }
}

#[test]
fn fields_stand_in_the_order_that_rawset_gives_them() {
    agrees_with_the_other_way("tests/differential/fields.lua");
}

#[test]
fn table_insert_and_remove_do_what_a_loop_over_the_items_does() {
    agrees_with_the_other_way("tests/differential/lists.lua");
}

#[test]
fn concatenations_are_those_of_table_concat() {
    agrees_with_the_other_way("tests/differential/concat.lua");
}

#[test]
fn files_of_the_official_suite() {
    let folder = official_suite::scratch_copy();
    for name in SUITE {
        let script = format!("{name}.lua");
        well_on_both(folder.path(), None, &["-e", SUITE_SETTING, &script]);
    }
}

#[test]
fn files_of_the_official_suite_while_garbage_is_collected() {
    let folder = official_suite::scratch_copy();
    for name in SUITE {
        let script = format!("{name}.lua");
        let stress = Some(Stress { seed: 7, period: 20_000 });
        // Some of them do not pass under a hook; they must fail in the same way.
        same_on_both(folder.path(), stress, &["-e", SUITE_SETTING, &script]);
    }
}

/// Runs generated programs.
fn generated(seeds: std::ops::Range<u64>, stressed: bool) {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let names: Vec<String> = seeds
        .map(|seed| {
            let name = format!("seed{seed}.lua");
            let text = program(&mut Seeded::new(seed), 25);
            fs::write(folder.path().join(&name), text).expect("a file for the program");
            name
        })
        .collect();
    for (seed, arguments) in (1..).zip(in_batches(folder.path(), &names)) {
        let stress = stressed.then_some(Stress { seed, period: 150 });
        well_on_both(folder.path(), stress, &arguments);
    }
}

#[test]
fn generated_programs() {
    generated(0..300, false);
    generated(0..150, true);
}

#[test]
#[ignore = "takes minutes"]
fn many_generated_programs() {
    generated(1000..6000, false);
    generated(1000..6000, true);
}

/// Only the allocator may differ, so the loop that runs scripts is compiled alike in both programs: it calls the same
/// functions from as many places, in as many instructions but for one in a hundred. What makes it differ is a function
/// with the pool in it that the compiler inlines there: give it `l_outofline`. (Where it lays out the rarest ways may
/// differ, for that follows what the training counted in all of Lua.)
#[cfg(target_os = "linux")]
#[test]
fn the_interpreter_loop_is_compiled_alike_in_both_programs() {
    let disassemble = |part: &str, program: &str| {
        let listed = Command::new("objdump").args(["-d", &format!("--disassemble={part}"), program]).output().ok()?;
        String::from_utf8(listed.stdout).ok()
    };
    let code = |program: &str| {
        let [usual, rare] = ["luaV_execute", "luaV_execute.cold"].map(|part| disassemble(part, program));
        let (usual, rare) = (usual?, rare?);
        let calls = usual.lines().chain(rare.lines()).filter(|line| line.contains("call "));
        // Without the suffixes and numbers of copies that the compiler made: luaH_realasize.isra.0
        let mut callees: Vec<String> = calls
            .filter_map(|line| line.split_once('<'))
            .map(|(_, name)| name.split(['.', '>', '+']).next().unwrap_or_default().to_owned())
            .collect();
        callees.sort();
        let instructions = usual.lines().filter(|line| line.starts_with(' ')).count();
        Some((instructions, callees)).filter(|(_, callees)| !callees.is_empty())
    };
    // Without binutils, or with a program without symbols, there is nothing to compare.
    let Some((instructions, callees)) = code(env!("CARGO_BIN_EXE_lua54")) else { return };
    let (instructions_in_pool, callees_in_pool) = code(env!("CARGO_BIN_EXE_lua54_pool")).expect("symbols, as in lua54");
    assert!(callees.iter().any(|callee| callee == "pushtable"), "{callees:?}");
    assert_eq!(callees, callees_in_pool);
    assert!(
        instructions.abs_diff(instructions_in_pool) <= instructions / 100,
        "{instructions} instructions against {instructions_in_pool}"
    );
}

/// A build for speed learns first which ways through Lua are the usual ones (src/training). When that fails it only
/// warns, and the programs take some 15 % more time.
#[cfg(all(target_os = "linux", not(debug_assertions), not(feature = "memory-tools")))]
#[test]
fn a_release_build_with_gcc_is_trained() {
    let flags = env!("LUA54_C_FLAGS");
    // Only GCC knows this flag.
    if flags.contains("-fno-crossjumping") && option_env!("LUA_POOL_PGO") != Some("0") {
        assert!(flags.contains("-fprofile-use"), "{flags}");
    }
}

#[test]
fn the_workload_of_the_training_ends_well_and_prints_the_same_on_both() {
    let printed = PROGRAMS.map(|(_, program)| {
        let outcome = run(program, package(), None, &["src/training/workload.lua"]);
        assert!(outcome.status.success() && outcome.stderr.is_empty(), "{}", outcome.stderr);
        assert!(!outcome.stdout.is_empty());
        outcome.stdout
    });
    assert_eq!(printed[0], printed[1]);
}
