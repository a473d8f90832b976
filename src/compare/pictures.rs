//! The pictures of a report as SVG: bars with intervals, and curves. Positions across are percentages, so a bar is
//! as wide as the page lets it be while its lines and letters keep their size.

use std::fmt::Write as _;

use super::report::{ProgramResult, Report, ScriptReport};
use super::statistics::Ratio;
use super::table::ratio_text;
use super::units;

/// Colours are classes c0 (the baseline) to c7; more programs than that share the last one.
const COLOURS: usize = 8;

/// A ratio beyond this would squeeze all others; its bar is cut and its number tells.
const LARGEST_SHOWN: f64 = 3.0;

pub(super) fn colour_class(program_index: usize) -> usize {
    program_index.min(COLOURS - 1)
}

/// Text made safe for HTML, SVG and their attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// From 0 to somewhat above the largest of these ratios, and always beyond 1.
pub(super) fn scale_of(ratios: impl Iterator<Item = Ratio>) -> f64 {
    let ends = ratios.map(|ratio| ratio.interval.map_or(ratio.median, |[_, high]| high.max(ratio.median)));
    (ends.fold(1.0, f64::max) * 1.08).min(LARGEST_SHOWN)
}

/// A position across, in percent.
fn x(value: f64, scale: f64) -> String {
    format!("{:.2}%", (value / scale).clamp(0.0, 1.0) * 100.0)
}

/// What is inside a picture of one ratio, 22 high: bar, runs as dots, interval, and a mark at 1.
pub(super) fn ratio_bar(ratio: Ratio, runs: &[f64], class: usize, scale: f64) -> String {
    let mut svg = String::new();
    let _ = write!(
        svg,
        r#"<rect class="c{class} bar" x="0" y="3" width="{}" height="13" rx="2"/>"#,
        x(ratio.median, scale)
    );
    for run in runs.iter().filter(|run| **run <= scale) {
        let _ = write!(svg, r#"<circle class="dot" cx="{}" cy="19" r="1.7"/>"#, x(*run, scale));
    }
    if let Some([low, high]) = ratio.interval {
        let (low, high) = (x(low, scale), x(high, scale));
        let _ = write!(svg, r#"<line class="whisker" x1="{low}" x2="{high}" y1="9.5" y2="9.5"/>"#);
        for end in [low, high] {
            let _ = write!(svg, r#"<line class="whisker" x1="{end}" x2="{end}" y1="5" y2="14"/>"#);
        }
    }
    let one = x(1.0, scale);
    let _ = write!(svg, r#"<line class="one" x1="{one}" x2="{one}" y1="0" y2="22"/>"#);
    svg
}

/// The numbers below a column of ratio bars.
pub(super) fn ratio_axis(scale: f64) -> String {
    let step = if scale > 1.7 { 0.5 } else { 0.25 };
    let mut svg = String::new();
    let mut tick = 0.0;
    while tick <= scale {
        let anchor = if tick == 0.0 { "start" } else { "middle" };
        let _ = write!(svg, r#"<text class="tick" x="{}" y="12" text-anchor="{anchor}">{tick}</text>"#, x(tick, scale));
        tick += step;
    }
    svg
}

/// A bar of a quantity that is not a ratio, such as a frame time.
pub(super) fn plain_bar(value: f64, largest: f64, class: usize) -> String {
    format!(r#"<rect class="c{class} bar" x="0" y="3" width="{}" height="13" rx="2"/>"#, x(value, largest))
}

/// The results of a script that have resident memory over time, with the numbers of their programs.
pub(super) fn sampled_results<'a>(report: &'a Report, script: &'a ScriptReport) -> Vec<(usize, &'a ProgramResult)> {
    report
        .programs
        .iter()
        .enumerate()
        .filter_map(|(index, program)| Some((index, script.result_of(&program.name)?)))
        .filter(|(_, result)| !result.resident.is_empty())
        .collect()
}

/// Resident memory of a script's programs over time; empty when none was sampled.
pub(super) fn memory_curves(report: &Report, script: &ScriptReport) -> String {
    let with_curve = sampled_results(report, script);
    let points = || with_curve.iter().flat_map(|(_, result)| &result.resident);
    let (Some(longest), Some(highest)) =
        (points().map(|point| point.0).reduce(f64::max), points().map(|point| point.1).max())
    else {
        return String::new();
    };
    // The box is 1000 by 1000 and is stretched; strokes are not.
    let across = |seconds: f64| seconds / longest.max(1e-9) * 1000.0;
    let up = |bytes: u64| 1000.0 - bytes as f64 / highest.max(1) as f64 * 960.0;
    let mut svg = String::from(r#"<svg class="curves" viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img">"#);
    let _ = write!(svg, "<title>Resident memory of {} over time</title>", escape(&script.name));
    for quarter in 1..=4 {
        let y = 1000.0 - f64::from(quarter) * 240.0;
        let _ = write!(svg, r#"<line class="grid" x1="0" x2="1000" y1="{y}" y2="{y}"/>"#);
    }
    for (index, result) in &with_curve {
        let class = colour_class(*index);
        let mut path = String::new();
        for &(seconds, bytes) in &result.resident {
            let _ = write!(path, "{:.1},{:.1} ", across(seconds), up(bytes));
        }
        let _ = write!(svg, r#"<polyline class="c{class} curve" points="{}"/>"#, path.trim_end());
        // The program ends here, and its memory with it.
        if let Some(&(seconds, bytes)) = result.resident.last() {
            let (x, y) = (across(seconds), up(bytes));
            let _ = write!(svg, r#"<line class="c{class} end" x1="{x:.1}" x2="{x:.1}" y1="{y:.1}" y2="1000"/>"#);
        }
    }
    svg.push_str("</svg>");
    let (highest, longest) = (units::bytes(highest as f64), units::seconds(longest));
    format!(
        r#"<div class="plot"><div class="top">{highest}</div>{svg}<div class="bottom"><span>0</span><span>{longest}</span></div></div>"#
    )
}

const PICTURE_STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1c2128}.title{font-weight:600;font-size:15px}\
.tick,.note{fill:#59636e;font-size:12px}.page{fill:#fff}.whisker{stroke:#1c2128;stroke-width:1.5}\
.one{stroke:#59636e;stroke-dasharray:3 3}.dot{fill:#59636e;opacity:.6}\
.c1{fill:#2a9d8f}.c2{fill:#3b82c4}.c3{fill:#d98324}.c4{fill:#8e6cc0}.c5{fill:#c4577d}.c6{fill:#7f8c2f}.c7{fill:#9a7b5b}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.tick,.note{fill:#9aa5b1}.page{fill:#15191e}\
.whisker{stroke:#e6edf3}.one{stroke:#9aa5b1}.dot{fill:#9aa5b1}}";

/// The time ratios as a picture of its own, for a README.
pub(super) fn picture_file(report: &Report) -> String {
    const WIDTH: usize = 760;
    const NAME_WIDTH: usize = 230;
    const VALUE_WIDTH: usize = 80;
    const ROW: usize = 26;
    let bar_width = WIDTH - NAME_WIDTH - VALUE_WIDTH;
    let several = report.programs.len() > 2;
    let scripts = report.measured();
    let mut bars: Vec<(String, usize, Ratio, Vec<f64>)> = Vec::new();
    for (index, program) in report.programs.iter().enumerate().skip(1) {
        for script in &scripts {
            let Some(ratio) = script.result_of(&program.name).and_then(|result| result.cpu_ratio) else { continue };
            let runs = script.pair_ratios(&program.name, super::runner::Cost::cpu_seconds).unwrap_or_default();
            let name = if several { format!("{}, {}", script.name, program.name) } else { script.name.clone() };
            bars.push((name, colour_class(index), ratio, runs));
        }
        if let Some(ratio) = report.mean_of(&program.name).and_then(|mean| mean.cpu_ratio).filter(|_| scripts.len() > 1)
        {
            let name = if several { format!("mean, {}", program.name) } else { "geometric mean".into() };
            bars.push((name, colour_class(index), ratio, Vec::new()));
        }
    }
    let scale = scale_of(bars.iter().map(|bar| bar.2));
    let height = 40 + bars.len() * ROW + 44;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img"><style>{PICTURE_STYLE}</style><rect class="page" width="100%" height="100%" rx="6"/>"#
    );
    let names: Vec<&str> = report.compared().map(|program| program.name.as_str()).collect();
    let title = format!("CPU time of {} relative to {} (shorter is better)", names.join(", "), report.baseline_name());
    let _ = write!(svg, r#"<text class="title" x="16" y="26">{}</text>"#, escape(&title));
    for (index, (name, class, ratio, runs)) in bars.iter().enumerate() {
        let y = 40 + index * ROW;
        let _ =
            write!(svg, r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#, NAME_WIDTH - 10, y + 16, escape(name));
        let bar = ratio_bar(*ratio, runs, *class, scale);
        let _ = write!(svg, r#"<svg x="{NAME_WIDTH}" y="{y}" width="{bar_width}" height="22">{bar}</svg>"#);
        let value = ratio_text(Some(*ratio));
        let _ = write!(svg, r#"<text x="{}" y="{}">{value}</text>"#, NAME_WIDTH + bar_width + 10, y + 16);
    }
    let y = 40 + bars.len() * ROW;
    let axis = ratio_axis(scale);
    let _ =
        write!(svg, r#"<svg x="{NAME_WIDTH}" y="{y}" width="{bar_width}" height="16" overflow="visible">{axis}</svg>"#);
    let note = format!("{}, {}", report.date.get(..10).unwrap_or(""), report.machine.cpu);
    let _ = write!(svg, r#"<text class="note" x="16" y="{}">{}</text></svg>"#, height - 10, escape(&note));
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape("<b a=\"x\">&'\u{1b}"), "&lt;b a=&quot;x&quot;&gt;&amp;&#39;\u{fffd}");
    }

    #[test]
    fn a_scale_always_shows_one_and_never_grows_beyond_use() {
        let ratio = |median| Ratio { median, interval: Some([median - 0.1, median + 0.1]) };
        assert_eq!(scale_of([ratio(0.5)].into_iter()), 1.08);
        assert_eq!(scale_of([ratio(40.0)].into_iter()), LARGEST_SHOWN);
        assert!((scale_of([ratio(0.5), ratio(1.4)].into_iter()) - 1.62).abs() < 1e-9);
    }

    #[test]
    fn a_bar_has_its_interval_and_the_mark_at_one() {
        let ratio = Ratio { median: 0.5, interval: Some([0.4, 0.6]) };
        let svg = ratio_bar(ratio, &[0.45], 1, 2.0);
        assert!(svg.contains(r#"width="25.00%""#), "{svg}");
        assert!(svg.contains(r#"x1="20.00%" x2="30.00%""#), "{svg}");
        assert!(svg.contains(r#"class="one" x1="50.00%""#), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1);
    }
}
