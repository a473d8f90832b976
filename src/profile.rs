//! A profile of where a script takes memory: samples of the Lua stack, added up by stack and written as the "folded"
//! lines that flame-graph tools read, or as the flame graph itself.

use std::collections::HashMap;
use std::ffi::{CStr, c_void};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::flame_graph;
use crate::pool::RawPool;
use crate::pool::sample::{Core, Frame, SampleSink};

/// Bytes for each sample, on average, if nobody says otherwise: a sample costs some microseconds, and half a megabyte
/// takes Lua hundreds of them.
pub const DEFAULT_BYTES_PER_SAMPLE: usize = 512 * 1024;

/// Functions of a stack that are noted; of deeper ones the innermost.
const FRAMES_MAX: usize = 128;

/// A profile: bytes by stack.
struct Profile {
    /// Stacks as they are written, outermost function first, and what was taken there.
    stacks: HashMap<Box<str>, u64>,
    /// Bytes of samples that there was no memory to note.
    lost_bytes: u64,
    path: PathBuf,
    /// `None` once it is written.
    file: Option<File>,
    /// The frames of the sample being taken, innermost first, and where each ends.
    text: String,
    ends: Vec<usize>,
    /// The stack of the sample being taken, as it is written.
    key: String,
}

/// Starts a profile of all states on `pool`, to be written to `path`: as a picture if that ends in ".svg". One that is
/// on already ends before.
///
/// # Errors
/// A line that says why there is no profile.
pub(crate) fn start(pool: &mut RawPool, path: &Path, bytes_per_sample: usize) -> Result<(), String> {
    stop(pool)?;
    if pool.is_hardened() {
        return Err("a hardened pool cannot be profiled: leave out one of the two".to_owned());
    }
    let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
    let profile = Profile {
        stacks: HashMap::new(),
        lost_bytes: 0,
        path: path.to_owned(),
        file: Some(file),
        text: String::new(),
        ends: Vec::new(),
        key: String::new(),
    };
    if pool.start_sampling(bytes_per_sample, Box::new(profile)) {
        Ok(())
    } else {
        Err("a profile needs a Lua with the pool's fast path, as lua54_pool has".to_owned())
    }
}

/// Ends the profile, if one is on, and writes it. Whether one was.
///
/// # Errors
/// A line that says why it could not be written.
pub(crate) fn stop(pool: &mut RawPool) -> Result<bool, String> {
    pool.stop_sampling().map_or(Ok(false), |mut sink| sink.finish().map(|()| true))
}

/// A path as Lua has it: bytes.
#[cfg(unix)]
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// A path as Lua has it: text, where it is any.
#[cfg(not(unix))]
pub(crate) fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write the profile {}: {error}", path.display())
}

impl SampleSink for Profile {
    unsafe fn sample(&mut self, core: &Core, thread: *mut c_void, bytes: u64) {
        self.text.clear();
        self.ends.clear();
        let mut complete = self.ends.try_reserve(FRAMES_MAX + 1).is_ok();
        // SAFETY: the caller's promise.
        unsafe {
            core.for_each_frame(thread, |frame| {
                complete = complete && self.add_frame(frame);
                complete && self.ends.len() <= FRAMES_MAX
            });
        }
        if !complete || !self.add_stack(bytes) {
            self.lost_bytes += bytes;
        }
    }

    fn finish(&mut self) -> Result<(), String> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let mut out = io::BufWriter::new(file);
        let mut stacks: Vec<(&str, u64)> = self.stacks.iter().map(|(stack, &bytes)| (&**stack, bytes)).collect();
        if self.lost_bytes > 0 {
            stacks.push(("[not noted: no memory]", self.lost_bytes));
        }
        stacks.sort_unstable();
        let written = if self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
            flame_graph::write(&mut out, &stacks)
        } else {
            stacks.iter().try_for_each(|(stack, bytes)| writeln!(out, "{stack} {bytes}"))
        };
        written.and_then(|()| out.flush()).map_err(|error| cannot_write(&self.path, &error))
    }
}

impl Profile {
    /// Notes one function of the stack. False without memory for it.
    fn add_frame(&mut self, frame: &Frame) -> bool {
        let text = &mut self.text;
        if self.ends.len() == FRAMES_MAX {
            return self.push_end("...");
        }
        // Names that a script makes up may be long; a frame is a line of some hundred bytes.
        if text.try_reserve(1024).is_err() {
            return false;
        }
        let unnamed = if frame.what == c"main" { "main chunk" } else { "function" };
        match frame.name {
            Some(name) => push_clean(text, name),
            None => text.push_str(unnamed),
        }
        if frame.what == c"C" {
            text.push_str(" ([C])");
        } else {
            text.push_str(" (");
            push_clean(text, frame.source);
            if frame.line > 0 {
                // Writing a number to a string with room for it cannot fail.
                let _ = std::fmt::Write::write_fmt(text, format_args!(":{}", frame.line));
            }
            text.push(')');
        }
        self.push_end("")
    }

    fn push_end(&mut self, text: &str) -> bool {
        if self.text.try_reserve(text.len()).is_err() {
            return false;
        }
        self.text.push_str(text);
        self.ends.push(self.text.len());
        true
    }

    /// Adds to the stack that was noted. False without memory for it.
    fn add_stack(&mut self, bytes: u64) -> bool {
        self.key.clear();
        if self.key.try_reserve(self.text.len() + self.ends.len() + 32).is_err() {
            return false;
        }
        for (index, &end) in self.ends.iter().enumerate().rev() {
            let start = if index == 0 { 0 } else { self.ends[index - 1] };
            if !self.key.is_empty() {
                self.key.push(';');
            }
            self.key.push_str(&self.text[start..end]);
        }
        if self.key.is_empty() {
            self.key.push_str("[no function]");
        }
        if let Some(sum) = self.stacks.get_mut(self.key.as_str()) {
            *sum += bytes;
            return true;
        }
        let mut owned = String::new();
        if self.stacks.try_reserve(1).is_err() || owned.try_reserve_exact(self.key.len()).is_err() {
            return false;
        }
        owned.push_str(&self.key);
        self.stacks.insert(owned.into_boxed_str(), bytes);
        true
    }
}

impl Drop for Profile {
    /// A pool that ends takes its profile along.
    fn drop(&mut self) {
        if let Err(message) = self.finish() {
            eprintln!("lua_pool: {message}");
        }
    }
}

/// Most characters of a name or a source that are noted.
const NAME_MAX: usize = 200;

/// Appends a name without what would end a frame or a line.
fn push_clean(text: &mut String, name: &CStr) {
    for chunk in name.to_bytes()[..name.count_bytes().min(NAME_MAX)].utf8_chunks() {
        for c in chunk.valid().chars() {
            text.push(match c {
                ';' => ',',
                c if c.is_control() => ' ',
                c => c,
            });
        }
        if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
        }
    }
}
