//! Writing the results to where the options say.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::options::{Color, Options};
use super::report::Report;
use super::{csv, html, memory_picture, pictures, table};

type Format = fn(&Report, &Options) -> String;

fn json(report: &Report) -> String {
    // Nothing in a report can fail to be JSON: its maps have no keys but names.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}

fn wanted(options: &Options) -> Vec<(&Path, Format)> {
    let all: [(&Option<std::path::PathBuf>, Format); 6] = [
        (&options.json, |report, _| json(report)),
        (&options.markdown, |report, options| table::as_markdown(report, options.details)),
        (&options.csv, |report, _| csv::table(report)),
        (&options.html, |report, _| html::page(report)),
        (&options.picture, |report, _| pictures::picture_file(report)),
        (&options.memory_picture, |report, _| memory_picture::picture(report)),
    ];
    all.into_iter().filter_map(|(file, format)| Some((file.as_deref()?, format))).collect()
}

fn is_standard_output(file: &Path) -> bool {
    file == Path::new("-")
}

/// Before the first run: it would be a pity to find out after the last that the results have nowhere to go.
pub(super) fn check(options: &Options) -> Result<(), String> {
    let wanted = wanted(options);
    if wanted.iter().filter(|(file, _)| is_standard_output(file)).count() > 1 {
        return Err("only one format can go to standard output (-)".into());
    }
    for (file, _) in wanted.iter().filter(|(file, _)| !is_standard_output(file)) {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(format!("cannot write {}: there is no folder {}", file.display(), folder.display()));
        }
        if file.is_dir() {
            return Err(format!("cannot write {}: it is a folder", file.display()));
        }
    }
    Ok(())
}

/// The tables go to standard output unless another format does.
pub(super) fn write(report: &Report, options: &Options) -> Result<(), String> {
    let wanted = wanted(options);
    if !wanted.iter().any(|(file, _)| is_standard_output(file)) {
        // Many curves would push the tables off the screen, and the page shows them better.
        let with_curves = options.details || options.html.is_none() || report.measured().len() <= 3;
        print(&table::for_terminal(report, options.details, with_curves), options.color);
    }
    let mut failures = Vec::new();
    for (file, format) in wanted {
        if is_standard_output(file) {
            print(&format(report, options), Color::Never);
        } else if let Err(error) = fs::write(file, format(report, options)) {
            failures.push(format!("cannot write {}: {error}", file.display()));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// Standard output may be a pipe that nobody reads to its end: that is no error.
fn print(text: &str, color: Color) {
    let choice = match color {
        Color::Auto => anstream::AutoStream::choice(&io::stdout()),
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    let mut stdout = anstream::AutoStream::new(io::stdout(), choice);
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
