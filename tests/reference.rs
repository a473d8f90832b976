//! Our patches for speed, and the pool, change nothing that a script sees: both programs do what Lua 5.4.4 with the fixes
//! alone does.
#![cfg(all(feature = "programs", unix))]

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use support::outcome::{Outcome, in_batches};
use support::{PROGRAMS, c_compiler, package, scratch, tail};

/// The reference, compiled from sources that build.rs has written.
fn reference() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = scratch().join("lua54-reference");
        let fresh = scratch().join(format!("lua54-reference-{}", std::process::id()));
        let sources = c_compiler::lua_include().with_file_name("lua54_reference");
        let mut command = c_compiler::compiler();
        command.args(["-std=gnu99", "-O1", "-DLUA_COMPAT_5_3", "-DLUA_USE_POSIX", "-I"]).arg(&sources);
        command.arg(sources.join("onelua.c")).arg(package().join("tests/differential/reference.c"));
        c_compiler::run(command.arg("-o").arg(&fresh).arg("-lm"));
        fs::rename(&fresh, &program).expect("a file in the scratch folder can be renamed");
        program
    })
}

/// Both programs do what the reference does, line by line; returns what that printed.
fn as_the_reference_does(folder: &Path, arguments: &[&str]) -> String {
    let expected = Outcome::of(reference(), folder, arguments);
    assert!(expected.status.success(), "{arguments:?}: {}", tail(&expected.stderr, 5));
    for (name, program) in PROGRAMS {
        let found = Outcome::of(Path::new(program), folder, arguments);
        let (mut lines, mut expected_lines) = (found.stdout.lines(), expected.stdout.lines());
        let mut before = "";
        loop {
            let (line, expected_line) = (lines.next(), expected_lines.next());
            assert_eq!(line, expected_line, "{name} {arguments:?}, after {before:?}");
            match line {
                Some(line) => before = line,
                None => break,
            }
        }
        assert!(found == expected, "{name} {arguments:?}: {}", tail(&found.stderr, 5));
    }
    expected.stdout
}

/// Has programs generated and runs them.
fn generated_programs(numbers: RangeInclusive<u32>) {
    let folder = tempfile::tempdir_in(scratch()).expect("a scratch folder");
    let path = |name: &str| package().join("tests/differential").join(name).display().to_string();
    let [first, last] = [numbers.start(), numbers.end()].map(u32::to_string);
    let generated = Outcome::of(reference(), folder.path(), &[&path("generate.lua"), &first, &last, "."]);
    assert!(generated.status.success(), "{}", generated.stderr);
    let names: Vec<String> = numbers.map(|number| format!("program{number}.lua")).collect();
    for arguments in in_batches(folder.path(), &names) {
        let printed = as_the_reference_does(folder.path(), &arguments);
        for name in &arguments[1..] {
            let end = format!("{name}\ttrue");
            assert!(printed.lines().any(|line| line == end), "{name} should end well: {}", tail(&printed, 20));
        }
    }
}

#[test]
fn generated_programs_do_as_without_our_patches() {
    generated_programs(1..=400);
}

#[test]
#[ignore = "takes minutes"]
fn many_generated_programs_do_as_without_our_patches() {
    generated_programs(1001..=20_000);
}

#[test]
fn lengths_of_tables_with_holes_are_as_without_our_patches() {
    let printed = as_the_reference_does(package(), &["tests/differential/borders.lua"]);
    assert_eq!(printed.lines().count(), 300);
}

#[test]
fn library_functions_take_arguments_of_all_kinds_as_without_our_patches() {
    let printed = as_the_reference_does(package(), &["tests/differential/arguments.lua"]);
    assert!(printed.lines().count() > 300_000);
}

#[test]
fn hooks_see_what_they_see_without_our_patches() {
    let printed = as_the_reference_does(package(), &["tests/differential/hooks.lua"]);
    assert!(printed.lines().count() > 10_000);
}

#[test]
fn objects_live_and_die_as_without_our_patches() {
    let printed = as_the_reference_does(package(), &["tests/differential/ages.lua"]);
    assert_eq!(printed.lines().count(), 101);
}
