//! Instructions a program executes for a script, counted by valgrind: slow, but the same on every run. By file and
//! function valgrind tells which of them the allocator took, those of an inlined fast path included.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::output_check::first_line;
use super::profile::is_allocator_function;
use super::programs::{Program, find_executable};
use super::runner::{self, Failure, Limits};
use super::tasks::Task;
use crate::os::process::Ending;

/// Valgrind takes 20 to 60 times as long as the program alone.
const SLOW_DOWN: u32 = 60;

pub(super) struct Instructions {
    pub all: u64,
    /// Those of glibc's malloc or of our pool; `None` where another allocator is in use, whose functions are not known.
    pub in_allocator: Option<u64>,
}

/// How many, or one line that says why not.
pub(super) fn instructions(program: &Program, task: &Task, limits: &Limits) -> Result<Instructions, String> {
    let valgrind = find_executable("valgrind".as_ref())
        .ok_or("--counts needs valgrind, which is not on PATH (Debian: apt install valgrind)")?;
    let folder = tempfile::tempdir().map_err(|e| format!("--counts: no folder for valgrind's report: {e}"))?;
    let log = folder.path().join("log");
    let mut command = Command::new(valgrind);
    command.args(["--tool=cachegrind", "--cache-sim=no"]);
    let by_function = folder.path().join("out");
    command.arg(format!("--cachegrind-out-file={}", by_function.display()));
    command.arg(format!("--log-file={}", log.display()));
    program.add_to(&mut command);
    command.arg(&task.script).args(&task.arguments);

    let limits = Limits { timeout: limits.timeout.max(Duration::from_secs(1)) * SLOW_DOWN, ..limits.clone() };
    let problem = |what: String| format!("{}: instructions of {}: {what}", task.name, program.name);
    let run = runner::run(command, &limits, None, None).map_err(|failure| match failure {
        Failure::Interrupted => problem("interrupted".into()),
        failure => problem(failure.to_string()),
    })?;
    let text = fs::read_to_string(&log).unwrap_or_default();
    let all = parse_summary(&text).ok_or_else(|| {
        let said = first_line(&run.stderr).or_else(|| text.lines().last().map(str::to_owned)).unwrap_or_default();
        let ending = if let Ending::Exit(0) = run.ending { "gave no count" } else { "failed" };
        problem(format!("valgrind {ending}: {said}"))
    })?;
    // A preloaded malloc is another one.
    let in_allocator = if program.environment.is_empty() {
        fs::read(&by_function).ok().map(|report| allocator_lines(&String::from_utf8_lossy(&report)))
    } else {
        None
    };
    Ok(Instructions { all, in_allocator: in_allocator.filter(|&count| count > 0) })
}

/// Sums up a report of lines `fl=FILE`, `fn=FUNCTION` and, for each line of source, `LINE COUNT`.
fn allocator_lines(report: &str) -> u64 {
    let (mut file_is_allocator, mut is_allocator, mut sum) = (false, false, 0);
    for line in report.lines() {
        if let Some(file) = line.strip_prefix("fl=") {
            file_is_allocator = is_allocator_file(file);
        } else if let Some(function) = line.strip_prefix("fn=") {
            let own = function.contains("lua_pool_allocator::pool::");
            is_allocator = file_is_allocator || own || is_allocator_function(function);
        } else if is_allocator
            && let Some((number, count)) = line.split_once(' ')
            && number.parse::<u64>().is_ok()
        {
            sum += count.parse().unwrap_or(0);
        }
    }
    sum
}

/// A file of glibc's malloc or of the pool. The pool's fast path is inlined in functions of Lua, under its own file name.
fn is_allocator_file(path: &str) -> bool {
    let ends = ["lua_pool_inline.h", "src/lua_alloc.rs", "malloc/malloc.c", "malloc/arena.c"];
    ends.iter().any(|end| path.ends_with(end)) || (path.contains("src/pool/") && path.ends_with(".rs"))
}

/// The line is `==123== I   refs:      1,234,567`.
fn parse_summary(text: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (before, number) = line.split_once("refs:")?;
        (before.split_whitespace().next_back() == Some("I")).then_some(())?;
        number.split_whitespace().next()?.replace(',', "").parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_cachegrind() {
        let text = "==7== Cachegrind, a cache profiler\n==7== \n==7== I   refs:      1,234,567\n==7== I1  misses: 3\n";
        assert_eq!(parse_summary(text), Some(1_234_567));
        assert_eq!(parse_summary("==7== I refs: 12\n"), Some(12));
        assert_eq!(parse_summary("==7== D   refs:      5\n"), None);
        assert_eq!(parse_summary(""), None);
    }

    #[test]
    fn the_allocator_s_lines_are_summed_up_wherever_they_were_inlined() {
        let report = "desc: I1 cache: 32768 B\ncmd: lua54_pool 7 11\nevents: Ir\n\
                      fl=/build/out/lua54_pool/lvm.c\nfn=pushtable\n12 1000\n\
                      fl=/include/lua_pool_inline.h\nfn=pushtable\n40 20\n41 3\n\
                      fl=/crate/src/pool/raw.rs\nfn=lua_pool_alloc\n7 100\n\
                      fl=/rustc/library/core/src/ptr/mod.rs\n\
                      fn=<lua_pool_allocator::pool::raw::RawPool>::refill\n9 400\nfn=main\n9 5000\n\
                      fl=./malloc/./malloc/malloc.c\nfn=unlink_chunk\n8 6000\n\
                      fl=???\nfn=free\n0 70000\nfn=freeobj\n0 800000\nsummary: 882523\n";
        assert_eq!(allocator_lines(report), 76_523);
        assert_eq!(allocator_lines(""), 0);
    }
}
