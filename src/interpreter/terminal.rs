//! Line editing and history, by rustyline, where both ends of the conversation are a terminal.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use rustyline::error::{ReadlineError, Signal};
use rustyline::{Config, DefaultEditor};

use crate::os::c_runtime::{SIGINT, flush_output, raise_signal, write_output};

/// Entries kept in the history.
const HISTORY_SIZE: usize = 1000;

/// The variable that names the folder for what programs keep of a user's doings.
pub(super) const STATE_FOLDER: &str = if cfg!(windows) { "LOCALAPPDATA" } else { "XDG_STATE_HOME" };

/// Terminals that rustyline would read without editing, through a buffer that `io.read` does not see.
const PLAIN_TERMINALS: [&str; 3] = ["dumb", "cons25", "emacs"];

/// A line editor with its history.
pub(super) struct Terminal {
    editor: DefaultEditor,
    /// Where the history is kept, if there is such a place.
    history: Option<PathBuf>,
}

/// What came of reading a line.
pub(super) enum Read {
    Line(Vec<u8>),
    End,
    /// The editor cannot work with this terminal.
    Broken,
}

impl Terminal {
    /// `None` where there is no terminal, or none that can edit.
    pub(super) fn open() -> Option<Self> {
        let plain = env::var("TERM").is_ok_and(|term| PLAIN_TERMINALS.iter().any(|it| it.eq_ignore_ascii_case(&term)));
        if plain || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let config = Config::builder().max_history_size(HISTORY_SIZE).ok()?.auto_add_history(false).build();
        let mut editor = DefaultEditor::with_config(config).ok()?;
        let history = history_file();
        if let Some(file) = &history {
            // No history yet, or none to be read: then it starts empty.
            let _ = editor.load_history(file);
        }
        Some(Terminal { editor, history })
    }

    /// Shows the prompt and lets the user edit a line.
    pub(super) fn read(&mut self, prompt: &[u8]) -> Read {
        let prompt = String::from_utf8_lossy(prompt);
        loop {
            self.start_new_line();
            match self.editor.readline(&prompt) {
                Ok(line) => return Read::Line(line.into_bytes()),
                Err(ReadlineError::Eof) => return Read::End,
                // Ctrl-C at the prompt ends lua. Where the signal is ignored, the line is started anew.
                Err(ReadlineError::Interrupted) => raise_signal(SIGINT),
                // Elsewhere Ctrl-C is a key and nothing else.
                #[cfg(unix)]
                Err(ReadlineError::Signal(Signal::Interrupt)) => raise_signal(SIGINT),
                Err(ReadlineError::Signal(Signal::Resize)) => {}
                Err(_) => return Read::Broken,
            }
        }
    }

    /// The editor starts by wiping the line the cursor is in. A script's output without a newline at its end must not
    /// go that way, so the cursor is sent to the start of a line without any: a row of blanks, one short of the
    /// width, makes it wrap unless it is at the start already.
    fn start_new_line(&mut self) {
        if let Some((columns, _)) = self.editor.dimensions() {
            let mut blanks = vec![b' '; usize::from(columns).saturating_sub(1)];
            blanks.push(b'\r');
            write_output(&blanks);
        }
        flush_output();
    }

    /// Adds to the history, at once in the file too: `os.exit` leaves no later moment.
    pub(super) fn remember(&mut self, code: &[u8]) {
        let added = self.editor.add_history_entry(String::from_utf8_lossy(code));
        if let (Ok(true), Some(file)) = (added, &self.history) {
            let saved = file.parent().map(fs::create_dir_all).is_some_and(|made| made.is_ok())
                && self.editor.append_history(file).is_ok();
            if !saved {
                self.history = None; // no place for it; not worth a message
            }
        }
    }
}

/// Both programs share one history, as they run the same scripts.
fn history_file() -> Option<PathBuf> {
    let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    let state = env::var_os(STATE_FOLDER).and_then(absolute).or_else(|| {
        let home = env::var_os("HOME").filter(|_| cfg!(unix)).and_then(absolute)?;
        Some(home.join(".local/state"))
    })?;
    Some(state.join("lua54").join("history"))
}
