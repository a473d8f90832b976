//! The program `lua54_compare`: the same scripts under lua54, lua54_pool and others, side by side.

mod capture;
mod machine;
mod measure;
mod options;
mod output_check;
mod programs;
mod progress;
mod report;
mod runner;
mod statistics;
mod table;
mod tasks;
mod units;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::os::process::{interrupted, watch_for_interrupts};
use machine::Machine;
use options::{Color, Options};
use programs::{Program, Role};
use progress::Progress;
use report::{FORMAT, ProgramInfo, Report};
use runner::Limits;

/// Runs the program `lua54_compare`.
pub fn main() -> ExitCode {
    let options = Options::parse();
    match compare(&options) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("lua54_compare: {message}");
            ExitCode::from(2)
        }
    }
}

fn compare(options: &Options) -> Result<ExitCode, String> {
    let tasks = tasks::tasks(options)?;
    let (programs, problems) = contestants(options)?;
    let limits = Limits {
        timeout: Duration::from_secs_f64(options.timeout.min(1e9)),
        output_bytes: options.output_limit << 20,
        input: options.input.clone(),
    };
    let mut report = Report {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").into(),
        date: machine::date(),
        command_line: command_line(),
        machine: Machine::of_this_moment(),
        programs: programs.iter().map(program_info).collect(),
        scripts: Vec::new(),
        means: Vec::new(),
        warnings: Vec::new(),
        problems,
        interrupted: false,
    };

    watch_for_interrupts();
    let progress = Progress::new(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        if interrupted() {
            break;
        }
        let script = measure::measure(task, &programs, options, &limits, &progress);
        progress.script_done(index + 1, &script);
        report.scripts.push(script);
    }
    report.interrupted = interrupted();
    report.compute_means();
    progress.finish(&report);

    print(&table::render(&report), options.color);
    Ok(exit_code(&report))
}

fn exit_code(report: &Report) -> ExitCode {
    if report.interrupted {
        ExitCode::from(130)
    } else if report.all_problems().next().is_some() {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

/// The programs, baseline first, and what was asked for but cannot take part.
fn contestants(options: &Options) -> Result<(Vec<Program>, Vec<String>), String> {
    let named = |text: &Option<String>, shipped: &str, role| match text {
        Some(text) => Program::from_text(text, role, options.keep_name),
        None => Program::shipped(shipped, role, options.keep_name),
    };
    let mut programs = vec![
        named(&options.baseline, "lua54", Role::Baseline)?,
        named(&options.candidate, "lua54_pool", Role::Candidate)?,
    ];
    programs::make_unique(&mut programs.iter_mut().map(|program| &mut program.name).collect::<Vec<_>>());
    Ok((programs, Vec::new()))
}

fn program_info(program: &Program) -> ProgramInfo {
    ProgramInfo {
        name: program.name.clone(),
        role: program.role,
        command: program.shown_command.clone(),
        version: program.version.clone(),
    }
}

/// As typed, but without the folder of this program.
fn command_line() -> Vec<String> {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("lua54_compare".to_owned()).chain(arguments).collect()
}

/// Standard output may be a pipe that nobody reads to its end: that is no error.
fn print(text: &str, color: Color) {
    let choice = match color {
        Color::Auto => anstream::AutoStream::choice(&std::io::stdout()),
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    };
    let _ = anstream::AutoStream::new(std::io::stdout(), choice).write_all(text.as_bytes());
}
