//! The results as tables, for a terminal and as Markdown.

use std::fmt::Write as _;

use super::report::{ProgramResult, Report, ScriptReport};
use super::statistics::{Ratio, Verdict};
use super::text_table::{BAD, BOLD, CAUTION, Cell, DIM, GOOD, PLAIN, TextTable, left, right};
use super::timeline::spark_line;
use super::units;

const SPARK_COLUMNS: usize = 50;

/// A table with its title.
struct Titled {
    title: String,
    table: TextTable,
}

/// Everything but the progress. Styles are always written; the output stream removes them where needed.
pub(super) fn for_terminal(report: &Report, with_details: bool, with_curves: bool) -> String {
    let mut text = String::new();
    for Titled { title, table } in tables(report, with_details) {
        if !title.is_empty() {
            let _ = writeln!(text, "{BOLD}{title}{BOLD:#}");
        }
        table.write_to(&mut text);
        text.push('\n');
    }
    if with_curves {
        report.measured().into_iter().for_each(|script| curves(&mut text, script));
    }
    if !report.measured().is_empty() {
        let _ = writeln!(text, "{DIM}{}{DIM:#}", legend(report));
        let _ = writeln!(text, "{DIM}{}, {}{DIM:#}", report.date, report.machine.summary());
    }
    for warning in report.all_warnings() {
        let _ = writeln!(text, "{CAUTION}warning:{CAUTION:#} {warning}");
    }
    for problem in report.all_problems() {
        let _ = writeln!(text, "{BAD}problem:{BAD:#} {problem}");
    }
    text
}

pub(super) fn as_markdown(report: &Report, with_details: bool) -> String {
    let mut text = String::new();
    for Titled { title, table } in tables(report, with_details) {
        if !title.is_empty() {
            let _ = writeln!(text, "### {title}\n");
        }
        table.write_markdown_to(&mut text);
        text.push('\n');
    }
    let _ = writeln!(text, "{}\n", legend(report));
    for (word, lines) in [("Warning", report.all_warnings()), ("Problem", report.all_problems().cloned().collect())] {
        for line in lines {
            let _ = writeln!(text, "- {word}: {}", line.replace('\n', "\n  "));
        }
    }
    let _ = writeln!(text, "\n{}, {}", report.date, report.machine.summary());
    let _ = writeln!(text, "\n    {}\n", report.shown_command_line());
    for program in &report.programs {
        let version = program.version.as_deref().unwrap_or("unknown version");
        let _ = writeln!(text, "- {}: `{}`, {version}", program.name, program.command);
    }
    let flags = report.c_flags.as_ref().map_or(String::new(), |flags| format!(", C flags of this build: `{flags}`"));
    let _ = writeln!(text, "- lua54_compare {}{flags}", report.tool_version);
    text
}

fn legend(report: &Report) -> String {
    format!(
        "Ratios: below 1 is less than {}; ≈ means no difference (the 95 % interval holds 1).",
        report.baseline_name()
    )
}

fn tables(report: &Report, with_details: bool) -> Vec<Titled> {
    let mut tables = Vec::new();
    let measured = report.measured();
    if measured.len() == 1 || with_details {
        tables.extend(measured.iter().map(|script| details(script)));
    }
    if measured.len() > 1 {
        if report.programs.len() == 2 {
            tables.push(side_by_side(report, &measured));
        } else {
            tables.push(matrix(report, &measured, Quantity::CpuTime));
            tables.push(matrix(report, &measured, Quantity::PeakMemory));
        }
    }
    tables.extend(extras(&measured));
    if !report.changes.is_empty() {
        tables.push(changes(report));
    }
    tables
}

/// One script: a row for each program, with everything that was measured.
fn details(script: &ScriptReport) -> Titled {
    let rounds = script.baseline().map_or(0, |baseline| baseline.runs.len());
    let header =
        ["program", "CPU time", "wall time", "peak memory", "page faults", "CPU ratio", "95 %", "memory ratio"];
    let mut table = TextTable::new(&header);
    for result in &script.results {
        let mut row = vec![
            left(&result.program, PLAIN),
            right(units::seconds(result.cpu_seconds), PLAIN),
            right(units::seconds(result.wall_seconds), PLAIN),
            right(units::bytes(result.peak_bytes), PLAIN),
            right(units::count(result.faults), PLAIN),
        ];
        row.extend(ratio_cells(result.cpu_ratio));
        row.push(ratio_cell(result.peak_ratio));
        table.rows.push(row);
    }
    Titled { title: format!("{}, {}", script.name, units::plural(rounds, "round")), table }
}

/// Several scripts, two programs: a row for each script.
fn side_by_side(report: &Report, scripts: &[&ScriptReport]) -> Titled {
    let [one, other] = [report.baseline_name(), &report.programs[1].name];
    let [cpu, peak] = ["CPU", "peak"].map(|what| [format!("{one} {what}"), format!("{other} {what}")]);
    let header = ["script", &cpu[0], &cpu[1], "CPU ratio", "95 %", &peak[0], &peak[1], "memory ratio"];
    let mut table = TextTable::new(&header);
    for script in scripts {
        let (one, other) = (script.baseline(), script.result_of(other));
        let seconds = |result: Option<&ProgramResult>| cell_of(result, |r| units::seconds(r.cpu_seconds));
        let bytes = |result: Option<&ProgramResult>| cell_of(result, |r| units::bytes(r.peak_bytes));
        let mut row = vec![left(&script.name, PLAIN), seconds(one), seconds(other)];
        row.extend(ratio_cells(other.and_then(|result| result.cpu_ratio)));
        row.extend([bytes(one), bytes(other), ratio_cell(other.and_then(|result| result.peak_ratio))]);
        table.rows.push(row);
    }
    if let Some(mean) = report.mean_of(other) {
        let empty = || right("", PLAIN);
        let mut row = vec![left("geometric mean", BOLD), empty(), empty()];
        row.extend(ratio_cells(mean.cpu_ratio));
        row.extend([empty(), empty(), ratio_cell(mean.peak_ratio)]);
        table.rows.push(row);
    }
    Titled { title: String::new(), table }
}

#[derive(Clone, Copy)]
enum Quantity {
    CpuTime,
    PeakMemory,
}

/// Several scripts, several programs: one ratio for each pair of them.
fn matrix(report: &Report, scripts: &[&ScriptReport], quantity: Quantity) -> Titled {
    let header: Vec<&str> = std::iter::once("script").chain(report.compared().map(|p| p.name.as_str())).collect();
    let mut table = TextTable::new(&header);
    for script in scripts {
        let ratio = |result: &ProgramResult| match quantity {
            Quantity::CpuTime => result.cpu_ratio,
            Quantity::PeakMemory => result.peak_ratio,
        };
        let cells = report.compared().map(|program| ratio_cell(script.result_of(&program.name).and_then(ratio)));
        table.rows.push(std::iter::once(left(&script.name, PLAIN)).chain(cells).collect());
    }
    let means = report.compared().map(|program| {
        let Some(mean) = report.mean_of(&program.name) else { return right("–", DIM) };
        let ratio = match quantity {
            Quantity::CpuTime => mean.cpu_ratio,
            Quantity::PeakMemory => mean.peak_ratio,
        };
        // A mean over fewer scripts is no match for its neighbours.
        let cell = ratio_cell(ratio);
        if mean.scripts == scripts.len() || mean.scripts == 0 {
            cell
        } else {
            right(format!("{} of {}", cell.text, mean.scripts), cell.style)
        }
    });
    table.rows.push(std::iter::once(left("geometric mean", BOLD)).chain(means).collect());
    let name = match quantity {
        Quantity::CpuTime => "CPU time",
        Quantity::PeakMemory => "Peak memory",
    };
    Titled { title: format!("{name} relative to {}", report.baseline_name()), table }
}

/// What only some runs have: instructions, frame times, the allocator's share.
fn extras(scripts: &[&ScriptReport]) -> Vec<Titled> {
    let mut instructions = TextTable::new(&["script", "program", "instructions", "ratio", "in the allocator"]);
    let mut frames = TextTable::new(&["script", "program", "median frame", "99th percentile", "worst frame"]);
    let mut shares = TextTable::new(&["script", "program", "allocator's share", "CPU ratio without it", "samples"]);
    for script in scripts {
        let row = |result: &ProgramResult| vec![left(&script.name, PLAIN), right(&result.program, PLAIN)];
        for result in &script.results {
            if let Some(count) = result.instructions {
                let mut row = row(result);
                row.push(right(units::large_count(count as f64), PLAIN));
                let baseline = script.baseline().and_then(|baseline| baseline.instructions);
                row.push(right(baseline.map_or("–".into(), |b| units::ratio(count as f64 / b.max(1) as f64)), PLAIN));
                row.push(right(result.allocator_part().map_or("–".into(), units::percent), PLAIN));
                instructions.rows.push(row);
            }
            if let Some(times) = result.frame_times {
                let mut row = row(result);
                let ms = [times.median_ms, times.p99_ms, times.worst_ms];
                row.extend(ms.map(|ms| right(format!("{ms:.3} ms"), PLAIN)));
                frames.rows.push(row);
            }
        }
        if let (Some(share), Some(baseline)) = (script.allocator_share, script.baseline()) {
            let mut row = row(baseline);
            row.push(right(units::percent(share.part), PLAIN));
            row.push(right(units::ratio(1.0 - share.part), PLAIN));
            row.push(right(share.samples.to_string(), DIM));
            shares.rows.push(row);
        }
    }
    let titles = ["Instructions", "Frame times", "Time spent in malloc, free and realloc"];
    let tables = titles.into_iter().zip([instructions, frames, shares]);
    tables
        .filter(|(_, table)| table.rows.len() > 1)
        .map(|(title, table)| Titled { title: title.into(), table })
        .collect()
}

fn changes(report: &Report) -> Titled {
    let mut table = TextTable::new(&["script", "program", "ratio then", "ratio now", "change", "95 %"]);
    for change in &report.changes {
        let mut row = vec![left(&change.script, PLAIN), right(&change.program, PLAIN)];
        row.extend([change.ratio_then, change.ratio_now].map(|ratio| right(units::ratio(ratio), PLAIN)));
        row.extend(ratio_cells(Some(change.change)));
        table.rows.push(row);
    }
    Titled { title: "CPU ratio against the earlier run (above 1 is worse)".into(), table }
}

/// Memory over time, all programs of a script to the same scale.
fn curves(text: &mut String, script: &ScriptReport) {
    let with_curve: Vec<&ProgramResult> = script.results.iter().filter(|result| !result.resident.is_empty()).collect();
    let points = || with_curve.iter().flat_map(|result| &result.resident);
    let (Some(longest), Some(highest)) =
        (points().map(|point| point.0).reduce(f64::max), points().map(|point| point.1).max())
    else {
        return;
    };
    let _ = writeln!(text, "{BOLD}{}: resident memory over {}{BOLD:#}", script.name, units::seconds(longest));
    let width = with_curve.iter().map(|result| result.program.chars().count()).max().unwrap_or(0);
    for result in with_curve {
        let line = spark_line(&result.resident, SPARK_COLUMNS, longest, highest);
        let fill = " ".repeat(width - result.program.chars().count());
        let _ = writeln!(text, "{}{fill}  {line}", result.program);
    }
    let _ = writeln!(text, "{DIM}full height is {}{DIM:#}\n", units::bytes(highest as f64));
}

fn cell_of(result: Option<&ProgramResult>, text: fn(&ProgramResult) -> String) -> Cell {
    right(result.map_or("–".into(), text), PLAIN)
}

fn ratio_cells(ratio: Option<Ratio>) -> [Cell; 2] {
    [ratio_cell(ratio), right(interval_text(ratio), DIM)]
}

pub(super) fn interval_text(ratio: Option<Ratio>) -> String {
    let interval = ratio.and_then(|ratio| ratio.interval);
    interval.map_or(String::new(), |[low, high]| format!("{}–{}", units::ratio(low), units::ratio(high)))
}

fn ratio_cell(ratio: Option<Ratio>) -> Cell {
    let style = match ratio.map(|ratio| ratio.verdict()) {
        Some(Verdict::Less) => GOOD,
        Some(Verdict::More) => BAD,
        Some(Verdict::NoDifference) => PLAIN,
        Some(Verdict::TooFewRuns) | None => DIM,
    };
    right(ratio_text(ratio), style)
}

/// The number, and a sign for those that are not to be relied on.
pub(super) fn ratio_text(ratio: Option<Ratio>) -> String {
    let Some(ratio) = ratio else {
        return "–".into();
    };
    let number = units::ratio(ratio.median);
    match ratio.verdict() {
        Verdict::Less | Verdict::More => number,
        Verdict::NoDifference => format!("≈ {number}"),
        Verdict::TooFewRuns => format!("{number} ?"),
    }
}
