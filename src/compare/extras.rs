//! What is measured besides time and memory, when asked for: each in runs of its own, after the timed ones.

use super::options::Options;
use super::programs::Program;
use super::progress::Progress;
use super::report::ScriptReport;
use super::runner::Limits;
use super::tasks::Task;
use super::{counts, frames, profile, timeline};
use crate::os::process::interrupted;

/// Adds to a script's report. What cannot be had becomes a problem there: somebody has asked for it.
pub(super) fn add(
    script: &mut ScriptReport,
    task: &Task,
    programs: &[Program],
    options: &Options,
    limits: &Limits,
    progress: &Progress,
) {
    let tell = |what: &str| progress.round(&task.name, what, 0.99);
    let program_of = |name: &str| programs.iter().find(|program| program.name == name);
    let mut problems = Vec::new();
    let mut keep = |problem: String| {
        // The same complaint about a missing tool, once for each program, helps nobody.
        if !interrupted() && !problems.contains(&problem) {
            problems.push(problem);
        }
    };

    let tells_frames = options.frames && frames::can_tell(task);
    let mut frame_times = vec![Vec::new(); script.results.len()];
    for _ in 0..if tells_frames { frames::FRAME_RUNS } else { 0 } {
        for (result, times) in script.results.iter().zip(&mut frame_times) {
            let Some(program) = program_of(&result.program).filter(|_| !interrupted()) else { continue };
            tell("frame times");
            match frames::measure(program, task, limits) {
                Ok(run) => times.push(run),
                Err(problem) => keep(problem),
            }
        }
    }
    for (result, times) in script.results.iter_mut().zip(&frame_times) {
        result.frame_times = frames::middle(times);
        let Some(program) = program_of(&result.program) else { continue };
        if options.timeline && !interrupted() {
            tell("memory over time");
            match timeline::sample(program, task, limits, result.wall_seconds) {
                Ok(curve) => result.resident = curve,
                Err(problem) => keep(problem),
            }
        }
        if options.counts && !interrupted() {
            tell("instruction counts");
            match counts::instructions(program, task, limits) {
                Ok(count) => {
                    result.instructions = Some(count.all);
                    result.allocator_instructions = count.in_allocator;
                }
                Err(problem) => keep(problem),
            }
        }
    }
    if options.profile
        && !interrupted()
        && let Some(baseline) = script.results.first()
        && let Some(program) = program_of(&baseline.program)
    {
        tell("allocator's share");
        match profile::allocator_share(program, task, limits, baseline.cpu_seconds) {
            Ok(share) => script.allocator_share = Some(share),
            Err(problem) => keep(problem),
        }
    }
    script.problems.extend(problems);
}
