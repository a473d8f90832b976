//! All runs of one script: warm-up, then round after round of every program in turn, until the result is sure.

use std::fs::File;
use std::time::Instant;

use super::options::Options;
use super::output_check::{Outcome, difference, ending_words, first_line};
use super::programs::Program;
use super::progress::Progress;
use super::report::{ProgramResult, ScriptReport};
use super::runner::{self, Cost, Failure, Limits, Run};
use super::statistics::Ratio;
use super::tasks::Task;
use super::warnings::{self, Warning};
use crate::os::process::{Ending, interrupted};

/// When to stop making rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopRule {
    /// Exactly so many, whatever the other fields say.
    pub runs: Option<usize>,
    pub min_runs: usize,
    pub max_seconds: f64,
    /// Half the interval of every ratio is to be below this part of the ratio.
    pub precision: f64,
}

impl StopRule {
    pub fn from_options(options: &Options) -> StopRule {
        StopRule {
            runs: options.runs.map(|runs| runs as usize),
            min_runs: options.min_runs as usize,
            max_seconds: options.max_time,
            precision: options.precision / 100.0,
        }
    }

    fn is_enough(&self, rounds: usize, seconds: f64, ratios: &[Option<Ratio>]) -> bool {
        if let Some(runs) = self.runs {
            return rounds >= runs;
        }
        if rounds < self.min_runs {
            return false;
        }
        seconds >= self.max_seconds || ratios.iter().all(|ratio| self.is_tight(*ratio))
    }

    /// A program without a ratio (its runs take no measurable time) will not get one by more runs.
    fn is_tight(&self, ratio: Option<Ratio>) -> bool {
        ratio.is_none_or(|ratio| ratio.relative_half_width().is_some_and(|width| width < self.precision))
    }

    /// A guess for the progress bar: the width of an interval shrinks with the root of the number of runs.
    fn expected_rounds(&self, rounds: usize, seconds: f64, ratios: &[Option<Ratio>]) -> f64 {
        if let Some(runs) = self.runs {
            return runs as f64;
        }
        let least = self.min_runs as f64;
        if rounds < 3 {
            return least;
        }
        let rounds = rounds as f64;
        let widest = ratios.iter().flatten().filter_map(Ratio::relative_half_width).fold(0.0, f64::max);
        let for_precision = rounds * (widest / self.precision).powi(2);
        let for_time = rounds * self.max_seconds / seconds.max(1e-3);
        for_precision.min(for_time).max(least)
    }
}

/// One program on this script.
struct Contestant<'a> {
    program: &'a Program,
    /// What it did the first time; every later run must do the same.
    outcome: Option<Outcome>,
    runs: Vec<Cost>,
    is_out: bool,
}

pub(super) struct Measurement<'a> {
    task: &'a Task,
    options: &'a Options,
    limits: &'a Limits,
    contestants: Vec<Contestant<'a>>,
    problems: Vec<String>,
    /// Our own memory hid the true peak of these programs.
    peak_hidden: bool,
}

/// Runs the script with all programs; the first one is the baseline.
pub(super) fn measure(
    task: &Task,
    programs: &[Program],
    options: &Options,
    limits: &Limits,
    progress: &Progress,
) -> ScriptReport {
    let contestants =
        programs.iter().map(|program| Contestant { program, outcome: None, runs: Vec::new(), is_out: false }).collect();
    let mut measurement = Measurement { task, options, limits, contestants, problems: Vec::new(), peak_hidden: false };
    match is_readable(task) {
        Ok(()) => measurement.make_rounds(progress),
        Err(problem) => measurement.problems.push(problem),
    }
    measurement.into_report()
}

fn is_readable(task: &Task) -> Result<(), String> {
    let path = task.script.display();
    let problem = |e: std::io::Error| format!("{path}: cannot read the script: {e}");
    let data = File::open(&task.script).and_then(|file| file.metadata()).map_err(problem)?;
    if data.is_dir() { Err(format!("{path}: this is a folder, not a script")) } else { Ok(()) }
}

impl Measurement<'_> {
    fn make_rounds(&mut self, progress: &Progress) {
        let script = self.task.name.clone();
        let rule = StopRule::from_options(self.options);
        let warmup = self.options.warmup as usize;
        for round in 0..warmup {
            let all = warmup as f64 + rule.expected_rounds(0, 0.0, &[]);
            let tell = |part: f64, program: &str| {
                progress.round(&script, &format!("warm-up of {program}"), (round as f64 + part) / all);
            };
            if !self.make_round(false, &tell) {
                return;
            }
        }
        let start = Instant::now();
        let mut rounds = 0;
        let mut ratios = Vec::new();
        let mut next_look = 0;
        loop {
            // With hundreds of short runs, intervals after each of them would take longer than the runs.
            if rounds >= next_look {
                ratios = self.ratios();
                next_look = rounds + rounds / 10 + 1;
            }
            let seconds = start.elapsed().as_secs_f64();
            if rounds > 0 && rule.is_enough(rounds, seconds, &ratios) {
                return;
            }
            let all = warmup as f64 + rule.expected_rounds(rounds, seconds, &ratios);
            let tell = |part: f64, program: &str| {
                let what = format!("round {}, {program}", rounds + 1);
                progress.round(&script, &what, ((warmup + rounds) as f64 + part) / all);
            };
            if !self.make_round(true, &tell) {
                return;
            }
            rounds += 1;
        }
    }

    /// Every program once, in turn; `tell` hears which part of the round is done and who is next.
    /// False when there is nothing left to compare.
    fn make_round(&mut self, is_measured: bool, tell: &dyn Fn(f64, &str)) -> bool {
        let is_first = self.contestants[0].outcome.is_none();
        for index in 0..self.contestants.len() {
            if self.contestants[index].is_out {
                continue;
            }
            let contestant = &self.contestants[index];
            tell(index as f64 / self.contestants.len() as f64, &contestant.program.name);
            let command = task_command(contestant.program, self.task);
            let own_name = runner::own_name(&command, contestant.program.keeps_name);
            match runner::run(command, self.limits, own_name, None) {
                Err(Failure::Interrupted) => return false,
                Err(failure) => {
                    let name = self.contestants[index].program.name.clone();
                    self.drop_out(index, format!("{}: {name} {failure}", self.task.name));
                    if index == 0 {
                        return false;
                    }
                }
                Ok(run) => self.take_in(index, run, is_measured),
            }
            if interrupted() {
                return false;
            }
        }
        if is_first {
            self.check_for_failure();
        }
        !self.contestants[0].is_out && self.contestants[1..].iter().any(|contestant| !contestant.is_out)
    }

    fn take_in(&mut self, index: usize, run: Run, is_measured: bool) {
        let cost = run.cost;
        if let Some(floor) = run.peak_floor_bytes {
            self.peak_hidden |= cost.peak_bytes as f64 <= floor as f64 * 1.05;
        }
        let outcome = Outcome::from(run);
        let name = &self.contestants[index].program.name;
        let ignored = self.options.ignore_output;
        let problem = match (&self.contestants[index].outcome, &self.contestants[0].outcome) {
            (Some(first), _) => difference(first, &outcome, ["before", "now"], ignored)
                .map(|what| format!("{name} does not do the same on every run; {what}")),
            (None, Some(baseline)) => {
                difference(baseline, &outcome, [&self.contestants[0].program.name, name], ignored)
            }
            (None, None) => None,
        };
        if let Some(problem) = problem {
            let hint = if problem.contains("differs") && self.problems.is_empty() {
                "\n    (a script that prints times or addresses needs --ignore-output)"
            } else {
                ""
            };
            return self.drop_out(index, format!("{}: {problem}{hint}", self.task.name));
        }
        let contestant = &mut self.contestants[index];
        contestant.outcome.get_or_insert(outcome);
        if is_measured {
            contestant.runs.push(cost);
        }
    }

    /// After the first round: a script that fails is no workload, even when all programs agree that it does.
    fn check_for_failure(&mut self) {
        let Some(outcome) = &self.contestants[0].outcome else { return };
        let is_failure = match outcome.ending {
            Ending::Exit(0) => false,
            Ending::Exit(_) => !self.options.ignore_failure,
            Ending::Signal(_) => true,
        };
        if is_failure {
            let agreed = self.contestants.iter().filter(|contestant| !contestant.is_out).count();
            let who = if agreed == self.contestants.len() && agreed > 1 {
                "every program".to_owned()
            } else {
                self.contestants[0].program.name.clone()
            };
            let said = first_line(&outcome.stderr).map(|line| format!(": {line}")).unwrap_or_default();
            let ending = ending_words(outcome.ending);
            self.contestants[0].runs.clear();
            self.drop_out(0, format!("{}: {who} {ending}{said}", self.task.name));
        }
    }

    fn drop_out(&mut self, index: usize, problem: String) {
        self.contestants[index].is_out = true;
        self.problems.push(problem);
    }

    /// Of all programs but the baseline that are still in.
    fn ratios(&self) -> Vec<Option<Ratio>> {
        let cpu = |contestant: &Contestant| contestant.runs.iter().map(Cost::cpu_seconds).collect::<Vec<_>>();
        let baseline = cpu(&self.contestants[0]);
        let others = self.contestants[1..].iter().filter(|contestant| !contestant.is_out);
        others.map(|contestant| Ratio::of_pairs(&cpu(contestant), &baseline)).collect()
    }

    fn into_report(self) -> ScriptReport {
        let baseline = self.contestants[0].runs.clone();
        let mut results = Vec::new();
        for (index, contestant) in self.contestants.into_iter().enumerate() {
            if !baseline.is_empty() && !contestant.runs.is_empty() {
                let against = (index > 0).then_some(&baseline[..]);
                results.push(ProgramResult::new(&contestant.program.name, contestant.runs, against));
            }
        }
        let mut warnings = Vec::new();
        if self.peak_hidden {
            warnings.push(Warning::new(
                "peak memory is below what a child of lua54_compare starts with",
                "not measurable",
                "give the script more work",
            ));
        }
        let mut report = ScriptReport {
            name: self.task.name.clone(),
            script: self.task.script.display().to_string(),
            arguments: self.task.arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect(),
            description: self.task.description.clone(),
            results,
            warnings,
            problems: self.problems,
            allocator_share: None,
        };
        report.warnings.extend(warnings::of_script(&report, &StopRule::from_options(self.options)));
        report
    }
}

/// A program with a script and its arguments.
pub(super) fn task_command(program: &Program, task: &Task) -> std::process::Command {
    let mut command = program.command();
    command.arg(&task.script).args(&task.arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: StopRule = StopRule { runs: None, min_runs: 5, max_seconds: 10.0, precision: 0.01 };

    fn ratio(half_width: f64) -> Option<Ratio> {
        Some(Ratio { median: 1.0, interval: Some([1.0 - half_width, 1.0 + half_width]) })
    }

    #[test]
    fn a_tight_interval_stops_after_the_least_number_of_rounds() {
        assert!(!RULE.is_enough(4, 1.0, &[ratio(0.001)]));
        assert!(RULE.is_enough(5, 1.0, &[ratio(0.001)]));
        assert!(!RULE.is_enough(5, 1.0, &[ratio(0.001), ratio(0.02)]), "every ratio has to be tight");
    }

    #[test]
    fn time_stops_what_will_not_get_tight() {
        assert!(!RULE.is_enough(50, 9.0, &[ratio(0.2)]));
        assert!(RULE.is_enough(50, 10.0, &[ratio(0.2)]));
        assert!(!RULE.is_enough(4, 60.0, &[ratio(0.2)]), "the least number of rounds comes first");
    }

    #[test]
    fn a_fixed_number_of_runs_is_kept() {
        let rule = StopRule { runs: Some(3), ..RULE };
        assert!(!rule.is_enough(2, 1000.0, &[ratio(0.0)]));
        assert!(rule.is_enough(3, 0.0, &[ratio(0.9)]));
    }

    #[test]
    fn the_guess_of_rounds_follows_the_width() {
        assert_eq!(RULE.expected_rounds(0, 0.0, &[None]), 5.0);
        assert_eq!(RULE.expected_rounds(10, 1.0, &[ratio(0.02)]).round(), 40.0);
        assert_eq!(RULE.expected_rounds(10, 5.0, &[ratio(0.2)]), 20.0, "no more than fit into the time");
        assert_eq!(RULE.expected_rounds(10, 5.0, &[ratio(0.001)]), 5.0);
    }
}
