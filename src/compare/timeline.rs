//! Resident memory over the time of one run, sampled in a run of its own so that the timed ones stay undisturbed.

use std::time::Duration;

use super::measure::task_command;
use super::programs::Program;
use super::runner::{self, Limits};
use super::tasks::Task;

/// As many points as a picture can show.
const POINTS: usize = 300;

/// (seconds, bytes), in order of time.
pub(super) type Curve = Vec<(f64, u64)>;

/// `wall_seconds` is what a run usually takes.
pub(super) fn sample(program: &Program, task: &Task, limits: &Limits, wall_seconds: f64) -> Result<Curve, String> {
    let period = Duration::from_secs_f64((wall_seconds / POINTS as f64).clamp(0.001, 0.1));
    let problem = |what: &str| format!("{}: memory over time of {}: {what}", task.name, program.name);
    let run = runner::run(task_command(program, task), limits, None, Some(period))
        .map_err(|failure| problem(&failure.to_string()))?;
    if run.resident.is_empty() {
        return Err(problem("this system does not tell a program's resident memory"));
    }
    Ok(thin_out(&run.resident, POINTS))
}

/// At most `points` points; each keeps the highest of those it stands for, so that no peak is lost.
fn thin_out(curve: &[(f64, u64)], points: usize) -> Curve {
    let group = curve.len().div_ceil(points).max(1);
    curve.chunks(group).filter_map(|chunk| chunk.iter().copied().max_by_key(|&(_, bytes)| bytes)).collect()
}

/// A curve as a line of block characters: `width` of them for `longest` seconds, full height for `highest` bytes.
pub(super) fn spark_line(curve: &[(f64, u64)], width: usize, longest: f64, highest: u64) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let end = curve.last().map_or(0.0, |&(seconds, _)| seconds);
    let step = longest / width as f64;
    let mut line = String::new();
    let mut level = 0;
    for index in 0..width {
        let (from, to) = (index as f64 * step, (index + 1) as f64 * step);
        if from > end {
            break;
        }
        let inside = curve.iter().filter(|(seconds, _)| (from..to).contains(seconds)).map(|&(_, bytes)| bytes);
        level = inside.max().unwrap_or(level);
        let height = (level as f64 / highest.max(1) as f64 * 8.0).ceil() as usize;
        line.push(BLOCKS[height.clamp(1, 8) - 1]);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_peak_and_the_order() {
        let curve: Curve = (0..1000).map(|i| (f64::from(i), if i == 517 { 99 } else { 1 })).collect();
        let thin = thin_out(&curve, 100);
        assert_eq!(thin.len(), 100);
        assert_eq!(thin.iter().map(|point| point.1).max(), Some(99));
        assert!(thin.is_sorted_by_key(|point| point.0));
        assert_eq!(thin_out(&curve[..5], 100), curve[..5]);
    }

    #[test]
    fn a_rising_curve_as_blocks() {
        let curve: Curve = (0..8).map(|i| (f64::from(i), (i as u64 + 1) * 100)).collect();
        assert_eq!(spark_line(&curve, 8, 8.0, 800), "▁▂▃▄▅▆▇█");
        assert_eq!(spark_line(&curve, 8, 16.0, 800), "▂▄▆█", "half as long, half as wide");
        assert_eq!(spark_line(&[], 8, 8.0, 0).chars().count(), 1);
    }
}
