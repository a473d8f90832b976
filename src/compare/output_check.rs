//! Whether two programs did the same: exit code, standard output, standard error. A difference is shown as a short
//! diff.

use std::fmt::Write as _;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use super::capture::Captured;
use super::options::IgnoredOutput;
use super::runner::Run;
use super::units;
use crate::os::process::Ending;

const SHOWN_LINES: usize = 8;
const SHOWN_COLUMNS: usize = 110;
/// A diff of two long and unlike texts is cut short: a rough one will do.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// What of a run is kept to compare later runs with.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub ending: Ending,
    pub stdout: Captured,
    pub stderr: Captured,
}

impl From<Run> for Outcome {
    fn from(run: Run) -> Outcome {
        Outcome { ending: run.ending, stdout: run.stdout, stderr: run.stderr }
    }
}

/// None when both did the same; otherwise one line that says what differs, and perhaps a diff below it.
pub(super) fn difference(
    expected: &Outcome,
    actual: &Outcome,
    names: [&str; 2],
    ignored: Option<IgnoredOutput>,
) -> Option<String> {
    if expected.ending != actual.ending {
        let [one, other] = [expected, actual].map(|outcome| ending_words(outcome.ending));
        let last = last_line(&actual.stderr).or_else(|| last_line(&expected.stderr));
        let last = last.map(|line| format!(": {line}")).unwrap_or_default();
        return Some(format!("{} {one}, {} {other}{last}", names[0], names[1]));
    }
    for (stream, expected, actual, ignored_alone) in [
        ("standard output", &expected.stdout, &actual.stdout, IgnoredOutput::Stdout),
        ("standard error", &expected.stderr, &actual.stderr, IgnoredOutput::Stderr),
    ] {
        let is_ignored = ignored == Some(IgnoredOutput::All) || ignored == Some(ignored_alone);
        if !is_ignored && !expected.same_as(actual) {
            let diff = short_diff(expected, actual);
            return Some(format!("{stream} differs (- {}, + {}):{diff}", names[0], names[1]));
        }
    }
    None
}

pub(super) fn ending_words(ending: Ending) -> String {
    match ending {
        Ending::Exit(0) => "succeeded".into(),
        Ending::Exit(code) => format!("ended with exit code {code}"),
        Ending::Signal(number) => format!("crashed with signal {number}{}", signal_name(number)),
    }
}

/// The numbers that are the same on all Unix systems.
fn signal_name(number: i32) -> &'static str {
    match number {
        4 => " (illegal instruction)",
        6 => " (abort)",
        8 => " (arithmetic error)",
        9 => " (killed; perhaps the system is out of memory)",
        11 => " (segmentation fault)",
        _ => "",
    }
}

/// The first line that says something, for a message of one line.
pub(super) fn first_line(captured: &Captured) -> Option<String> {
    let text = String::from_utf8_lossy(&captured.beginning);
    text.lines().find(|line| !line.trim().is_empty()).map(shown)
}

fn last_line(captured: &Captured) -> Option<String> {
    // A Lua error has its message first and the traceback after it.
    first_line(captured)
}

fn short_diff(expected: &Captured, actual: &Captured) -> String {
    let [old, new] = [expected, actual].map(|captured| String::from_utf8_lossy(&captured.beginning));
    if old == new {
        return format!(
            " the same beginning, but {} against {}; first difference after {}",
            units::bytes(expected.length_bytes as f64),
            units::bytes(actual.length_bytes as f64),
            units::bytes(expected.beginning.len() as f64),
        );
    }
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(&*old, &*new);
    let mut text = String::new();
    let mut left_out = 0;
    let changes = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    for (number, change) in changes.enumerate() {
        if number >= SHOWN_LINES {
            left_out += 1;
            continue;
        }
        let (sign, index) = match change.tag() {
            ChangeTag::Delete => ('-', change.old_index()),
            _ => ('+', change.new_index()),
        };
        let line = index.map_or(0, |index| index + 1);
        let content = change.value().trim_end_matches(['\n', '\r']);
        let _ = write!(text, "\n    {line:>5} {sign} {}", shown(content));
    }
    if left_out > 0 {
        let _ = write!(text, "\n          … and {}", units::plural(left_out, "more changed line"));
    }
    text
}

/// A line fit for a terminal: no control characters, not too long.
fn shown(line: &str) -> String {
    let mut text: String =
        line.chars().take(SHOWN_COLUMNS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if line.chars().nth(SHOWN_COLUMNS).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hasher};

    fn captured(text: &str) -> Captured {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        Captured { length_bytes: text.len() as u64, hash: hasher.finish(), beginning: text.as_bytes().to_vec() }
    }

    fn outcome(ending: Ending, stdout: &str, stderr: &str) -> Outcome {
        Outcome { ending, stdout: captured(stdout), stderr: captured(stderr) }
    }

    fn compare(one: &Outcome, other: &Outcome, ignored: Option<IgnoredOutput>) -> Option<String> {
        difference(one, other, ["one", "other"], ignored)
    }

    #[test]
    fn equal_runs_have_no_difference() {
        let run = outcome(Ending::Exit(0), "a\n", "warning\n");
        assert_eq!(compare(&run, &run.clone(), None), None);
    }

    #[test]
    fn the_changed_line_is_shown_with_its_number() {
        let one = outcome(Ending::Exit(0), "a\nb\nc\n", "");
        let other = outcome(Ending::Exit(0), "a\nB\nc\n", "");
        let expected = "standard output differs (- one, + other):\n        2 - b\n        2 + B";
        assert_eq!(compare(&one, &other, None).unwrap(), expected);
        assert_eq!(compare(&one, &other, Some(IgnoredOutput::All)), None);
        assert_eq!(compare(&one, &other, Some(IgnoredOutput::Stdout)), None);
        assert!(compare(&one, &other, Some(IgnoredOutput::Stderr)).is_some());
    }

    #[test]
    fn exit_codes_and_crashes_differ_even_when_output_is_ignored() {
        let fine = outcome(Ending::Exit(0), "", "");
        let failed = outcome(Ending::Exit(1), "", "lua: x.lua:1: boom\nstack traceback:\n");
        let crashed = outcome(Ending::Signal(11), "", "");
        let text = compare(&fine, &failed, Some(IgnoredOutput::All)).unwrap();
        assert_eq!(text, "one succeeded, other ended with exit code 1: lua: x.lua:1: boom");
        let text = compare(&fine, &crashed, Some(IgnoredOutput::All)).unwrap();
        assert_eq!(text, "one succeeded, other crashed with signal 11 (segmentation fault)");
    }

    #[test]
    fn a_long_diff_is_cut_and_control_characters_are_not_printed() {
        let one = outcome(Ending::Exit(0), "", "");
        let other = outcome(Ending::Exit(0), &"\x1b[31mred\n".repeat(100), "");
        let text = compare(&one, &other, None).unwrap();
        assert_eq!(text.lines().count(), 1 + SHOWN_LINES + 1);
        assert!(text.ends_with("… and 92 more changed lines"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn outputs_that_part_after_what_is_kept() {
        let mut one = outcome(Ending::Exit(0), "same", "");
        let mut other = one.clone();
        (one.stdout.hash, one.stdout.length_bytes) = (1, 100_000);
        (other.stdout.hash, other.stdout.length_bytes) = (2, 200_000);
        assert!(compare(&one, &other, None).unwrap().contains("same beginning, but 98 KiB against 195 KiB"));
    }
}
