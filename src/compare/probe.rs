//! One short run of each program before all others: which version it is, and whether its malloc can be loaded.

use std::time::Duration;

use super::output_check::first_line;
use super::programs::Program;
use super::runner::{self, Failure, Limits};

/// Asks for the version. An error only if the program cannot take part; one that knows no -v can.
pub(super) fn probe(program: &mut Program) -> Result<(), String> {
    let limits = Limits { timeout: Duration::from_secs(10), output_bytes: 1 << 20, input: None };
    let mut command = program.command();
    command.arg("-v");
    let run = match runner::run(command, &limits, None, None) {
        Ok(run) => run,
        Err(failure @ Failure::CannotStart(_)) => return Err(format!("{} {failure}", program.name)),
        Err(_) => return Ok(()),
    };
    // The dynamic loader complains, and then runs the program without the library: a comparison with itself.
    let complaint = String::from_utf8_lossy(&run.stderr.beginning)
        .lines()
        .find(|line| line.contains("cannot be preloaded"))
        .map(str::to_owned);
    if let Some(complaint) = complaint {
        return Err(format!("{}: {complaint}", program.name));
    }
    program.version = first_line(&run.stdout).or_else(|| first_line(&run.stderr));
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::compare::programs::Role;

    fn shell(script: &str) -> Program {
        Program::from_text(&format!("x=sh -c '{script}'"), Role::Peer, false).unwrap()
    }

    #[test]
    fn the_first_line_is_the_version() {
        let mut program = shell("echo Lua 5.4.4; echo more");
        probe(&mut program).unwrap();
        assert_eq!(program.version.as_deref(), Some("Lua 5.4.4"));
    }

    #[test]
    fn a_library_that_the_loader_ignores_is_refused() {
        let mut program = shell("echo object x.so from LD_PRELOAD cannot be preloaded: ignored. >&2");
        assert!(probe(&mut program).unwrap_err().contains("cannot be preloaded"));
    }

    #[test]
    fn a_program_without_a_version_takes_part() {
        let mut program = shell("exit 7");
        probe(&mut program).unwrap();
        assert_eq!(program.version, None);
    }
}
