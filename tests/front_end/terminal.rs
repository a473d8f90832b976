//! Interactive mode on a terminal: a pseudo-terminal with a test at its other end.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::{COPYRIGHT, PROGRAMS};

/// Long enough for a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program on a terminal of its own.
struct Session {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Session {
    fn start(program: &str, arguments: &[&str], state_home: &Path, term: &str) -> Session {
        let (mut master, mut slave) = (-1, -1);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: room for two descriptors; no name, no settings, a size.
        let made = unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                &raw const size as _,
            )
        };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        // SAFETY: fresh descriptors that nobody else has.
        let (master, slave) = unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let stream = || slave.try_clone().expect("a descriptor");
        let mut command = Command::new(program);
        command.args(arguments).env("XDG_STATE_HOME", state_home).env("TERM", term).env_remove("LUA_INIT");
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let master_number = master.as_raw_fd();
        // SAFETY: only calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::close(master_number);
                if libc::setsid() == -1 || libc::ioctl(0, libc::TIOCSCTTY as _, 0) == -1 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("a run");
        drop((command, slave)); // or the terminal would never seem closed
        let keyboard = File::from(master);
        let mut output = keyboard.try_clone().expect("a descriptor");
        let (send, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Session { child, keyboard, screen, seen: String::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Waits until `text` is on the screen, after what was waited for before. Gives what came before it.
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let before = self.seen[..at].to_owned();
                self.seen.drain(..at + text.len());
                return before;
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("{text:?} did not come ({error}); seen: {:?}", self.seen),
            }
        }
    }

    /// Waits for the end, and gives the rest of the screen.
    fn end(mut self) -> (String, ExitStatus) {
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.seen += &String::from_utf8_lossy(&bytes);
        }
        (self.seen, self.child.wait().expect("a status"))
    }
}

const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

#[test]
fn lines_are_edited_and_history_is_kept_between_sessions() {
    for program in PROGRAMS {
        let home = tempfile::tempdir().expect("a folder");
        let mut session = Session::start(program, &[], home.path(), "xterm");
        assert_eq!(session.wait_for("> "), COPYRIGHT.replace('\n', "\r\n") + &blank_line() + &prompt_start());
        session.press(&format!("10 + 3{LEFT}2\r"));
        session.wait_for("\r\n33\r\n"); // 10 + 23
        session.wait_for("> ");
        session.press("for i = 1, 2 do\r");
        session.wait_for(">> ");
        session.press("print(i * 21) end\r");
        session.wait_for("\r\n21\r\n42\r\n");
        session.wait_for("> ");
        session.press(&format!("{UP}{UP}{UP}\r")); // one of them goes up inside the two lines
        session.wait_for("\r\n33\r\n");
        session.wait_for("> ");
        session.press(CTRL_D);
        let (_, status) = session.end();
        assert!(status.success());
        let kept = fs::read_to_string(home.path().join("lua54/history")).expect("a history");
        assert_eq!(kept, "#V2\n10 + 23\nfor i = 1, 2 do\\nprint(i * 21) end\n10 + 23\n");

        let mut session = Session::start(program, &["-i"], home.path(), "xterm");
        session.wait_for("> ");
        session.press(&format!("{UP}\r"));
        session.wait_for("\r\n33\r\n");
        session.wait_for("> ");
        session.press("os.exit(5)\r");
        let (_, status) = session.end();
        assert_eq!(status.code(), Some(5));
    }
}

#[test]
fn ctrl_c_stops_what_runs_and_at_the_prompt_the_program() {
    for program in PROGRAMS {
        let home = tempfile::tempdir().expect("a folder");
        let mut session = Session::start(program, &[], home.path(), "xterm");
        session.wait_for("> ");
        session.press("print'running' while true do end\r");
        session.wait_for("\r\nrunning\r\n");
        session.press(CTRL_C);
        session.wait_for("interrupted!\r\nstack traceback:\r\n");
        session.wait_for("> ");
        session.press("6 * 7\r");
        session.wait_for("\r\n42\r\n");
        session.wait_for("> ");
        session.press(&format!("half a line{CTRL_C}"));
        let (_, status) = session.end();
        assert_eq!(status.signal(), Some(libc::SIGINT));
    }
}

#[test]
fn output_without_a_newline_stays_on_the_screen() {
    for program in PROGRAMS {
        let home = tempfile::tempdir().expect("a folder");
        let mut session = Session::start(program, &[], home.path(), "xterm");
        session.wait_for("> ");
        session.press("for i = 1, 3 do io.write(i) end\r");
        session.wait_for("\r\n123");
        // Blanks up to the edge and beyond: what the editor then wipes is the line after it.
        assert_eq!(session.wait_for("> "), blank_line() + &prompt_start());
        session.press(CTRL_D);
        assert!(session.end().1.success());
    }
}

#[test]
fn lines_typed_ahead_and_lines_a_script_reads_are_not_lost() {
    for program in PROGRAMS {
        let home = tempfile::tempdir().expect("a folder");
        let mut session = Session::start(program, &[], home.path(), "xterm");
        session.wait_for("> ");
        session.press("x = 1\rx = x + 1\rx * 100\r");
        session.wait_for("\r\n200\r\n");
        session.wait_for("> ");
        session.press("print'tell' y = io.read()\r");
        session.wait_for("\r\ntell\r\n");
        session.press("something\n");
        session.wait_for("> ");
        session.press("'<' .. y .. '>'\r");
        session.wait_for("\r\n<something>\r\n");
        session.wait_for("> ");
        session.press(CTRL_D);
        assert!(session.end().1.success());
    }
}

#[test]
fn a_terminal_that_cannot_edit_and_a_history_that_cannot_be_kept_are_no_obstacle() {
    for program in PROGRAMS {
        let home = tempfile::tempdir().expect("a folder");
        let mut session = Session::start(program, &[], home.path(), "dumb");
        assert_eq!(session.wait_for("> "), COPYRIGHT.replace('\n', "\r\n"));
        session.press("20 + 1\n");
        session.wait_for("20 + 1\r\n21\r\n> ");
        session.press(CTRL_D);
        assert!(session.end().1.success());

        let file = home.path().join("file");
        fs::write(&file, "no folder").expect("a file");
        let mut session = Session::start(program, &[], &file, "xterm");
        session.wait_for("> ");
        session.press("20 + 2\r");
        session.wait_for("\r\n22\r\n");
        session.wait_for("> ");
        session.press(CTRL_D);
        let (rest, status) = session.end();
        assert!(status.success() && !rest.contains("file"), "{rest}");
    }
}

/// What sends the cursor to an empty line of this terminal.
fn blank_line() -> String {
    " ".repeat(79) + "\r"
}

/// What the editor writes before a prompt: paste marks on, updates held back, line wiped.
fn prompt_start() -> String {
    "\x1b[?2004h\x1b[?2026h\r\x1b[K".to_owned()
}
