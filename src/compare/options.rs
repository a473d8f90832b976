//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  lua54_compare script.lua                  lua54 against lua54_pool
  lua54_compare script.lua -- 15 verbose    the script gets two arguments
  lua54_compare --suite                     all shipped workloads
  lua54_compare --suite --only mix,vector   two of them
  lua54_compare --suite --peers             every malloc and Lua installed here
  lua54_compare script.lua --with jit='luajit -joff'
  lua54_compare script.lua --preload mimalloc=/usr/lib/libmimalloc.so
  lua54_compare script.lua --baseline lua5.4 --candidate lua54_pool
  lua54_compare --suite --timeline --html report.html
  lua54_compare --suite --json today.json --against yesterday.json
  lua54_compare script.lua --fail-above 0.9 && echo fast enough

How to read the result:
  A ratio is a program's number divided by lua54's: 0.65 means 65 % of the
  time, or of the memory. Run 1 is divided by run 1, run 2 by run 2 and so on;
  the median of these is shown, and beside it the 95 % interval. An interval
  that holds 1 means no difference, and is marked with ≈.

Exit status:
  0 all went well
  1 outputs differ, a script or program failed, or a --fail-… limit is broken
  2 wrong options, or nothing to run
  130 stopped by Ctrl-C; what was measured until then is shown";

/// Compares lua54 and lua54_pool, and others if you like, on the same Lua scripts
///
/// The programs run in turn, A B A B, after a warm-up. Their output must be the same. CPU time (user + system) decides;
/// wall time, peak resident memory and page faults are measured as well. It stops as soon as the result is sure
/// enough.
#[derive(Parser, Debug)]
#[command(name = "lua54_compare", version, max_term_width = 110, after_help = EXAMPLES)]
pub(super) struct Options {
    /// Lua scripts to run
    #[arg(value_name = "SCRIPT")]
    pub scripts: Vec<PathBuf>,

    /// Arguments for the scripts named on the command line
    #[arg(last = true, value_name = "ARGS")]
    pub script_arguments: Vec<OsString>,

    /// Run the shipped workloads, or those a tab-separated list names
    ///
    /// Its columns are name, script, args and description, named so in its first line. Without FILE
    /// benchmark/suite.tsv is looked for in the current folder and in those above this program.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub suite: Option<Option<PathBuf>>,

    /// Only these workloads of the suite
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "suite")]
    pub only: Vec<String>,

    /// What the scripts read on standard input [default: nothing]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Program that all others are compared with [default: lua54, beside this program or on PATH]
    #[arg(long, value_name = "[NAME=]COMMAND", help_heading = "Programs")]
    pub baseline: Option<String>,

    /// Program to judge [default: lua54_pool, beside this program or on PATH]
    #[arg(long, value_name = "[NAME=]COMMAND", help_heading = "Programs")]
    pub candidate: Option<String>,

    /// Add another interpreter (may be given several times)
    #[arg(long = "with", value_name = "NAME=COMMAND", help_heading = "Programs")]
    pub with: Vec<String>,

    /// Add the baseline under another malloc (may be given several times)
    #[arg(long, value_name = "NAME=LIBRARY", help_heading = "Programs")]
    pub preload: Vec<String>,

    /// Add what is installed: mimalloc, jemalloc, tcmalloc, rpmalloc, snmalloc, lua5.4, luajit -joff
    #[arg(long, help_heading = "Programs")]
    pub peers: bool,

    /// Do not call every program "lua" (so that their messages agree), for commands that look at their own name
    #[arg(long, help_heading = "Programs")]
    pub keep_name: bool,

    /// Exactly this many rounds [default: until the interval is tight enough]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "How long")]
    pub runs: Option<u32>,

    /// At least this many rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000),
          conflicts_with = "runs", help_heading = "How long")]
    pub min_runs: u32,

    /// No new round for a script after this long, once the least number of rounds is made
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = positive_number,
          conflicts_with = "runs", help_heading = "How long")]
    pub max_time: f64,

    /// Stop when half the 95 % interval of each time ratio is below this
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = positive_number,
          conflicts_with = "runs", help_heading = "How long")]
    pub precision: f64,

    /// Runs of each program before the measured ones
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1000),
          help_heading = "How long")]
    pub warmup: u32,

    /// End a run that takes longer; its program is left out for that script
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = positive_number, help_heading = "How long")]
    pub timeout: f64,

    /// Do not compare what the programs print, for scripts that print times
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "all",
          help_heading = "What must agree")]
    pub ignore_output: Option<IgnoredOutput>,

    /// Measure scripts that end with a non-zero exit code too
    #[arg(long, help_heading = "What must agree")]
    pub ignore_failure: bool,

    /// End a run that prints more
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1 << 30),
          help_heading = "What must agree")]
    pub output_limit: u64,

    /// Count each program's instructions, and those in its allocator (valgrind; takes about 50 times as long as one run)
    #[arg(long, help_heading = "Also measure")]
    pub counts: bool,

    /// Find how much of the baseline's time is its allocator's, that is, what could be won at all (perf)
    #[arg(long, help_heading = "Also measure")]
    pub profile: bool,

    /// Sample resident memory over the time of one run
    #[arg(long, help_heading = "Also measure")]
    pub timeline: bool,

    /// Frame times, of scripts that print a line "frame_ms median=… p99=… worst=…" when their last argument is "times"
    #[arg(long, help_heading = "Also measure")]
    pub frames: bool,

    /// Exit status 1 unless the candidate's time ratio is at most this on each script
    #[arg(long, value_name = "RATIO", value_parser = positive_number, help_heading = "Regression")]
    pub fail_above: Option<f64>,

    /// Exit status 1 unless the geometric mean of these ratios is at most this
    #[arg(long, value_name = "RATIO", value_parser = positive_number, help_heading = "Regression")]
    pub fail_mean_above: Option<f64>,

    /// Compare with an earlier run, as written by --json
    #[arg(long, value_name = "FILE", help_heading = "Regression")]
    pub against: Option<PathBuf>,

    /// Exit status 1 when a time ratio is worse than in --against by more than this
    #[arg(long, value_name = "PERCENT", value_parser = positive_number, requires = "against", help_heading = "Regression")]
    pub fail_worse: Option<f64>,

    /// Write all results, with every single run, as JSON (- is standard output, here and below)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub markdown: Option<PathBuf>,

    /// Write a row of medians and ratios for each script and program
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// Write a report with pictures: one page that needs nothing else
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,

    /// Write the time ratios as a picture of its own (SVG)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub picture: Option<PathBuf>,

    /// Write resident memory over time as a picture of its own (SVG)
    #[arg(long, value_name = "FILE", requires = "timeline", help_heading = "Output")]
    pub memory_picture: Option<PathBuf>,

    /// Run nothing; show and write the results of an earlier --json
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scripts", "suite"], help_heading = "Output")]
    pub load: Option<PathBuf>,

    /// All numbers of each script in a table of its own, here and in Markdown
    #[arg(long, help_heading = "Output")]
    pub details: bool,

    /// Colour on standard output; NO_COLOR is honoured too
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IgnoredOutput {
    All,
    Stdout,
    Stderr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

fn positive_number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("a number above zero is expected".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_script_after_suite_is_a_script() {
        let options = Options::parse_from(["lua54_compare", "--suite", "one.lua", "--", "-x"]);
        assert_eq!(options.suite, Some(None));
        assert_eq!(options.scripts, [PathBuf::from("one.lua")]);
        assert_eq!(options.script_arguments, ["-x"]);
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for wrong in ["0", "-1", "nan", "inf", "ten"] {
            assert!(Options::try_parse_from(["lua54_compare", "a.lua", "--max-time", wrong]).is_err(), "{wrong}");
        }
        assert!(Options::try_parse_from(["lua54_compare", "a.lua", "--runs", "0"]).is_err());
    }
}
