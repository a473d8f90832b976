//! What the fuzzers kept, once more and on stable Rust: every input of `fuzz/corpus`, then as many new ones as
//! there is time for.
//!
//! `cargo test --release --test fuzz_corpus -- --ignored` changes the inputs at random for minutes
//! (`LUA_POOL_FUZZ_SECONDS` says how long); `cargo fuzz` does so with an eye on what it reaches, and takes scripts from
//! a second folder: `cargo fuzz run lua_source fuzz/corpus/lua_source tests/scripts`.
#![cfg(feature = "programs")]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod drivers;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use drivers::generator::{Choices, Seeded};

#[link(name = "lua54_pool", kind = "static", modifiers = "+whole-archive")]
unsafe extern "C" {}

/// The bytes of an input.
type Input = Vec<u8>;

/// Scripts of `tests/scripts` that reach nothing outside: with their prelude, inputs for `lua_source`.
const SCRIPTS: [&str; 15] = [
    "closures",
    "constructors",
    "control",
    "coroutines",
    "errors",
    "finalizers",
    "formats",
    "loading",
    "loops",
    "metatables",
    "sorting",
    "strings",
    "tables",
    "unicode",
    "weak",
];

fn scripts() -> impl Iterator<Item = (String, Input)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let read = move |name: &str| {
        let path = folder.join(name).with_extension("lua");
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let prelude = [b"LESS = true\n".as_slice(), &read("prelude")].concat();
    SCRIPTS.into_iter().map(move |name| (name.to_owned(), [prelude.as_slice(), &read(name)].concat()))
}

fn corpus(target: &str) -> Vec<(String, Input)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("an entry of the corpus").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("an input")))
        .collect();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    if target == "lua_source" {
        inputs.extend(scripts());
    }
    inputs.sort();
    inputs
}

fn replay(target: &str, driver: fn(&[u8])) {
    for (name, input) in corpus(target) {
        // Named before the run, in case that it ends the process.
        println!("{name}");
        driver(&input);
    }
}

/// Inputs made from those of the corpus: bytes changed, parts left out, doubled, or taken from another one.
fn mutate(inputs: &[Input], choices: &mut Seeded) -> Input {
    let pick = |choices: &mut Seeded| &inputs[choices.below(inputs.len() as u32) as usize];
    let mut input = pick(choices).clone();
    for _ in 0..=choices.below(8) {
        let at = choices.below(input.len() as u32 + 1) as usize;
        match choices.below(6) {
            0 if at < input.len() => input[at] = choices.below(256) as u8,
            1 => input.insert(at, choices.below(256) as u8),
            2 => input.truncate(at.max(1)),
            3 => {
                let end = (at + choices.below(64) as usize).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let end = (at + choices.below(64) as usize).min(input.len());
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            _ => {
                let other = pick(choices);
                let from = choices.below(other.len() as u32 + 1) as usize;
                let to = (from + choices.below(128) as usize).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(8192);
    input
}

fn mutations(target: &str, driver: fn(&[u8]), hardened: fn(&[u8]), default_time: Duration, seed: u64) {
    let inputs: Vec<Input> = corpus(target).into_iter().map(|(_, input)| input).collect();
    let time = std::env::var("LUA_POOL_FUZZ_SECONDS")
        .map_or(default_time, |seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")));
    let begun = Instant::now();
    let mut choices = Seeded::new(seed);
    let mut runs = 0u64;
    while begun.elapsed() < time {
        let input = mutate(&inputs, &mut choices);
        // What ends the process is to be found here.
        let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}.last"));
        fs::write(&last, &input).expect("a file for the input");
        // Some of them in a hardened pool.
        if runs.is_multiple_of(4) {
            hardened(&input)
        } else {
            driver(&input)
        }
        runs += 1;
    }
    println!("{target}: {runs} executions");
    assert!(runs > 0, "no time for anything");
}

#[test]
fn the_corpus_of_pool_operations_agrees_with_the_model() {
    replay("pool_operations", drivers::arrangement::run);
}

#[test]
fn the_corpus_of_lua_source_gives_everything_back() {
    replay("lua_source", drivers::lua_source::run);
}

#[test]
fn the_corpus_of_pool_operations_agrees_with_the_model_in_a_hardened_pool() {
    replay("pool_operations", drivers::pool_operations::run_hardened);
}

#[test]
fn the_corpus_of_lua_source_gives_everything_back_in_a_hardened_pool() {
    replay("lua_source", drivers::lua_source::run_hardened);
}

#[test]
fn generated_programs_give_everything_back() {
    for seed in 0..150 {
        let text = drivers::generator::program(&mut Seeded::new(seed), 20);
        drivers::lua_source::run(text.as_bytes());
    }
}

#[test]
#[ignore = "takes a minute"]
fn pool_operations_near_the_corpus_agree_with_the_model() {
    mutations(
        "pool_operations",
        drivers::arrangement::run,
        drivers::pool_operations::run_hardened,
        Duration::from_secs(30),
        1,
    );
}

#[test]
#[ignore = "takes a minute"]
fn lua_sources_near_the_corpus_give_everything_back() {
    mutations("lua_source", drivers::lua_source::run, drivers::lua_source::run_hardened, Duration::from_secs(30), 2);
}
