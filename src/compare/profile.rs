//! How much of the baseline's time is spent in its allocator: nothing but that could be won by a better one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::output_check::first_line;
use super::programs::{Program, find_executable};
use super::runner::{self, Limits};
use super::tasks::Task;

/// Enough samples for a share that is right to a percent or two.
const WANTED_SAMPLES: f64 = 1500.0;
/// Malloc's frames are the innermost ones; this much of the stack shows them and who called.
const STACK_BYTES: u32 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AllocatorShare {
    /// From 0 to 1.
    pub part: f64,
    pub samples: usize,
}

/// Samples one run with perf; `cpu_seconds` is what a run usually takes.
pub(super) fn allocator_share(
    program: &Program,
    task: &Task,
    limits: &Limits,
    cpu_seconds: f64,
) -> Result<AllocatorShare, String> {
    let perf = find_executable("perf".as_ref())
        .ok_or("--profile needs perf, which is not on PATH (Debian: apt install linux-perf)")?;
    let folder = tempfile::tempdir().map_err(|e| format!("--profile: no folder for perf's samples: {e}"))?;
    let data = folder.path().join("samples");
    let frequency = (WANTED_SAMPLES / cpu_seconds.max(0.01)).clamp(49.0, 1999.0) as u32;
    let mut command = Command::new(&perf);
    command.args(["record", "--quiet", "--freq", &frequency.to_string()]);
    command.args(["--call-graph", &format!("dwarf,{STACK_BYTES}"), "--output"]).arg(&data).arg("--");
    program.add_to(&mut command);
    command.arg(&task.script).args(&task.arguments);

    let unusable = |what: &str| {
        format!(
            "--profile: perf is not usable here: {what}; it may need kernel.perf_event_paranoid at 2 or below, and is \
             often forbidden in containers"
        )
    };
    let run = runner::run(command, limits, None, None).map_err(|failure| unusable(&failure.to_string()))?;
    if !data.is_file() {
        return Err(unusable(&first_line(&run.stderr).unwrap_or_else(|| "it wrote no samples".into())));
    }
    let share = read_samples(&perf, &data).map_err(|error| unusable(&error.to_string()))?;
    if share.samples == 0 { Err(unusable("it took no samples")) } else { Ok(share) }
}

fn read_samples(perf: &Path, data: &Path) -> std::io::Result<AllocatorShare> {
    let mut child = Command::new(perf)
        .args(["script", "--no-inline", "-F", "ip,sym", "-i"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let share = match child.stdout.take() {
        Some(stdout) => share_in(BufReader::new(stdout)),
        None => Ok(AllocatorShare { part: 0.0, samples: 0 }),
    };
    child.wait()?;
    share
}

/// A sample is a block of lines `address symbol`, innermost frame first; blocks are separated by empty lines.
fn share_in(lines: impl BufRead) -> std::io::Result<AllocatorShare> {
    let (mut samples, mut in_allocator) = (0, 0);
    let (mut has_frames, mut is_allocator) = (false, false);
    for line in lines.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let mut words = line.split_whitespace();
        if words.next().is_some() {
            has_frames = true;
            is_allocator |= words.next().is_some_and(is_allocator_function);
        } else {
            samples += usize::from(has_frames);
            in_allocator += usize::from(is_allocator);
            (has_frames, is_allocator) = (false, false);
        }
    }
    samples += usize::from(has_frames);
    in_allocator += usize::from(is_allocator);
    Ok(AllocatorShare { part: in_allocator as f64 / samples.max(1) as f64, samples })
}

/// `l_alloc` is Lua's own function above malloc and free.
pub(super) fn is_allocator_function(symbol: &str) -> bool {
    let plain = symbol.split(['@', '+']).next().unwrap_or(symbol);
    let plain = plain.trim_start_matches("__libc_").trim_start_matches("__GI___libc_").trim_start_matches("_int_");
    matches!(plain, "malloc" | "free" | "cfree" | "realloc" | "calloc" | "malloc_consolidate" | "sysmalloc" | "l_alloc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_counts_with_all_it_calls() {
        let text = "
              1f2 luaV_execute
              1f0 luaD_call

              200 _int_malloc
              210 malloc
              220 l_alloc

              400 asm_exc_page_fault
              210 __libc_realloc
              220 l_alloc

              230 luaH_realasize
";
        let share = share_in(text.as_bytes()).unwrap();
        assert_eq!(share, AllocatorShare { part: 0.5, samples: 4 });
    }

    #[test]
    fn no_samples_are_no_share() {
        assert_eq!(share_in(&b""[..]).unwrap(), AllocatorShare { part: 0.0, samples: 0 });
    }

    #[test]
    fn names_that_only_look_like_malloc() {
        assert!(is_allocator_function("malloc@plt"));
        assert!(is_allocator_function("_int_free"));
        assert!(!is_allocator_function("luaM_malloc_"));
        assert!(!is_allocator_function("freeobj"));
    }
}
