//! Resident memory over time as a picture of its own (SVG), for a README.

use std::fmt::Write as _;

use super::pictures::{colour_class, escape, sampled_results};
use super::report::{Report, ScriptReport};
use super::units;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 64.0;
const PLOT_HEIGHT: f64 = 220.0;
const BELOW: f64 = 34.0;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#59636e}.title{font-weight:600;font-size:15px;fill:#1c2128}\
.name{font-size:13px;fill:#1c2128}.page{fill:#fff}.grid{stroke:#d5dbe1}.curve{fill:none;stroke-width:2.5;stroke-linejoin:round}\
.c0{stroke:#8b949e}.c1{stroke:#2a9d8f}.c2{stroke:#3b82c4}.c3{stroke:#d98324}.c4{stroke:#8e6cc0}.c5{stroke:#c4577d}\
.c6{stroke:#7f8c2f}.c7{stroke:#9a7b5b}\
@media(prefers-color-scheme:dark){text{fill:#9aa5b1}.title,.name{fill:#e6edf3}.page{fill:#15191e}.grid{stroke:#39424c}}";

/// The curves of all scripts, one plot below the other. Without a curve it says so.
pub(super) fn picture(report: &Report) -> String {
    let plots: Vec<String> = report.measured().into_iter().filter_map(|script| plot(report, script)).collect();
    let height = (plots.len() as f64 * (TOP + PLOT_HEIGHT + BELOW)).max(60.0);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" role="img"><style>{STYLE}</style><rect class="page" width="100%" height="100%" rx="6"/>"#
    );
    for (index, plot) in plots.iter().enumerate() {
        let y = index as f64 * (TOP + PLOT_HEIGHT + BELOW);
        let _ = write!(svg, r#"<g transform="translate(0 {y})">{plot}</g>"#);
    }
    if plots.is_empty() {
        svg.push_str(r#"<text x="16" y="30">no memory over time was sampled: add --timeline</text>"#);
    }
    svg.push_str("</svg>\n");
    svg
}

/// One script's curves, with axes and names; `None` if there are none.
fn plot(report: &Report, script: &ScriptReport) -> Option<String> {
    let results = sampled_results(report, script);
    let points = || results.iter().flat_map(|(_, result)| &result.resident);
    let longest = points().map(|point| point.0).reduce(f64::max)?.max(1e-9);
    let highest = (points().map(|point| point.1).max()?.max(1) as f64) * 1.04;
    let x = |seconds: f64| LEFT + seconds / longest * (WIDTH - LEFT - RIGHT);
    let y = |bytes: f64| TOP + PLOT_HEIGHT * (1.0 - bytes / highest);

    let mut svg = String::new();
    let title = format!("Resident memory over time: {}", script.name);
    let _ = write!(svg, r#"<text class="title" x="16" y="26">{}</text>"#, escape(&title));
    for quarter in 0..=4 {
        let bytes = highest / 1.04 * f64::from(quarter) / 4.0;
        let (line, label) = (y(bytes), units::bytes(bytes));
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{line:.1}" y2="{line:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{label}</text>"#,
            WIDTH - RIGHT,
            LEFT - 8.0,
            line + 4.0
        );
    }
    for (anchor, seconds) in [("start", 0.0), ("middle", longest / 2.0), ("end", longest)] {
        let label = if seconds == 0.0 { "0".to_owned() } else { units::seconds(seconds) };
        let below = TOP + PLOT_HEIGHT + 18.0;
        let _ = write!(svg, r#"<text x="{:.1}" y="{below}" text-anchor="{anchor}">{label}</text>"#, x(seconds));
    }
    for (place, (index, result)) in results.iter().enumerate() {
        let class = colour_class(*index);
        let mut path = String::new();
        for &(seconds, bytes) in &result.resident {
            let _ = write!(path, "{:.1},{:.1} ", x(seconds), y(bytes as f64));
        }
        let name_x = LEFT + place as f64 * 160.0;
        let _ = write!(
            svg,
            r#"<polyline class="c{class} curve" points="{}"/><line class="c{class} curve" x1="{name_x}" x2="{}" y1="46" y2="46"/><text class="name" x="{}" y="50">{}</text>"#,
            path.trim_end(),
            name_x + 22.0,
            name_x + 28.0,
            escape(&result.program)
        );
    }
    Some(svg)
}
