//! The interpreters that take part: from a command line's words to something that can be started.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::os::process::set_program_name;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Baseline,
    Candidate,
    Peer,
}

#[derive(Clone, Debug)]
pub(super) struct Program {
    pub name: String,
    pub role: Role,
    pub executable: PathBuf,
    pub arguments: Vec<OsString>,
    /// Set for this program only, such as LD_PRELOAD.
    pub environment: Vec<(&'static str, OsString)>,
    /// What a person would type, for reports.
    pub shown_command: String,
    /// First line of what `-v` prints.
    pub version: Option<String>,
    /// Whether it keeps its own name (`argv[0]`).
    pub keeps_name: bool,
}

/// The name every program is called by, so that error messages agree.
pub(super) const COMMON_NAME: &str = "lua";

impl Program {
    /// From `[NAME=]COMMAND`.
    pub fn from_text(text: &str, role: Role, keeps_name: bool) -> Result<Program, String> {
        let (name, command) = split_name(text);
        let words = split_words(command)?;
        let (first, rest) = words.split_first().ok_or_else(|| format!("\"{text}\" names no command to run"))?;
        let executable = find_executable(Path::new(first))
            .ok_or_else(|| format!("there is no program \"{first}\" (neither a file nor on PATH)"))?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let stem = Path::new(first).file_name().unwrap_or_default().to_string_lossy().into_owned();
                std::iter::once(stem).chain(rest.iter().cloned()).collect::<Vec<_>>().join(" ")
            }
        };
        Ok(Program {
            name,
            role,
            executable,
            arguments: rest.iter().map(OsString::from).collect(),
            environment: Vec::new(),
            shown_command: command.trim().to_owned(),
            version: None,
            keeps_name,
        })
    }

    /// One of our own two programs: beside this one, or on PATH.
    pub fn shipped(name: &str, role: Role, keeps_name: bool) -> Result<Program, String> {
        let file_name = format!("{name}{}", env::consts::EXE_SUFFIX);
        let beside = env::current_exe().ok().and_then(|me| Some(me.parent()?.join(&file_name))).filter(|p| p.is_file());
        let executable = beside.or_else(|| find_executable(Path::new(&file_name))).ok_or_else(|| {
            let option = if role == Role::Baseline { "--baseline" } else { "--candidate" };
            format!(
                "{name} is neither beside lua54_compare nor on PATH; \
                 build it with `cargo build --release`, or name another program with {option}"
            )
        })?;
        Ok(Program {
            name: name.to_owned(),
            role,
            executable,
            arguments: Vec::new(),
            environment: Vec::new(),
            shown_command: name.to_owned(),
            version: None,
            keeps_name,
        })
    }

    /// Adds itself to a command that runs another one, such as valgrind's.
    pub fn add_to(&self, command: &mut Command) {
        command.arg(of_common_length(&self.executable)).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Ready for the caller to add a script.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        if !self.keeps_name {
            set_program_name(&mut command, COMMON_NAME);
        }
        command
    }
}

/// The path with as many more slashes as make its length a multiple of 64. A script's `arg` holds it, and the bytes that
/// Lua counts decide when it collects garbage: paths of unlike lengths change the number of instructions by up to 2 %.
fn of_common_length(path: &Path) -> PathBuf {
    let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    if !cfg!(unix) || folder.as_os_str().is_empty() {
        return path.to_owned();
    }
    let mut padded = folder.as_os_str().to_owned();
    padded.push("/");
    while (padded.len() + file.len()) % 64 != 0 {
        padded.push("/");
    }
    padded.push(file);
    padded.into()
}

/// Two programs, or two scripts, of one name could not be told apart in the results: the later ones get a number.
pub(super) fn make_unique(names: &mut [&mut String]) {
    for index in 1..names.len() {
        let (before, rest) = names.split_at_mut(index);
        let wanted = rest[0].clone();
        let mut number = 2;
        while before.iter().any(|name| **name == *rest[0]) {
            *rest[0] = format!("{wanted} ({number})");
            number += 1;
        }
    }
}

/// `NAME=COMMAND` has a name when what stands before the first `=` could not be the start of a command.
pub(super) fn split_name(text: &str) -> (Option<&str>, &str) {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+'))
    };
    match text.split_once('=') {
        Some((name, command)) if is_name(name) => (Some(name), command),
        _ => (None, text),
    }
}

/// Splits at blanks, except inside single or double quotes. A backslash is an ordinary character.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote is not closed in: {text}"));
    }
    words.extend(word);
    Ok(words)
}

/// A name without a folder is looked for on PATH, anything else is a path.
pub(super) fn find_executable(name: &Path) -> Option<PathBuf> {
    let with_or_without_suffix = |path: &Path| {
        let suffixed = PathBuf::from(suffixed(path.as_os_str()));
        [path.to_owned(), suffixed].into_iter().find(|path| is_executable(path))
    };
    if name.components().count() > 1 || name.is_absolute() {
        return with_or_without_suffix(name);
    }
    env::split_paths(&env::var_os("PATH")?).find_map(|folder| with_or_without_suffix(&folder.join(name)))
}

fn suffixed(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(env::consts::EXE_SUFFIX);
    name
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes() {
        assert_eq!(split_words("luajit  -joff").unwrap(), ["luajit", "-joff"]);
        assert_eq!(split_words(r#"'a b' c"d e"f ''"#).unwrap(), ["a b", "cd ef", ""]);
        assert_eq!(split_words(r"C:\lua\lua.exe -E").unwrap(), [r"C:\lua\lua.exe", "-E"]);
        assert!(split_words("'open").unwrap_err().contains("not closed"));
    }

    #[test]
    fn paths_of_one_folder_get_the_same_length_and_name_the_same_files() {
        let folder = std::env::temp_dir();
        let [short, long] = ["a", "a_longer_name"].map(|name| of_common_length(&folder.join(name)));
        if cfg!(unix) {
            assert_eq!(short.as_os_str().len() % 64, 0);
            assert_eq!(short.as_os_str().len(), long.as_os_str().len());
        }
        assert_eq!(short, folder.join("a"));
        assert_eq!(of_common_length(Path::new("alone")), Path::new("alone"));
    }

    #[test]
    fn a_name_before_the_equals_sign() {
        assert_eq!(split_name("jit=luajit -joff"), (Some("jit"), "luajit -joff"));
        assert_eq!(split_name("luajit -Ofoo=1"), (None, "luajit -Ofoo=1"));
        assert_eq!(split_name("./a/b=c"), (None, "./a/b=c"));
        assert_eq!(split_name("lua5.4"), (None, "lua5.4"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Program::from_text("x=no-such-lua -E", Role::Peer, false).unwrap_err();
        assert_eq!(error, "there is no program \"no-such-lua\" (neither a file nor on PATH)");
        assert!(Program::from_text("x=", Role::Peer, false).unwrap_err().contains("no command"));
    }

    #[test]
    fn names_become_unique() {
        let mut names: Vec<String> = ["lua", "lua", "jit", "lua"].map(String::from).into();
        make_unique(&mut names.iter_mut().collect::<Vec<_>>());
        assert_eq!(names, ["lua", "lua (2)", "jit", "lua (3)"]);
    }
}
