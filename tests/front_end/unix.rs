//! What only Unix has: signals, closed streams, arguments that are no text.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::{PROGRAMS, Scripts, outcome};

/// Runs a shell line in which `$0` is the program, and gives what it wrote to the two streams.
fn shell(scripts: &Scripts, program: &str, line: &str) -> (String, String) {
    let (out, err, _) = outcome(scripts.command("/bin/sh").args(["-c", line, program]));
    (out, err)
}

/// Starts `program -e code` with pipes for its output.
fn start(program: &str, code: &str) -> Child {
    let mut command = std::process::Command::new(program);
    command.args(["-e", code]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("a run")
}

fn interrupt(child: &Child) {
    let pid = libc::pid_t::try_from(child.id()).expect("a process id");
    // SAFETY: our own child, not waited for yet, so the id is still its.
    unsafe { libc::kill(pid, libc::SIGINT) };
}

/// Interrupts the child once it has said "ready"; gives what reads the lines that it prints after that.
fn interrupt_when_ready(child: &mut Child) -> impl FnMut() -> String + use<> {
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = move || lines.next().expect("a line").expect("text");
    assert_eq!(line(), "ready");
    interrupt(child);
    line
}

/// The signal that ended the child, all within a minute.
fn ending_signal(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().expect("a status") {
            return status.signal();
        }
        if Instant::now() > deadline {
            child.kill().expect("to end it");
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn arguments_and_environment_are_bytes() {
    let scripts = Scripts::new();
    for program in PROGRAMS {
        let strange = OsStr::from_bytes(b"\xff\xfe!");
        let code = "print(arg[1] == '\\xff\\xfe!', os.getenv'STRANGE' == arg[1], X == arg[1])";
        std::fs::write(scripts.path().join("bytes.lua"), code).expect("a script");
        let init = OsStr::from_bytes(b"X = '\xff\xfe!'");
        let mut command = scripts.command(program);
        command.env("STRANGE", strange).env("LUA_INIT", init).arg("bytes.lua").arg(strange);
        command.assert().success().stdout("true\ttrue\ttrue\n");
        let missing = scripts.command(program).arg(strange).output().expect("a run");
        assert_eq!(
            missing.stderr,
            [program.as_bytes(), b": cannot open \xff\xfe!: No such file or directory\n"].concat()
        );
        let unknown = scripts.command(program).arg(OsStr::from_bytes(b"--\xff")).output().expect("a run");
        assert!(unknown.stderr.starts_with(&[program.as_bytes(), b": unrecognized option '--\xff'\n"].concat()));
    }
}

#[test]
fn a_reader_that_went_away_ends_the_program_quietly() {
    for program in PROGRAMS {
        let mut child = start(program, "while true do print(1) end");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let mut errors = child.stderr.take().expect("a pipe");
        assert_eq!((line.as_str(), ending_signal(child)), ("1\n", Some(libc::SIGPIPE)));
        let mut text = String::new();
        errors.read_to_string(&mut text).expect("text");
        assert_eq!(text, "");
    }
}

#[test]
fn sigpipe_is_as_the_parent_left_it_here_and_in_children() {
    let scripts = Scripts::new();
    for program in PROGRAMS {
        let child = "\"$0\" -e 'print(select(2, os.execute[[kill -PIPE $$]]))'";
        assert_eq!(shell(&scripts, program, child).0, "signal\t13\n");
        // Who ignores it wants to be told by the write instead.
        let ignoring = "trap '' PIPE; \"$0\" -e \"\
             io.stdout:setvbuf'no' local ok, why repeat ok, why = io.write'x' until not ok io.stderr:write(why)\" | true";
        assert_eq!(shell(&scripts, program, ignoring).1, "Broken pipe");
    }
}

#[test]
fn streams_that_are_closed_stay_closed() {
    let scripts = Scripts::new();
    for program in PROGRAMS {
        let line = "\"$0\" -e \"io.write'x' io.stderr:write((select(2, io.stdout:flush())))\" >&-";
        assert_eq!(shell(&scripts, program, line).1, "Bad file descriptor");
        assert_eq!(shell(&scripts, program, "\"$0\" -e \"error'x'\" 2>&-; echo $?").0, "1\n");
    }
}

#[test]
fn sigint_raises_an_error_that_a_script_may_catch() {
    for program in PROGRAMS {
        let mut child = start(program, "print(pcall(function() print'ready' while true do end end)) while true do end");
        let mut line = interrupt_when_ready(&mut child);
        let caught = line(); // with the place, unless it was still in `print`
        assert!(caught.starts_with("false\t") && caught.ends_with("interrupted!"), "{caught}");
        // The handler is good for one signal a call; the next one ends the program.
        interrupt(&child);
        assert_eq!(ending_signal(child), Some(libc::SIGINT));
    }
}

#[test]
fn sigint_stops_loops_of_all_kinds() {
    let loops = [
        "while true do end",
        "while not x do end",
        "repeat until x",
        "::again:: goto again",
        "::again:: if not x then goto again end",
        "for i = 1, math.maxinteger do end",
        "for i = 1.0, math.huge do end",
        "for _ in function() return 1 end do end",
    ];
    for program in PROGRAMS {
        for code in loops {
            let code = format!("local x print(pcall(function() print'ready' {code} end)) os.exit(true)");
            let mut child = start(program, &code);
            let mut line = interrupt_when_ready(&mut child);
            let caught = line();
            assert!(caught.ends_with("interrupted!"), "{code}: {caught}");
            assert!(child.wait().expect("an end").success());
        }
    }
}

#[test]
fn sigint_ends_a_script_with_a_traceback() {
    for program in PROGRAMS {
        let mut child = start(program, "print'ready' while true do end");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        interrupt(&child);
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), Some(1));
        // Where it was stopped depends on the moment: the loop, or still `print`.
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with(&format!("{program}: ")), "{errors}");
        assert!(errors.contains("interrupted!\nstack traceback:\n"), "{errors}");
        assert!(errors.ends_with("\t(command line):1: in main chunk\n\t[C]: in ?\n"), "{errors}");
    }
}

#[test]
fn a_second_sigint_ends_a_script_stuck_in_c() {
    // A search that takes hours. Should the first signal come before it has begun, it is begun anew.
    let code = "local function stuck() print'ready' string.find(string.rep('a', 1000000), '.*b') end \
        while true do pcall(stuck) end";
    for program in PROGRAMS {
        let mut child = start(program, code);
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("a line");
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(child.try_wait().expect("a status"), None, "one signal must not end it");
        interrupt(&child);
        assert_eq!(ending_signal(child), Some(libc::SIGINT));
    }
}
