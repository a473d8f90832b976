//! Tells a waiting person how far it is, on standard error: a bar on a terminal, a line per script elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::report::{Report, ScriptReport};
use super::units;

/// Steps of the bar per script.
const STEPS: f64 = 1000.0;

pub(super) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    scripts: usize,
    start: Instant,
}

impl Progress {
    pub fn new(scripts: usize) -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { ProgressBar::new(scripts as u64 * STEPS as u64) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        if is_terminal {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Progress { bar, is_terminal, scripts, start: Instant::now() }
    }

    /// `part` of the current script is done.
    pub fn round(&self, script: &str, what: &str, part: f64) {
        let done = self.bar.position() as f64 / STEPS;
        let position = (done.floor() + part.clamp(0.0, 0.999)) * STEPS;
        self.bar.set_position(position as u64);
        self.bar.set_message(format!("{script}: {what}{}", self.time_left(position)));
    }

    /// Rounds take about the same time, so what is left takes as long in proportion as what is done.
    fn time_left(&self, position: f64) -> String {
        let part = position / (self.scripts as f64 * STEPS);
        let elapsed = self.start.elapsed().as_secs_f64();
        if part < 0.01 || elapsed < 1.0 {
            return String::new();
        }
        let left = elapsed / part - elapsed;
        if left >= 90.0 { format!(", about {:.0} min left", left / 60.0) } else { format!(", about {left:.0} s left") }
    }

    pub fn script_done(&self, number: usize, script: &ScriptReport) {
        let ratios: Vec<String> = script.results.iter().filter_map(one_ratio).collect();
        let summary = if ratios.is_empty() { "no result".to_owned() } else { ratios.join(", ") };
        let line = format!("[{number}/{}] {}: {summary}", self.scripts, script.name);
        if self.is_terminal {
            self.bar.println(line);
        } else {
            eprintln!("{line}");
        }
        self.bar.set_position((number as f64 * STEPS) as u64);
    }

    pub fn finish(&self, report: &Report) {
        self.bar.finish_and_clear();
        if report.interrupted {
            let what =
                if report.measured().is_empty() { "nothing was measured yet" } else { "this is what was measured" };
            eprintln!("lua54_compare: interrupted; {what}");
        }
    }
}

fn one_ratio(result: &super::report::ProgramResult) -> Option<String> {
    let ratio = result.cpu_ratio?;
    Some(format!("{} {}", result.program, units::ratio(ratio.median)))
}
