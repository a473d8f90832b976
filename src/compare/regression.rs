//! Limits on the ratios, and comparison with an earlier report: what makes an exit status of 1.

use std::fs;
use std::path::Path;

use super::options::Options;
use super::programs::Role;
use super::report::{Change, FORMAT, Report};
use super::runner::Cost;
use super::statistics::{change_of_ratio, median};
use super::units;

/// A report as --json wrote it.
pub(super) fn load(path: &Path) -> Result<Report, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read the report {shown}: {e}"))?;
    let version: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("{shown} is not a report of lua54_compare --json: {e}"))?;
    match version.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(format!("{shown} has format {format}; this lua54_compare reads format {FORMAT}")),
        None => return Err(format!("{shown} is not a report of lua54_compare --json: it has no \"format\"")),
    }
    serde_json::from_value(version).map_err(|e| format!("{shown} is not a whole report of lua54_compare --json: {e}"))
}

/// For every script (of the same arguments) and program that both reports have. The programs' places count, not
/// their names: the candidate of today is compared with the candidate of then.
pub(super) fn changes(now: &Report, then: &Report) -> Vec<Change> {
    let mut changes = Vec::new();
    for script in &now.scripts {
        let earlier = then.scripts.iter().find(|s| s.name == script.name && s.arguments == script.arguments);
        let Some(earlier) = earlier else { continue };
        for program in now.compared() {
            let counterpart = match program.role {
                Role::Candidate => then.programs.iter().find(|other| other.role == Role::Candidate),
                _ => then.programs.iter().find(|other| other.name == program.name),
            };
            let Some(counterpart) = counterpart else { continue };
            let ratios_now = script.pair_ratios(&program.name, Cost::cpu_seconds);
            let ratios_then = earlier.pair_ratios(&counterpart.name, Cost::cpu_seconds);
            let (Some(ratios_now), Some(ratios_then)) = (ratios_now, ratios_then) else { continue };
            if let (Some(change), Some(ratio_now), Some(ratio_then)) =
                (change_of_ratio(&ratios_now, &ratios_then), median(&ratios_now), median(&ratios_then))
            {
                let (script, program) = (script.name.clone(), program.name.clone());
                changes.push(Change { script, program, ratio_then, ratio_now, change });
            }
        }
    }
    changes
}

/// One line for each limit that was not kept. The limits are for the candidate; peers are only looked at.
pub(super) fn broken_limits(report: &Report, options: &Options) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(candidate) = report.programs.iter().find(|program| program.role == Role::Candidate) else {
        return lines;
    };
    if let Some(limit) = options.fail_above {
        for script in &report.scripts {
            match script.result_of(&candidate.name).and_then(|result| result.cpu_ratio) {
                Some(ratio) if ratio.median <= limit => {}
                Some(ratio) => lines.push(format!(
                    "{}: the CPU ratio {} is above the limit {limit} (--fail-above)",
                    script.name,
                    units::ratio(ratio.median)
                )),
                None => lines.push(format!("{}: there is no CPU ratio to hold against --fail-above", script.name)),
            }
        }
    }
    if let Some(limit) = options.fail_mean_above {
        match report.mean_of(&candidate.name).and_then(|mean| mean.cpu_ratio) {
            Some(ratio) if ratio.median <= limit => {}
            Some(ratio) => lines.push(format!(
                "the geometric mean of the CPU ratios, {}, is above the limit {limit} (--fail-mean-above)",
                units::ratio(ratio.median)
            )),
            None => lines.push("there is no mean CPU ratio to hold against --fail-mean-above".into()),
        }
    }
    if let Some(percent) = options.fail_worse {
        let of_candidate = report.changes.iter().filter(|change| change.program == candidate.name);
        for change in of_candidate.filter(|change| change.change.median > 1.0 + percent / 100.0) {
            lines.push(format!(
                "{}: the CPU ratio went from {} to {}, worse by more than {percent} % (--fail-worse)",
                change.script,
                units::ratio(change.ratio_then),
                units::ratio(change.ratio_now)
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::machine::Machine;
    use crate::compare::report::{ProgramInfo, ProgramResult, ScriptReport};
    use clap::Parser;

    fn report(candidate_name: &str, seconds: f64) -> Report {
        let runs = |seconds: f64| {
            let cost = |i: i32| Cost {
                user_seconds: seconds * (1.0 + f64::from(i) * 1e-4),
                system_seconds: 0.0,
                wall_seconds: seconds,
                peak_bytes: 1,
                minor_faults: 1,
                major_faults: 0,
            };
            (0..5).map(cost).collect::<Vec<_>>()
        };
        let program = |name: &str, role| ProgramInfo { name: name.into(), role, command: name.into(), version: None };
        let mut report = Report {
            format: FORMAT,
            tool_version: String::new(),
            c_flags: None,
            date: String::new(),
            command_line: Vec::new(),
            machine: Machine::default(),
            programs: vec![program("lua54", Role::Baseline), program(candidate_name, Role::Candidate)],
            scripts: vec![ScriptReport {
                name: "mix".into(),
                results: vec![
                    ProgramResult::new("lua54", runs(1.0), None),
                    ProgramResult::new(candidate_name, runs(seconds), Some(&runs(1.0))),
                ],
                ..ScriptReport::default()
            }],
            means: Vec::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
            interrupted: false,
            changes: Vec::new(),
        };
        report.compute_means();
        report
    }

    fn options(words: &[&str]) -> Options {
        Options::parse_from(["lua54_compare", "a.lua"].iter().chain(words))
    }

    #[test]
    fn a_kept_limit_is_silent_and_a_broken_one_says_which() {
        let report = report("lua54_pool", 0.8);
        assert_eq!(broken_limits(&report, &options(&["--fail-above", "0.9", "--fail-mean-above", "0.9"])), [""; 0]);
        let lines = broken_limits(&report, &options(&["--fail-above", "0.7", "--fail-mean-above", "0.7"]));
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "mix: the CPU ratio 0.800 is above the limit 0.7 (--fail-above)");
    }

    #[test]
    fn a_script_without_a_result_breaks_the_limit() {
        let mut report = report("lua54_pool", 0.8);
        report.scripts[0].results.clear();
        assert!(broken_limits(&report, &options(&["--fail-above", "0.9"]))[0].contains("no CPU ratio"));
    }

    #[test]
    fn a_worse_ratio_than_before_is_found() {
        let mut now = report("today", 0.88);
        now.changes = changes(&now, &report("yesterday", 0.8));
        assert_eq!(now.changes.len(), 1);
        assert!((now.changes[0].change.median - 1.1).abs() < 1e-9);
        let strict = options(&["--against", "x.json", "--fail-worse", "5"]);
        assert_eq!(broken_limits(&now, &strict).len(), 1);
        let lenient = options(&["--against", "x.json", "--fail-worse", "20"]);
        assert_eq!(broken_limits(&now, &lenient), [""; 0]);
    }

    #[test]
    fn other_arguments_make_another_workload() {
        let now = report("lua54_pool", 0.8);
        let mut then = report("lua54_pool", 0.8);
        then.scripts[0].arguments.push("15".into());
        assert!(changes(&now, &then).is_empty());
    }

    #[test]
    fn a_report_survives_being_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.json");
        fs::write(&file, serde_json::to_string(&report("lua54_pool", 0.8)).unwrap()).unwrap();
        let back = load(&file).unwrap();
        assert_eq!(back.scripts[0].results[1].cpu_ratio, report("lua54_pool", 0.8).scripts[0].results[1].cpu_ratio);
        for (text, complaint) in
            [("{", "is not a report"), ("{}", "no \"format\""), ("{\"format\":99}", "has format 99")]
        {
            fs::write(&file, text).unwrap();
            assert!(load(&file).unwrap_err().contains(complaint), "{text}");
        }
    }
}
