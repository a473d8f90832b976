//! Instructions a program executes for a script, counted by valgrind: slow, but the same on every run.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::output_check::first_line;
use super::programs::{Program, find_executable};
use super::runner::{self, Failure, Limits};
use super::tasks::Task;
use crate::os::process::Ending;

/// Valgrind takes 20 to 60 times as long as the program alone.
const SLOW_DOWN: u32 = 60;

/// How many, or one line that says why not.
pub(super) fn instructions(program: &Program, task: &Task, limits: &Limits) -> Result<u64, String> {
    let valgrind = find_executable("valgrind".as_ref())
        .ok_or("--counts needs valgrind, which is not on PATH (Debian: apt install valgrind)")?;
    let folder = tempfile::tempdir().map_err(|e| format!("--counts: no folder for valgrind's report: {e}"))?;
    let log = folder.path().join("log");
    let mut command = Command::new(valgrind);
    command.args(["--tool=cachegrind", "--cache-sim=no"]);
    command.arg(format!("--cachegrind-out-file={}", folder.path().join("out").display()));
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
    parse_summary(&text).ok_or_else(|| {
        let said = first_line(&run.stderr).or_else(|| text.lines().last().map(str::to_owned)).unwrap_or_default();
        let ending = if let Ending::Exit(0) = run.ending { "gave no count" } else { "failed" };
        problem(format!("valgrind {ending}: {said}"))
    })
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
}
