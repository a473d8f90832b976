//! The report with pictures: one page that needs no network, no script and no second file.

use std::fmt::Write as _;

use super::frames::FrameTimes;
use super::pictures::{colour_class, escape, memory_curves, plain_bar, ratio_axis, ratio_bar, scale_of};
use super::report::{ProgramResult, Report, ScriptReport};
use super::runner::Cost;
use super::statistics::{Ratio, Verdict};
use super::table::{interval_text, ratio_text};
use super::units;

const STYLE: &str = include_str!("html_style.css");

pub(super) fn page(report: &Report) -> String {
    let names: Vec<String> = report.compared().map(|program| escape(&program.name)).collect();
    let names = match &names[..] {
        [first, _, _, ..] => format!("{first} and {} others", names.len() - 1),
        names => names.join(" and "),
    };
    let title = format!("{names} against {}", escape(report.baseline_name()));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n"
    );
    let scripts = report.measured();
    let count = units::plural(scripts.len(), "Lua script");
    let _ = writeln!(
        page,
        "<p class=\"soft\">{count}, {}<br>{}</p>",
        escape(&report.date),
        escape(&report.machine.summary())
    );
    if report.interrupted {
        page.push_str("<p class=\"bad\">Interrupted: this is what was measured until then.</p>\n");
    }
    notes(&mut page, "Problems", report.all_problems());
    if scripts.is_empty() {
        page.push_str("<p>There is no result to show.</p>\n");
    } else {
        tiles(&mut page, report);
        ratio_section(&mut page, report, "CPU time", "time", Cost::cpu_seconds, |result| result.cpu_ratio);
        ratio_section(
            &mut page,
            report,
            "Peak memory",
            "memory",
            |run| run.peak_bytes as f64,
            |result| result.peak_ratio,
        );
        curves_section(&mut page, report);
        frames_section(&mut page, report);
        numbers_section(&mut page, report);
        changes_section(&mut page, report);
    }
    notes(&mut page, "Warnings", report.all_warnings().iter());
    how_section(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn notes<'a>(page: &mut String, title: &str, lines: impl Iterator<Item = &'a String>) {
    let items: String = lines.map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    if !items.is_empty() {
        let _ = writeln!(page, "<h2>{title}</h2>\n<ul class=\"notes\">\n{items}</ul>");
    }
}

/// The result in two large numbers, for the program to be judged.
fn tiles(page: &mut String, report: &Report) {
    let Some(mean) = report.means.first() else { return };
    let what =
        if mean.scripts > 1 { format!("geometric mean of {} scripts", mean.scripts) } else { "one script".into() };
    page.push_str("<div class=\"tiles\">\n");
    for (quantity, ratio) in [("CPU time", mean.cpu_ratio), ("peak memory", mean.peak_ratio)] {
        let Some(ratio) = ratio else { continue };
        let (class, verdict) = match ratio.verdict() {
            Verdict::Less => (" class=\"good\"", format!("{} less than", units::percent(1.0 - ratio.median))),
            Verdict::More => (" class=\"bad\"", format!("{} more than", units::percent(ratio.median - 1.0))),
            Verdict::NoDifference => ("", "no difference to".into()),
            Verdict::TooFewRuns => ("", "too few runs to compare with".into()),
        };
        let _ = writeln!(
            page,
            "<div class=\"tile\">{quantity} of {}<b{class}>{}</b><span class=\"soft\">{verdict} {}; {what}</span></div>",
            escape(&mean.program),
            units::ratio(ratio.median),
            escape(report.baseline_name()),
        );
    }
    page.push_str("</div>\n");
}

/// The colours of the programs that have results.
fn legend(page: &mut String, report: &Report) {
    page.push_str("<ul class=\"legend\">\n");
    for (index, program) in report.programs.iter().enumerate() {
        if report.scripts.iter().all(|script| script.result_of(&program.name).is_none()) {
            continue;
        }
        let _ = writeln!(page, "<li><i class=\"k{}\"></i>{}</li>", colour_class(index), escape(&program.name));
    }
    page.push_str("</ul>\n");
}

/// The ratio of a program by its name, and of each pair of its runs.
type Bars<'a> = &'a dyn Fn(&str) -> Option<(Ratio, Vec<f64>)>;

fn ratio_section(
    page: &mut String,
    report: &Report,
    title: &str,
    word: &str,
    quantity: fn(&Cost) -> f64,
    ratio_of: fn(&ProgramResult) -> Option<Ratio>,
) {
    let scripts = report.measured();
    let scale = scale_of(scripts.iter().flat_map(|script| &script.results).filter_map(ratio_of));
    let _ = writeln!(
        page,
        "<h2>{title} relative to {}</h2>\n<p class=\"soft\">Shorter is less {word}. The dashed line is {}; a dot is a \
         pair of runs; the line across a bar's end is the 95 % interval. ≈ means no difference.</p>",
        escape(report.baseline_name()),
        escape(report.baseline_name()),
    );
    // With several programs a row is named by its program, and the script stands above its rows.
    let several = report.programs.len() > 2;
    let compared = || report.programs.iter().enumerate().skip(1);
    let mut group = |name: &str, description: &str, class: &str, bars: Bars| {
        let _ = writeln!(page, "<div class=\"group{class}\" title=\"{}\">", escape(description));
        if several {
            let _ = writeln!(page, "<h3>{}</h3>", escape(name));
        }
        for (index, program) in compared() {
            let Some((ratio, runs)) = bars(&program.name) else { continue };
            let bar = ratio_bar(ratio, &runs, colour_class(index), scale);
            ratio_row(page, if several { &program.name } else { name }, ratio, &bar);
        }
        page.push_str("</div>\n");
    };
    for script in &scripts {
        group(&script.name, &script.description, "", &|program| {
            let ratio = script.result_of(program).and_then(ratio_of)?;
            Some((ratio, script.pair_ratios(program, quantity).unwrap_or_default()))
        });
    }
    if scripts.len() > 1 {
        group("geometric mean", "", " mean", &|program| {
            let mean = report.mean_of(program)?;
            let ratio = if word == "time" { mean.cpu_ratio } else { mean.peak_ratio };
            Some((ratio?, Vec::new()))
        });
    }
    let axis = ratio_axis(scale);
    let _ = writeln!(
        page,
        "<div class=\"row axis\"><span class=\"name\"></span><svg aria-hidden=\"true\">{axis}</svg></div>"
    );
}

fn ratio_row(page: &mut String, name: &str, ratio: Ratio, bar: &str) {
    let (name, value) = (escape(name), ratio_text(Some(ratio)));
    let _ = writeln!(
        page,
        "<div class=\"row\"><span class=\"name\">{name}</span><svg role=\"img\"><title>{name}: {value}</title>{bar}</svg>\
         <span class=\"value\">{value}<small>{}</small></span></div>",
        interval_text(Some(ratio)),
    );
}

fn curves_section(page: &mut String, report: &Report) {
    let curves: String = report
        .measured()
        .into_iter()
        .map(|script| (script, memory_curves(report, script)))
        .filter(|(_, picture)| !picture.is_empty())
        .map(|(script, picture)| format!("<h3>{}</h3>\n{picture}\n", escape(&script.name)))
        .collect();
    if !curves.is_empty() {
        page.push_str("<h2>Memory over time</h2>\n<p class=\"soft\">Resident memory during one run of each.</p>\n");
        legend(page, report);
        page.push_str(&curves);
    }
}

type FrameQuantity = fn(&FrameTimes) -> f64;

const FRAME_QUANTITIES: [(&str, FrameQuantity); 3] =
    [("median", |times| times.median_ms), ("99th percentile", |times| times.p99_ms), ("worst", |times| times.worst_ms)];

fn frames_section(page: &mut String, report: &Report) {
    let mut section = String::new();
    for script in report.measured() {
        let times = || script.results.iter().filter_map(|result| result.frame_times);
        let Some(largest) = times().map(|times| times.worst_ms).reduce(f64::max) else { continue };
        let _ = writeln!(section, "<p>{}</p>", escape(&script.name));
        for (quantity, of) in FRAME_QUANTITIES {
            let _ = writeln!(section, "<div class=\"group\"><h3>{quantity} frame</h3>");
            for (index, program) in report.programs.iter().enumerate() {
                let Some(times) = script.result_of(&program.name).and_then(|result| result.frame_times) else {
                    continue;
                };
                let (ms, name) = (of(&times), escape(&program.name));
                let bar = plain_bar(ms, largest, colour_class(index));
                let _ = writeln!(
                    section,
                    "<div class=\"row\"><span class=\"name\">{name}</span><svg role=\"img\"><title>{name}: {ms:.3} ms</title>\
                     {bar}</svg><span class=\"value\">{ms:.3} ms</span></div>",
                );
            }
            section.push_str("</div>\n");
        }
    }
    if !section.is_empty() {
        page.push_str("<h2>Frame times</h2>\n");
        page.push_str(&section);
    }
}

/// Every number, for those who do not trust pictures.
fn numbers_section(page: &mut String, report: &Report) {
    let scripts = report.measured();
    let results = || scripts.iter().flat_map(|script| &script.results);
    let has_counts = results().any(|result| result.instructions.is_some());
    let has_shares = scripts.iter().any(|script| script.allocator_share.is_some());
    page.push_str(
        "<h2>Numbers</h2>\n<p class=\"soft\">Medians of all runs.</p>\n<div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr>\
         <th>script</th><th>program</th><th>runs</th><th>CPU time</th><th>wall time</th><th>peak memory</th>\
         <th>page faults</th><th>CPU ratio</th><th>95 %</th><th>memory ratio</th>",
    );
    page.push_str(if has_counts { "<th>instructions</th><th>in the allocator</th>" } else { "" });
    page.push_str(if has_shares { "<th>in malloc</th>" } else { "" });
    page.push_str("</tr></thead>\n<tbody>\n");
    for script in &scripts {
        for (index, result) in script.results.iter().enumerate() {
            let name = if index == 0 { escape(&shown_script(script)) } else { String::new() };
            let mut cells = vec![
                name,
                escape(&result.program),
                result.runs.len().to_string(),
                units::seconds(result.cpu_seconds),
                units::seconds(result.wall_seconds),
                units::bytes(result.peak_bytes),
                units::count(result.faults),
                ratio_text(result.cpu_ratio),
                interval_text(result.cpu_ratio),
                ratio_text(result.peak_ratio),
            ];
            if has_counts {
                cells.push(result.instructions.map_or("–".into(), |count| units::large_count(count as f64)));
                cells.push(result.allocator_part().map_or("–".into(), units::percent));
            }
            if has_shares {
                let share = script.allocator_share.filter(|_| index == 0);
                cells.push(share.map_or(String::new(), |share| units::percent(share.part)));
            }
            let _ = writeln!(page, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
        }
    }
    page.push_str("</tbody></table></div>\n");
}

fn shown_script(script: &ScriptReport) -> String {
    let arguments = script.arguments.join(" ");
    if arguments.is_empty() { script.name.clone() } else { format!("{} ({arguments})", script.name) }
}

fn changes_section(page: &mut String, report: &Report) {
    if report.changes.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Against the earlier run</h2>\n<p class=\"soft\">CPU ratio; a change above 1 is worse.</p>\n\
         <div class=\"wide\" tabindex=\"0\"><table>\n<thead><tr><th>script</th><th>program</th><th>then</th><th>now</th>\
         <th>change</th><th>95 %</th></tr></thead>\n<tbody>\n",
    );
    for change in &report.changes {
        let cells = [
            escape(&change.script),
            escape(&change.program),
            units::ratio(change.ratio_then),
            units::ratio(change.ratio_now),
            ratio_text(Some(change.change)),
            interval_text(Some(change.change)),
        ];
        let _ = writeln!(page, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
    }
    page.push_str("</tbody></table></div>\n");
}

/// What somebody needs to do the same again.
fn how_section(page: &mut String, report: &Report) {
    let _ = writeln!(
        page,
        "<h2>How it was measured</h2>\n<p><code>{}</code></p>\n<ul class=\"notes\">",
        escape(&report.shown_command_line())
    );
    for program in &report.programs {
        let version = program.version.as_deref().unwrap_or("unknown version");
        let _ = writeln!(
            page,
            "<li>{}: <code>{}</code>, {}</li>",
            escape(&program.name),
            escape(&program.command),
            escape(version)
        );
    }
    for script in report.measured().iter().filter(|script| !script.description.is_empty()) {
        let _ = writeln!(page, "<li>{}: {}</li>", escape(&shown_script(script)), escape(&script.description));
    }
    let _ = writeln!(
        page,
        "<li>lua54_compare {}{}: programs run in turn; run i of a program is divided by run i of {}; the median of these \
         ratios is shown with its bootstrap 95 % interval. CPU time is user and system time together.</li>\n</ul>",
        escape(&report.tool_version),
        report.c_flags.as_ref().map_or(String::new(), |flags| format!(" (C flags of this build: {})", escape(flags))),
        escape(report.baseline_name()),
    );
}
