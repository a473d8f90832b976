//! The program `lua54_compare`: the same scripts under lua54, lua54_pool and others, side by side.

mod capture;
mod counts;
mod csv;
mod export;
mod extras;
mod frames;
mod html;
mod machine;
mod measure;
mod memory_picture;
mod options;
mod output_check;
mod peers;
mod pictures;
mod probe;
mod profile;
mod programs;
mod progress;
mod regression;
mod report;
mod runner;
mod statistics;
mod table;
mod tasks;
mod text_table;
mod timeline;
mod units;
mod warnings;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::os::process::{interrupted, watch_for_interrupts};
use machine::Machine;
use options::Options;
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
    export::check(options)?;
    let earlier = options.against.as_deref().map(regression::load).transpose()?;
    let mut report = match &options.load {
        Some(file) => regression::load(file)?,
        None => run_all(options)?,
    };
    if let Some(earlier) = &earlier {
        report.changes = regression::changes(&report, earlier);
        if report.changes.is_empty() {
            report
                .problems
                .push("the earlier run (--against) has no script and program in common with this one".into());
        }
    }
    if !report.interrupted {
        let lines = regression::broken_limits(&report, options);
        // A loaded report may have them already.
        report.problems.extend(lines.into_iter().filter(|line| !report.problems.contains(line)).collect::<Vec<_>>());
    }
    export::write(&report, options)?;
    if report.interrupted {
        return Ok(ExitCode::from(130));
    }
    Ok(if report.all_problems().next().is_some() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn run_all(options: &Options) -> Result<Report, String> {
    let tasks = tasks::tasks(options)?;
    if let Some(input) = &options.input {
        std::fs::File::open(input).map_err(|e| format!("cannot read --input {}: {e}", input.display()))?;
    }
    let machine = Machine::of_this_moment();
    let (programs, problems) = contestants(options)?;
    let limits = Limits {
        timeout: Duration::from_secs_f64(options.timeout.min(1e9)),
        output_bytes: options.output_limit << 20,
        input: options.input.clone(),
    };
    let mut report = Report {
        format: FORMAT,
        tool_version: env!("CARGO_PKG_VERSION").into(),
        c_flags: option_env!("LUA54_C_FLAGS").map(str::to_owned),
        date: machine::date(),
        command_line: command_line(),
        warnings: warnings::of_machine(&machine),
        machine,
        programs: programs.iter().map(program_info).collect(),
        scripts: Vec::new(),
        means: Vec::new(),
        problems,
        interrupted: false,
        changes: Vec::new(),
    };
    if options.peers && programs.iter().all(|program| program.role != Role::Peer) {
        report.warnings.push(
            "--peers found none; install some, on Debian: apt install libmimalloc2.0 libjemalloc2 libtcmalloc-minimal4 \
             lua5.4 luajit"
                .into(),
        );
    }

    watch_for_interrupts();
    let progress = Progress::new(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        if interrupted() {
            break;
        }
        let mut script = measure::measure(task, &programs, options, &limits, &progress);
        extras::add(&mut script, task, &programs, options, &limits, &progress);
        progress.script_done(index + 1, &script);
        report.scripts.push(script);
    }
    if options.frames && !tasks.iter().any(frames::can_tell) {
        report.warnings.push("--frames: no script here prints a line \"frame_ms median=… p99=… worst=…\"".into());
    }
    report.interrupted = interrupted();
    report.compute_means();
    progress.finish(&report);
    Ok(report)
}

/// The programs, baseline first, and what was asked for but cannot take part.
fn contestants(options: &Options) -> Result<(Vec<Program>, Vec<String>), String> {
    let named = |text: &Option<String>, shipped: &str, role| match text {
        Some(text) => Program::from_text(text, role, options.keep_name),
        None => Program::shipped(shipped, role, options.keep_name),
    };
    let mut baseline = named(&options.baseline, "lua54", Role::Baseline)?;
    let mut candidate = named(&options.candidate, "lua54_pool", Role::Candidate)?;
    probe::probe(&mut baseline)?;
    probe::probe(&mut candidate)?;

    let wanted = options.with.iter().map(|text| Program::from_text(text, Role::Peer, options.keep_name));
    let wanted = wanted.chain(options.preload.iter().map(|text| peers::preloaded(text, &baseline)));
    let probed = wanted.map(|peer| {
        let mut peer = peer?;
        probe::probe(&mut peer).map(|()| peer)
    });
    let (mut peers, mut problems) = (Vec::new(), Vec::new());
    for peer in probed {
        match peer {
            Ok(peer) => peers.push(peer),
            Err(problem) => problems.push(problem),
        }
    }
    let mut programs = vec![baseline, candidate];
    programs.append(&mut peers);
    if options.peers {
        // What is installed but does not run is left out: nobody has asked for it by name.
        let installed = peers::installed(&programs[0], &programs);
        programs.extend(installed.into_iter().filter_map(|mut peer| probe::probe(&mut peer).ok().map(|()| peer)));
    }
    programs::make_unique(&mut programs.iter_mut().map(|program| &mut program.name).collect::<Vec<_>>());
    Ok((programs, problems))
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
