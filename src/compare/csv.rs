//! The medians and ratios as comma-separated values, one row for each script and program. Units are in the names.

use super::report::Report;
use super::statistics::Ratio;

const HEADER: &str = "script,arguments,program,runs,cpu_seconds,wall_seconds,peak_bytes,page_faults,cpu_ratio,\
cpu_ratio_low,cpu_ratio_high,wall_ratio,peak_ratio,instructions,allocator_instructions,frame_median_ms,frame_p99_ms,frame_worst_ms,date,cpu,\
system,version,tool_version,c_flags,command_line";

pub(super) fn table(report: &Report) -> String {
    let mut text = format!("{HEADER}\n");
    for script in report.measured() {
        for result in &script.results {
            let program = report.programs.iter().find(|program| program.name == result.program);
            let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
            let count = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
            let median = |ratio: Option<Ratio>| number(ratio.map(|ratio| ratio.median));
            let end = |which: usize| number(result.cpu_ratio.and_then(|ratio| Some(ratio.interval?[which])));
            let frame = |which: usize| {
                number(result.frame_times.map(|times| [times.median_ms, times.p99_ms, times.worst_ms][which]))
            };
            let cells = [
                script.name.clone(),
                script.arguments.join(" "),
                result.program.clone(),
                result.runs.len().to_string(),
                number(Some(result.cpu_seconds)),
                number(Some(result.wall_seconds)),
                format!("{:.0}", result.peak_bytes),
                format!("{:.0}", result.faults),
                median(result.cpu_ratio),
                end(0),
                end(1),
                median(result.wall_ratio),
                median(result.peak_ratio),
                count(result.instructions),
                count(result.allocator_instructions),
                frame(0),
                frame(1),
                frame(2),
                report.date.clone(),
                report.machine.cpu.clone(),
                report.machine.system.clone(),
                program.and_then(|program| program.version.clone()).unwrap_or_default(),
                report.tool_version.clone(),
                report.c_flags.clone().unwrap_or_default(),
                report.shown_command_line(),
            ];
            text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
            text.push('\n');
        }
    }
    text
}

/// A cell that would be misread gets quotes.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_needed() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"x\""), "\"say \"\"x\"\"\"");
    }
}
