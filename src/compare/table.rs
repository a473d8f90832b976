//! The results as text for a terminal. Styles are always written; the output stream removes them where needed.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::report::{ProgramResult, Report, ScriptReport};
use super::statistics::{Ratio, Verdict};
use super::units;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const CAUTION: Style = AnsiColor::Yellow.on_default();

/// Everything but the progress: tables, means, warnings, problems.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let measured: Vec<&ScriptReport> = report.scripts.iter().filter(|script| !script.results.is_empty()).collect();
    match measured[..] {
        [] => {}
        [script] => details(&mut text, script),
        _ if report.programs.len() == 2 => side_by_side(&mut text, report, &measured),
        _ => {
            matrix(&mut text, report, &measured, "CPU time", |result| result.cpu_ratio);
            matrix(&mut text, report, &measured, "Peak memory", |result| result.peak_ratio);
        }
    }
    if !measured.is_empty() {
        let _ = writeln!(
            text,
            "{DIM}Below 1 is less than {}; ≈ means no difference: the 95 % interval holds 1.{DIM:#}",
            report.baseline_name()
        );
    }
    for warning in all_warnings(report) {
        let _ = writeln!(text, "{CAUTION}warning:{CAUTION:#} {warning}");
    }
    for problem in report.all_problems() {
        let _ = writeln!(text, "{BAD}problem:{BAD:#} {problem}");
    }
    text
}

fn all_warnings(report: &Report) -> Vec<String> {
    let of_scripts = report.scripts.iter().flat_map(|script| {
        script.warnings.iter().map(|warning| format!("{}: {warning}", script.name))
    });
    of_scripts.chain(report.warnings.iter().cloned()).collect()
}

/// One script: a row for each program, with everything that was measured.
fn details(text: &mut String, script: &ScriptReport) {
    let rounds = script.baseline().map_or(0, |baseline| baseline.runs.len());
    let _ = writeln!(text, "{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}", script.name, units::plural(rounds, "round"));
    let header = ["program", "CPU time", "wall time", "peak memory", "page faults", "CPU ratio", "95 %", "memory ratio"];
    let mut table = Table::new(&header);
    for result in &script.results {
        let mut row = vec![
            left(&result.program, BOLD),
            right(units::seconds(result.cpu_seconds), PLAIN),
            right(units::seconds(result.wall_seconds), PLAIN),
            right(units::bytes(result.peak_bytes), PLAIN),
            right(units::count(result.faults), PLAIN),
        ];
        row.extend(ratio_cells(result.cpu_ratio));
        row.push(ratio_cell(result.peak_ratio));
        table.rows.push(row);
    }
    table.write_to(text);
}

/// Several scripts, two programs: a row for each script.
fn side_by_side(text: &mut String, report: &Report, scripts: &[&ScriptReport]) {
    let [one, other] = [report.baseline_name(), &report.programs[1].name];
    let header = ["script", one, other, "CPU ratio", "95 %", one, other, "memory ratio"];
    let mut table = Table::new(&header);
    for script in scripts {
        let (one, other) = (script.baseline(), script.result_of(other));
        let seconds = |result: Option<&ProgramResult>| cell_of(result, |r| units::seconds(r.cpu_seconds));
        let bytes = |result: Option<&ProgramResult>| cell_of(result, |r| units::bytes(r.peak_bytes));
        let mut row = vec![left(&script.name, PLAIN), seconds(one), seconds(other)];
        row.extend(ratio_cells(other.and_then(|result| result.cpu_ratio)));
        row.extend([bytes(one), bytes(other), ratio_cell(other.and_then(|result| result.peak_ratio))]);
        table.rows.push(row);
    }
    if let Some(mean) = report.mean_of(other).filter(|mean| mean.scripts > 1) {
        let mut row = vec![left("geometric mean", BOLD), right("", PLAIN), right("", PLAIN)];
        row.extend(ratio_cells(mean.cpu_ratio));
        row.extend([right("", PLAIN), right("", PLAIN), ratio_cell(mean.peak_ratio)]);
        table.rows.push(row);
    }
    table.write_to(text);
}

/// Several scripts, several programs: one ratio for each pair of them.
fn matrix(
    text: &mut String,
    report: &Report,
    scripts: &[&ScriptReport],
    quantity: &str,
    ratio_of: fn(&ProgramResult) -> Option<Ratio>,
) {
    let _ = writeln!(text, "{BOLD}{quantity} relative to {}{BOLD:#}", report.baseline_name());
    let header: Vec<&str> = std::iter::once("script").chain(report.compared().map(|p| p.name.as_str())).collect();
    let mut table = Table::new(&header);
    for script in scripts {
        let ratios = report.compared().map(|program| ratio_cell(script.result_of(&program.name).and_then(ratio_of)));
        table.rows.push(std::iter::once(left(&script.name, PLAIN)).chain(ratios).collect());
    }
    let means = report.compared().map(|program| {
        let mean = report.mean_of(&program.name);
        ratio_cell(mean.and_then(|mean| if quantity == "CPU time" { mean.cpu_ratio } else { mean.peak_ratio }))
    });
    table.rows.push(std::iter::once(left("geometric mean", BOLD)).chain(means).collect());
    table.write_to(text);
    text.push('\n');
}

fn cell_of(result: Option<&ProgramResult>, text: fn(&ProgramResult) -> String) -> Cell {
    right(result.map_or("–".into(), text), PLAIN)
}

fn ratio_cells(ratio: Option<Ratio>) -> [Cell; 2] {
    let interval = ratio.and_then(|ratio| ratio.interval);
    let interval = interval.map_or(String::new(), |[low, high]| format!("{}–{}", units::ratio(low), units::ratio(high)));
    [ratio_cell(ratio), right(interval, DIM)]
}

fn ratio_cell(ratio: Option<Ratio>) -> Cell {
    let Some(ratio) = ratio else {
        return right("–", DIM);
    };
    let number = units::ratio(ratio.median);
    match ratio.verdict() {
        Verdict::Less => right(number, GOOD),
        Verdict::More => right(number, BAD),
        Verdict::NoDifference => right(format!("≈ {number}"), PLAIN),
        Verdict::TooFewRuns => right(format!("{number} ?"), DIM),
    }
}

struct Cell {
    text: String,
    style: Style,
    is_left: bool,
}

fn left(text: impl Into<String>, style: Style) -> Cell {
    Cell { text: text.into(), style, is_left: true }
}

fn right(text: impl Into<String>, style: Style) -> Cell {
    Cell { text: text.into(), style, is_left: false }
}

struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    fn new(header: &[&str]) -> Table {
        let cell = |(index, name): (usize, &&str)| Cell { text: (*name).into(), style: DIM, is_left: index == 0 };
        Table { rows: vec![header.iter().enumerate().map(cell).collect()] }
    }

    fn write_to(&self, text: &mut String) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if index == 0 { "" } else { "  " };
                let fill = " ".repeat(width - cell.text.chars().count());
                let (before, after) = if cell.is_left { ("", &*fill) } else { (&*fill, "") };
                let style = cell.style;
                let _ = write!(text, "{gap}{before}{style}{}{style:#}{after}", cell.text);
            }
            text.push('\n');
        }
    }
}
