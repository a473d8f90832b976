//! Child processes on Unix: `wait4` gives the usage of exactly the child that ended.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, Command};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Ending, Usage};

/// A child in a process group of its own. It is a zombie at worst until `reap`, so its id stays its own till then.
pub(crate) struct Child {
    pid: libc::pid_t,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub fn spawn(command: &mut Command) -> io::Result<Child> {
        // SAFETY: the closure runs between fork and exec and calls only setpgid, which is async-signal-safe.
        //
        // The hook also makes std use fork instead of vfork. The kernel counts the memory a child had before its
        // exec towards its peak; after vfork that is all of ours, after fork only our private pages.
        unsafe {
            command.pre_exec(|| if libc::setpgid(0, 0) == 0 { Ok(()) } else { Err(io::Error::last_os_error()) });
        }
        let mut child = command.spawn()?;
        let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        // Dropping std's handle neither kills nor waits: the child is ours to reap.
        Ok(Child { pid, stdout: child.stdout.take(), stderr: child.stderr.take() })
    }

    /// Returns when the child has ended, without reaping it: `kill` and `resident_bytes` stay safe to call.
    pub fn wait_for_end(&self) -> io::Result<()> {
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
            let flags = libc::WEXITED | libc::WNOWAIT;
            // SAFETY: `info` is writable and large enough; the id is that of our own unreaped child.
            if unsafe { libc::waitid(libc::P_PID, self.pid as libc::id_t, info.as_mut_ptr(), flags) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Takes the ended child off the system's books.
    pub fn reap(self) -> io::Result<(Ending, Usage)> {
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are to writable values of the right type.
        while unsafe { libc::wait4(self.pid, &mut status, 0, usage.as_mut_ptr()) } != self.pid {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // SAFETY: all zeroes is a valid rusage, and wait4 has filled it in.
        let usage = unsafe { usage.assume_init() };
        let ending = if libc::WIFSIGNALED(status) {
            Ending::Signal(libc::WTERMSIG(status))
        } else {
            Ending::Exit(libc::WEXITSTATUS(status))
        };
        Ok((
            ending,
            Usage {
                user_seconds: seconds(usage.ru_utime),
                system_seconds: seconds(usage.ru_stime),
                peak_bytes: unsigned(usage.ru_maxrss) * MAXRSS_UNIT_BYTES,
                minor_faults: unsigned(usage.ru_minflt),
                major_faults: unsigned(usage.ru_majflt),
            },
        ))
    }

    /// Ends the child and whatever it has started.
    pub fn kill(&self) {
        // SAFETY: kill has no memory effects; the group is led by our child, which is not reaped while we exist.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
    }

    /// Memory the child has resident now; None where the system does not tell.
    pub fn resident_bytes(&self) -> Option<u64> {
        let (resident_pages, _) = statm(&format!("/proc/{}/statm", self.pid))?;
        Some(resident_pages * page_bytes())
    }
}

/// Unit of `ru_maxrss`: bytes on macOS, KiB on Linux and the BSDs.
const MAXRSS_UNIT_BYTES: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 * 1e-6
}

fn unsigned(count: libc::c_long) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Resident and shared pages of a process.
fn statm(path: &str) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf only reads.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Memory a forked child starts with: a peak below it cannot be seen (see `Child::spawn`).
pub(crate) fn own_private_bytes() -> Option<u64> {
    let (resident_pages, shared_pages) = statm("/proc/self/statm")?;
    Some(resident_pages.saturating_sub(shared_pages) * page_bytes())
}

/// Whether `set_program_name` has an effect here.
pub(crate) const CAN_SET_PROGRAM_NAME: bool = true;

/// Makes the program believe it was called by this name (its `argv[0]`).
pub(crate) fn set_program_name(command: &mut Command, name: &str) {
    command.arg0(name);
}

/// Runnable processes, averaged over the last minute.
pub(crate) fn load_average() -> Option<f64> {
    let mut loads = [0.0; 3];
    // SAFETY: `loads` has room for the three numbers asked for.
    (unsafe { libc::getloadavg(loads.as_mut_ptr(), 3) } > 0).then_some(loads[0])
}

/// The system's name, release and processor type.
pub(crate) fn system_name() -> String {
    let mut name = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `name` is writable and of the right type.
    if unsafe { libc::uname(name.as_mut_ptr()) } != 0 {
        return "Unix".into();
    }
    // SAFETY: all zeroes is a valid utsname, and uname has filled it in.
    let name = unsafe { name.assume_init() };
    let field = |text: &[libc::c_char]| {
        // SAFETY: uname ends each of its fields with a zero byte.
        unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned()
    };
    format!("{} {} {}", field(&name.sysname), field(&name.release), field(&name.machine))
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on the first Ctrl-C (or SIGTERM) is only noted; the second one ends the program as usual.
pub(crate) fn watch_for_interrupts() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: all zeroes is a valid sigaction (no mask); the handler only stores into an atomic.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = note_interrupt as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Whether the user has asked to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
