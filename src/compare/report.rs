//! The results as data: what --json writes and --against reads, and what every picture and table is made from.

use serde::{Deserialize, Serialize};

use super::frames::FrameTimes;
use super::machine::Machine;
use super::profile::AllocatorShare;
use super::programs::Role;
use super::runner::Cost;
use super::statistics::{self, Ratio};
use super::timeline::Curve;
use super::warnings::{self, Warning};

/// Raised when a reader of an older file would misunderstand a newer one.
pub(super) const FORMAT: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub format: u32,
    pub tool_version: String,
    /// What the lua54 and lua54_pool built together with this program were compiled with.
    pub c_flags: Option<String>,
    /// Start of the comparison, UTC, as 2024-05-31T12:00:00Z.
    pub date: String,
    pub command_line: Vec<String>,
    pub machine: Machine,
    /// The first one is the baseline.
    pub programs: Vec<ProgramInfo>,
    pub scripts: Vec<ScriptReport>,
    /// Geometric means over all scripts a program could be compared on, one per program but the baseline.
    pub means: Vec<Mean>,
    /// About the comparison as a whole; those of one script stand there.
    pub warnings: Vec<String>,
    pub problems: Vec<String>,
    pub interrupted: bool,
    /// With --against.
    #[serde(default)]
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ProgramInfo {
    pub name: String,
    pub role: Role,
    pub command: String,
    pub version: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ScriptReport {
    pub name: String,
    pub script: String,
    pub arguments: Vec<String>,
    pub description: String,
    /// Those that ran it to the end, the baseline first; empty when the baseline did not.
    pub results: Vec<ProgramResult>,
    pub warnings: Vec<Warning>,
    pub problems: Vec<String>,
    /// Of the baseline, with --profile.
    #[serde(default)]
    pub allocator_share: Option<AllocatorShare>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ProgramResult {
    pub program: String,
    /// In the order of the rounds: run `i` of one program pairs with run `i` of another.
    pub runs: Vec<Cost>,
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
    pub peak_bytes: f64,
    pub faults: f64,
    /// Against the baseline; the baseline itself has none.
    pub cpu_ratio: Option<Ratio>,
    pub wall_ratio: Option<Ratio>,
    pub peak_ratio: Option<Ratio>,
    /// With --counts.
    #[serde(default)]
    pub instructions: Option<u64>,
    /// With --counts: the part of `instructions` that is in the allocator, where that is known.
    #[serde(default)]
    pub allocator_instructions: Option<u64>,
    /// With --frames.
    #[serde(default)]
    pub frame_times: Option<FrameTimes>,
    /// With --timeline.
    #[serde(default)]
    pub resident: Curve,
}

/// How a program's ratio has changed since an earlier report; above 1 is worse.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub script: String,
    pub program: String,
    pub ratio_then: f64,
    pub ratio_now: f64,
    pub change: Ratio,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mean {
    pub program: String,
    pub scripts: usize,
    pub cpu_ratio: Option<Ratio>,
    pub peak_ratio: Option<Ratio>,
}

impl ProgramResult {
    /// The part of all instructions that is in the allocator, from 0 to 1.
    pub fn allocator_part(&self) -> Option<f64> {
        Some(self.allocator_instructions? as f64 / self.instructions?.max(1) as f64)
    }

    /// The medians of `runs`, and the ratios to those of the baseline where this is not it.
    pub fn new(program: &str, runs: Vec<Cost>, baseline: Option<&[Cost]>) -> ProgramResult {
        let middle = |quantity: fn(&Cost) -> f64| statistics::median(&column(&runs, quantity)).unwrap_or(0.0);
        let ratio =
            |quantity: fn(&Cost) -> f64| Ratio::of_pairs(&column(&runs, quantity), &column(baseline?, quantity));
        ProgramResult {
            program: program.to_owned(),
            cpu_seconds: middle(Cost::cpu_seconds),
            wall_seconds: middle(|run| run.wall_seconds),
            peak_bytes: middle(|run| run.peak_bytes as f64),
            faults: middle(|run| run.faults() as f64),
            cpu_ratio: ratio(Cost::cpu_seconds),
            wall_ratio: ratio(|run| run.wall_seconds),
            peak_ratio: ratio(|run| run.peak_bytes as f64),
            runs,
            instructions: None,
            allocator_instructions: None,
            frame_times: None,
            resident: Curve::new(),
        }
    }
}

/// One quantity of all runs.
pub(super) fn column(runs: &[Cost], quantity: fn(&Cost) -> f64) -> Vec<f64> {
    runs.iter().map(quantity).collect()
}

impl ScriptReport {
    pub fn baseline(&self) -> Option<&ProgramResult> {
        self.results.first()
    }

    pub fn result_of(&self, program: &str) -> Option<&ProgramResult> {
        self.results.iter().find(|result| result.program == program)
    }

    /// The pair ratios of a program, for means and for comparing with an earlier run.
    pub fn pair_ratios(&self, program: &str, quantity: fn(&Cost) -> f64) -> Option<Vec<f64>> {
        let baseline = self.baseline().filter(|baseline| baseline.program != program)?;
        let ratios = statistics::pair_ratios(
            &column(&self.result_of(program)?.runs, quantity),
            &column(&baseline.runs, quantity),
        );
        (!ratios.is_empty()).then_some(ratios)
    }
}

impl Report {
    pub fn baseline_name(&self) -> &str {
        self.programs.first().map_or("", |program| program.name.as_str())
    }

    /// All programs but the baseline.
    pub fn compared(&self) -> impl Iterator<Item = &ProgramInfo> {
        self.programs.iter().skip(1)
    }

    /// The command line as it could be typed again.
    pub fn shown_command_line(&self) -> String {
        let is_plain = |c: char| c.is_alphanumeric() || "-_=./,:+%@".contains(c);
        let word = |word: &String| {
            let plain = !word.is_empty() && word.chars().all(is_plain);
            if plain { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
        };
        self.command_line.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    pub fn mean_of(&self, program: &str) -> Option<&Mean> {
        self.means.iter().find(|mean| mean.program == program)
    }

    /// The scripts there is something to show of.
    pub fn measured(&self) -> Vec<&ScriptReport> {
        self.scripts.iter().filter(|script| !script.results.is_empty()).collect()
    }

    pub fn all_warnings(&self) -> Vec<String> {
        let mut lines = warnings::lines(&self.scripts);
        lines.extend(self.warnings.iter().cloned());
        lines
    }

    pub fn all_problems(&self) -> impl Iterator<Item = &String> {
        self.scripts.iter().flat_map(|script| &script.problems).chain(&self.problems)
    }

    /// Call when all scripts are in.
    pub fn compute_means(&mut self) {
        let mean = |program: &ProgramInfo| {
            let ratios = |quantity: fn(&Cost) -> f64| -> Vec<Vec<f64>> {
                self.scripts.iter().filter_map(|script| script.pair_ratios(&program.name, quantity)).collect()
            };
            let cpu = ratios(Cost::cpu_seconds);
            Mean {
                program: program.name.clone(),
                scripts: cpu.len(),
                cpu_ratio: statistics::geometric_mean_ratio(&cpu),
                peak_ratio: statistics::geometric_mean_ratio(&ratios(|run| run.peak_bytes as f64)),
            }
        };
        self.means = self.compared().map(mean).collect();
    }
}
