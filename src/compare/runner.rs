//! One run of one program: started, watched, measured.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::capture::{Captured, Reader};
use super::units;
use crate::os::process::{CAN_SET_PROGRAM_NAME, Child, Ending, interrupted, own_private_bytes};

/// What one run cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    pub user_seconds: f64,
    pub system_seconds: f64,
    pub wall_seconds: f64,
    pub peak_bytes: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
}

impl Cost {
    pub fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    pub fn faults(&self) -> u64 {
        self.minor_faults + self.major_faults
    }
}

#[derive(Debug)]
pub(super) struct Run {
    pub cost: Cost,
    pub ending: Ending,
    pub stdout: Captured,
    pub stderr: Captured,
    /// The smallest peak that could have been seen (see `Child::spawn`).
    pub peak_floor_bytes: Option<u64>,
    /// (seconds since the start, bytes resident), when asked for.
    pub resident: Vec<(f64, u64)>,
}

/// Why there is no result of a run.
#[derive(Debug)]
pub(super) enum Failure {
    CannotStart(io::Error),
    CannotMeasure(io::Error),
    Timeout { seconds: f64 },
    TooMuchOutput { limit_bytes: u64 },
    OutputHeldOpen,
    Interrupted,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::CannotStart(error) => write!(f, "could not be started: {error}"),
            Failure::CannotMeasure(error) => write!(f, "could not be measured: {error}"),
            Failure::Timeout { seconds } => {
                write!(f, "took longer than {} and was ended (see --timeout)", units::seconds(*seconds))
            }
            Failure::TooMuchOutput { limit_bytes } => {
                let limit = units::bytes(*limit_bytes as f64);
                write!(f, "printed more than {limit} and was ended (see --output-limit)")
            }
            Failure::OutputHeldOpen => {
                write!(f, "left a process behind that holds its output open; a script must wait for what it starts")
            }
            Failure::Interrupted => write!(f, "was interrupted"),
        }
    }
}

/// The same for all runs of a comparison.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub timeout: Duration,
    pub output_bytes: u64,
    pub input: Option<PathBuf>,
}

/// How often the watcher looks; seldom enough to cost nothing that could be measured.
const WATCH_PERIOD: Duration = Duration::from_millis(20);

/// Why the watcher has ended the child.
const RUNNING: u8 = 0;
const TIMED_OUT: u8 = 1;
const PRINTED_TOO_MUCH: u8 = 2;
const INTERRUPTED: u8 = 3;

/// Runs `command` to its end. With `sample_period` its resident memory is sampled meanwhile.
/// `own_name` is the `argv[0]` that its messages start with, where it is not the common one.
pub(super) fn run(
    mut command: Command,
    limits: &Limits,
    own_name: Option<Vec<u8>>,
    sample_period: Option<Duration>,
) -> Result<Run, Failure> {
    if interrupted() {
        return Err(Failure::Interrupted);
    }
    command.stdin(match &limits.input {
        Some(file) => Stdio::from(File::open(file).map_err(Failure::CannotStart)?),
        None => Stdio::null(),
    });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());

    let peak_floor_bytes = own_private_bytes();
    let start = Instant::now();
    let mut child = Child::spawn(&mut command).map_err(Failure::CannotStart)?;
    let too_much = Arc::new(AtomicBool::new(false));
    let reader = |stream: Box<dyn io::Read + Send>, own_name| {
        Reader::start(stream, limits.output_bytes, too_much.clone(), own_name)
    };
    let stdout = child.stdout.take().map(|stream| reader(Box::new(stream), None));
    let stderr = child.stderr.take().map(|stream| reader(Box::new(stream), own_name));

    let why_ended = AtomicU8::new(RUNNING);
    let mut resident = Vec::new();
    let (waited, wall_seconds) = thread::scope(|scope| {
        let (ended, at_end) = mpsc::channel::<()>();
        let (child, why_ended, too_much, resident) = (&child, &why_ended, &too_much, &mut resident);
        scope.spawn(move || {
            let period = sample_period.unwrap_or(WATCH_PERIOD);
            loop {
                if sample_period.is_some()
                    && let Some(bytes) = child.resident_bytes()
                {
                    // An ended child has no memory any more; that is not part of its story.
                    if bytes > 0 {
                        resident.push((start.elapsed().as_secs_f64(), bytes));
                    }
                }
                let why = if start.elapsed() > limits.timeout {
                    TIMED_OUT
                } else if too_much.load(Ordering::Relaxed) {
                    PRINTED_TOO_MUCH
                } else if interrupted() {
                    INTERRUPTED
                } else {
                    RUNNING
                };
                if why != RUNNING {
                    why_ended.store(why, Ordering::Relaxed);
                    child.kill();
                    return;
                }
                if at_end.recv_timeout(period) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let waited = child.wait_for_end();
        let wall_seconds = start.elapsed().as_secs_f64();
        drop(ended);
        (waited, wall_seconds)
    });
    waited.map_err(Failure::CannotMeasure)?;
    let (ending, usage) = child.reap().map_err(Failure::CannotMeasure)?;

    let finish = |reader: Option<Reader>| reader.map_or(Some(Captured::default()), Reader::finish);
    let (stdout, stderr) = (finish(stdout), finish(stderr));
    match why_ended.load(Ordering::Relaxed) {
        TIMED_OUT => return Err(Failure::Timeout { seconds: limits.timeout.as_secs_f64() }),
        INTERRUPTED => return Err(Failure::Interrupted),
        // A short run may be over before the watcher has seen that it printed too much.
        _ if too_much.load(Ordering::Relaxed) => {
            return Err(Failure::TooMuchOutput { limit_bytes: limits.output_bytes });
        }
        _ => {}
    }
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(Failure::OutputHeldOpen);
    };
    let cost = Cost {
        user_seconds: usage.user_seconds,
        system_seconds: usage.system_seconds,
        wall_seconds,
        peak_bytes: usage.peak_bytes,
        minor_faults: usage.minor_faults,
        major_faults: usage.major_faults,
    };
    Ok(Run { cost, ending, stdout, stderr, peak_floor_bytes, resident })
}

/// The name to normalise in what a program prints on standard error.
pub(super) fn own_name(command: &Command, keeps_name: bool) -> Option<Vec<u8>> {
    (keeps_name || !CAN_SET_PROGRAM_NAME).then(|| command.get_program().as_encoded_bytes().to_vec())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { timeout: Duration::from_secs(60), output_bytes: 1 << 20, input: None }
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_and_the_exit_code_arrive() {
        let run = run(shell("echo out; echo err >&2; exit 3"), &limits(), None, None).unwrap();
        assert_eq!(run.stdout.beginning, b"out\n");
        assert_eq!(run.stderr.beginning, b"err\n");
        assert_eq!(run.ending, Ending::Exit(3));
        assert!(run.cost.peak_bytes > 100_000, "{:?}", run.cost);
    }

    #[test]
    fn a_hanging_program_is_ended_with_all_it_started() {
        let limits = Limits { timeout: Duration::from_millis(200), ..limits() };
        let start = Instant::now();
        let failure = run(shell("sleep 100 & sleep 100"), &limits, None, None).unwrap_err();
        assert!(matches!(failure, Failure::Timeout { .. }), "{failure}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn endless_output_is_ended() {
        let failure = run(shell("yes"), &limits(), None, None).unwrap_err();
        assert_eq!(failure.to_string(), "printed more than 1.00 MiB and was ended (see --output-limit)");
    }

    #[test]
    fn a_crash_is_told_from_an_exit() {
        let run = run(shell("kill -SEGV $$"), &limits(), None, None).unwrap();
        assert_eq!(run.ending, Ending::Signal(libc::SIGSEGV));
    }

    #[test]
    fn a_process_left_behind_does_not_hang_us() {
        let failure = run(shell("sleep 8 & exit 0"), &limits(), None, None).unwrap_err();
        assert!(matches!(failure, Failure::OutputHeldOpen), "{failure}");
    }

    #[test]
    fn a_program_that_cannot_start_says_why() {
        let failure = run(Command::new("/no/such/program"), &limits(), None, None).unwrap_err();
        assert!(failure.to_string().starts_with("could not be started: "), "{failure}");
    }

    #[test]
    fn memory_of_ours_that_hides_the_childs_peak_is_told() {
        let ours = std::hint::black_box(vec![1_u8; 64 << 20]);
        let run = run(shell("exit 0"), &limits(), None, None).unwrap();
        drop(ours);
        if let Some(floor_bytes) = run.peak_floor_bytes {
            assert!(floor_bytes >= 64 << 20, "{floor_bytes}");
            assert!(run.cost.peak_bytes < floor_bytes + (16 << 20), "{} of {floor_bytes}", run.cost.peak_bytes);
        }
    }
}
