//! What makes a result doubtful, and what to do about it.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::measure::StopRule;
use super::report::{ProgramResult, ScriptReport, column};
use super::runner::Cost;
use super::statistics::{FEWEST_FOR_INTERVAL, median, relative_spread};
use super::units;

/// Below this a run is mostly the start of a process.
const SHORT_SECONDS: f64 = 0.05;
/// The robust spread of CPU times on a quiet machine is below 1 %.
const NOISY_SPREAD: f64 = 0.03;
/// How far the first run must be above all others to stand out.
const FIRST_RUN_EXCESS: f64 = 0.05;
/// Wall time above CPU time by more than this means that the program had to wait.
const WAITING_EXCESS: f64 = 0.25;

/// One kind of doubt about one script. Scripts with the same `what` and `remedy` share a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Warning {
    pub what: String,
    pub detail: String,
    pub remedy: String,
}

impl Warning {
    pub fn new(what: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Warning {
        Warning { what: what.into(), detail: detail.into(), remedy: remedy.into() }
    }
}

/// So many scripts are named in one line; the others are counted.
const NAMED_SCRIPTS: usize = 5;

/// A line for each kind of warning, with the scripts it is about.
pub(super) fn lines(scripts: &[ScriptReport]) -> Vec<String> {
    let mut kinds: Vec<(&Warning, Vec<String>)> = Vec::new();
    for script in scripts {
        for warning in &script.warnings {
            let place = format!("{} ({})", script.name, warning.detail);
            match kinds.iter_mut().find(|(kind, _)| kind.what == warning.what && kind.remedy == warning.remedy) {
                Some((_, places)) => places.push(place),
                None => kinds.push((warning, vec![place])),
            }
        }
    }
    let line = |(kind, places): (&Warning, Vec<String>)| {
        let more = match places.len().saturating_sub(NAMED_SCRIPTS) {
            0 => String::new(),
            more => format!(" and {}", units::plural(more, "more script")),
        };
        format!("{}: {}{more}; {}", kind.what, places[..places.len().min(NAMED_SCRIPTS)].join(", "), kind.remedy)
    };
    kinds.into_iter().map(line).collect()
}

/// About one script.
pub(super) fn of_script(script: &ScriptReport, rule: &StopRule) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let results = &script.results;
    let names = |is_so: &dyn Fn(&ProgramResult) -> bool| {
        let names: Vec<&str> = results.iter().filter(|r| is_so(r)).map(|r| r.program.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let cpu = |result: &ProgramResult| column(&result.runs, Cost::cpu_seconds);

    let shortest = results.iter().map(|result| result.cpu_seconds).fold(f64::INFINITY, f64::min);
    if shortest < SHORT_SECONDS {
        let remedy = "give the script more work, such as larger ARGS after --";
        warnings.push(Warning::new("runs are too short to trust", units::seconds(shortest), remedy));
    }
    let spread = |result: &ProgramResult| relative_spread(&cpu(result)).unwrap_or(0.0);
    if shortest >= SHORT_SECONDS
        && let Some(noisy) = names(&|result| spread(result) > NOISY_SPREAD)
    {
        let widest = units::percent(results.iter().map(spread).fold(0.0, f64::max));
        let remedy = "close other programs, keep the CPU's frequency steady, or make more runs (--runs, --max-time)";
        warnings.push(Warning::new("CPU times spread", format!("{noisy} by up to {widest}"), remedy));
    }
    if let Some(late) = names(&|result| first_stands_out(&cpu(result))) {
        let remedy = "files may not have been in memory yet: --warmup 3";
        warnings.push(Warning::new("the first run is slower than all others", late, remedy));
    }
    let waited = |result: &ProgramResult| {
        result.wall_seconds > result.cpu_seconds * (1.0 + WAITING_EXCESS) && result.wall_seconds > SHORT_SECONDS
    };
    if let Some(waiting) = names(&waited) {
        let remedy = "for other programs, or for input and output: run again on an idle machine";
        warnings.push(Warning::new("programs had to wait (wall time is well above CPU time)", waiting, remedy));
    }
    warnings.extend(too_few_runs(script, rule));
    warnings
}

fn too_few_runs(script: &ScriptReport, rule: &StopRule) -> Option<Warning> {
    let rounds = script.baseline()?.runs.len();
    if rounds < FEWEST_FOR_INTERVAL && script.results.len() > 1 {
        let remedy = format!("make at least {FEWEST_FOR_INTERVAL} (--runs)");
        return Some(Warning::new("too few runs for a 95 % interval", units::plural(rounds, "run"), remedy));
    }
    let ratios = script.results.iter().filter_map(|result| result.cpu_ratio);
    let widest = ratios.filter_map(|ratio| ratio.relative_half_width()).fold(0.0, f64::max);
    if rule.runs.is_none() && widest > 2.0 * rule.precision {
        let detail = format!("± {} after {rounds} rounds", units::percent(widest));
        let remedy =
            format!("for ± {} raise --max-time, or find out what disturbs the machine", units::percent(rule.precision));
        return Some(Warning::new("the ratio is not known well", detail, remedy));
    }
    None
}

fn first_stands_out(cpu_seconds: &[f64]) -> bool {
    let Some((first, others)) = cpu_seconds.split_first().filter(|(_, others)| others.len() >= 2) else {
        return false;
    };
    let slowest = others.iter().copied().fold(0.0, f64::max);
    let usual_excess = median(others).map_or(0.0, |middle| slowest - middle);
    *first > slowest * (1.0 + FIRST_RUN_EXCESS) && first - slowest > 2.0 * usual_excess
}

/// Variables that change what the system's malloc is or does, for all programs alike.
const MALLOC_VARIABLES: [&str; 7] = [
    "LD_PRELOAD",
    "DYLD_INSERT_LIBRARIES",
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "MALLOC_PERTURB_",
    "MALLOC_CHECK_",
];

/// About the machine and its environment, before the first run.
pub(super) fn of_machine(machine: &Machine) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in MALLOC_VARIABLES.into_iter().filter(|name| std::env::var_os(name).is_some()) {
        warnings
            .push(format!("{name} is set and changes the malloc under every program; unset it for a plain baseline"));
    }
    if let Some(load) = machine.load_average_at_start
        && load > 0.5 * machine.cores as f64
    {
        warnings.push(format!(
            "the machine was busy at the start (load average {load:.1} on {}); wait until it is idle, or trust only \
             large differences",
            units::plural(machine.cores, "core")
        ));
    }
    if let Some(governor) = machine.cpu_governor.as_deref().filter(|name| *name == "powersave" || *name == "ondemand") {
        warnings.push(format!(
            "the CPU's frequency changes with the load (governor {governor}); \
             `cpupower frequency-set -g performance` makes times steadier"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: StopRule = StopRule { runs: None, min_runs: 5, max_seconds: 10.0, precision: 0.01 };

    fn costs(cpu_seconds: &[f64]) -> Vec<Cost> {
        let cost = |&seconds: &f64| Cost {
            user_seconds: seconds,
            system_seconds: 0.0,
            wall_seconds: seconds,
            peak_bytes: 1 << 20,
            minor_faults: 100,
            major_faults: 0,
        };
        cpu_seconds.iter().map(cost).collect()
    }

    fn script(baseline: &[f64], candidate: &[f64]) -> ScriptReport {
        let baseline = costs(baseline);
        ScriptReport {
            results: vec![
                ProgramResult::new("one", baseline.clone(), None),
                ProgramResult::new("two", costs(candidate), Some(&baseline)),
            ],
            ..ScriptReport::default()
        }
    }

    #[test]
    fn steady_long_runs_raise_no_warning() {
        let runs = [1.0, 1.001, 0.999, 1.002, 1.0];
        assert_eq!(of_script(&script(&runs, &runs), &RULE), []);
    }

    #[test]
    fn short_runs_are_named_with_a_remedy() {
        let runs = [0.004; 5];
        let warnings = of_script(&script(&runs, &runs), &RULE);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(
            (warnings[0].what.as_str(), warnings[0].detail.as_str()),
            ("runs are too short to trust", "4.00 ms")
        );
        assert!(warnings[0].remedy.contains("more work"));
    }

    #[test]
    fn noise_is_named_with_the_program_and_a_remedy() {
        let noisy = [1.0, 1.3, 0.8, 1.1, 0.7, 1.2];
        let warnings = of_script(&script(&[1.0; 6], &noisy), &RULE);
        assert!(warnings[0].detail.starts_with("two by up to"), "{warnings:?}");
        assert!(warnings[0].remedy.contains("--runs"), "{warnings:?}");
        assert_eq!(warnings[1].what, "the ratio is not known well");
    }

    #[test]
    fn a_slow_first_run_stands_out() {
        let warnings = of_script(&script(&[1.5, 1.0, 1.0, 1.0, 1.0], &[1.0; 5]), &RULE);
        assert_eq!(warnings[0].detail, "one");
        assert!(warnings[0].what.contains("first run") && warnings[0].remedy.contains("--warmup"), "{warnings:?}");
        assert!(!first_stands_out(&[1.02, 1.0, 1.0]), "2 % is no news");
        assert!(!first_stands_out(&[1.5, 1.0, 1.4]), "others are as slow");
    }

    #[test]
    fn waiting_is_told_from_working() {
        let mut report = script(&[1.0; 5], &[1.0; 5]);
        report.results[0].wall_seconds = 2.0;
        let warnings = of_script(&report, &RULE);
        assert!(warnings[0].what.contains("had to wait") && warnings[0].detail == "one", "{warnings:?}");
    }

    #[test]
    fn scripts_with_the_same_warning_share_a_line() {
        let with = |name: &str| ScriptReport {
            name: name.into(),
            warnings: vec![Warning::new("runs are too short", "4 ms", "do more")],
            ..ScriptReport::default()
        };
        let scripts: Vec<ScriptReport> = ["a", "b", "c", "d", "e", "f", "g"].map(with).into();
        assert_eq!(lines(&scripts[..2]), ["runs are too short: a (4 ms), b (4 ms); do more"]);
        let many = lines(&scripts);
        assert_eq!(many.len(), 1);
        assert!(many[0].ends_with("e (4 ms) and 2 more scripts; do more"), "{many:?}");
    }

    #[test]
    fn a_busy_machine_is_named() {
        let quiet = Machine { load_average_at_start: Some(0.1), cores: 4, ..Machine::default() };
        assert_eq!(of_machine(&quiet), [""; 0]);
        let busy = Machine { load_average_at_start: Some(3.5), ..quiet };
        assert!(of_machine(&busy)[0].contains("load average 3.5 on 4 cores"));
    }
}
