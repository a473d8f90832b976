//! Frame times of scripts that can tell them: with the extra argument `times` they print a line such as
//! `frame_ms median=1.2 p99=2.5 worst=4.0`.

use std::fs;

use serde::{Deserialize, Serialize};

use super::measure::task_command;
use super::output_check::{ending_words, first_line};
use super::programs::Program;
use super::runner::{self, Limits};
use super::statistics::median;
use super::tasks::Task;
use crate::os::process::Ending;

/// One run's worst frame is a matter of luck; the middle of a few is less so.
pub(super) const FRAME_RUNS: usize = 3;
const MARK: &str = "frame_ms";

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FrameTimes {
    pub median_ms: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
}

/// Whether the script's text speaks of frame times at all; others are not run with an argument they do not know.
pub(super) fn can_tell(task: &Task) -> bool {
    fs::read(&task.script).is_ok_and(|text| text.windows(MARK.len()).any(|window| window == MARK.as_bytes()))
}

/// One run with `times`.
pub(super) fn measure(program: &Program, task: &Task, limits: &Limits) -> Result<FrameTimes, String> {
    let problem = |what: String| format!("{}: frame times of {}: {what}", task.name, program.name);
    let mut command = task_command(program, task);
    command.arg("times");
    let run = runner::run(command, limits, None, None).map_err(|failure| problem(failure.to_string()))?;
    if run.ending != Ending::Exit(0) {
        let said = first_line(&run.stderr).unwrap_or_default();
        return Err(problem(format!("{} {said}", ending_words(run.ending))));
    }
    let text = String::from_utf8_lossy(&run.stdout.beginning);
    text.lines().find_map(parse).ok_or_else(|| problem(format!("no line \"{MARK} median=… p99=… worst=…\"")))
}

/// The middle run, quantity by quantity.
pub(super) fn middle(runs: &[FrameTimes]) -> Option<FrameTimes> {
    let of = |quantity: fn(&FrameTimes) -> f64| median(&runs.iter().map(quantity).collect::<Vec<_>>());
    Some(FrameTimes {
        median_ms: of(|times| times.median_ms)?,
        p99_ms: of(|times| times.p99_ms)?,
        worst_ms: of(|times| times.worst_ms)?,
    })
}

fn parse(line: &str) -> Option<FrameTimes> {
    let fields = line.strip_prefix(MARK)?;
    let value = |name: &str| {
        let field = fields.split_whitespace().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        field?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
    };
    Some(FrameTimes { median_ms: value("median")?, p99_ms: value("p99")?, worst_ms: value("worst")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_game_loop() {
        let times = parse("frame_ms median=1.5 p99=2.25 worst=10").unwrap();
        assert_eq!(times, FrameTimes { median_ms: 1.5, p99_ms: 2.25, worst_ms: 10.0 });
        assert_eq!(parse("frame_ms median=1.5 p99=x worst=10"), None);
        assert_eq!(parse("frames 100"), None);
    }

    #[test]
    fn the_middle_of_three_runs() {
        let run = |worst_ms| FrameTimes { median_ms: 1.0, p99_ms: 2.0, worst_ms };
        assert_eq!(middle(&[run(9.0), run(4.0), run(5.0)]).unwrap().worst_ms, 5.0);
        assert_eq!(middle(&[]), None);
    }
}
