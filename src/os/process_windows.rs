//! Child processes on Windows: the process object keeps its times and memory peak until its last handle is closed.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, Command};
use std::sync::atomic::{AtomicBool, Ordering};

use windows_sys::Win32::Foundation::{FILETIME, HANDLE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Console::SetConsoleCtrlHandler;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, GetExitCodeProcess, GetProcessTimes, INFINITE, TerminateProcess, WaitForSingleObject,
};

use super::{Ending, Usage};

/// A child; `process` keeps the handle open, and with it the counters.
pub(crate) struct Child {
    process: std::process::Child,
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub fn spawn(command: &mut Command) -> io::Result<Child> {
        // In a group of its own the child does not see our console's Ctrl-C: we decide.
        let mut process = command.creation_flags(CREATE_NEW_PROCESS_GROUP).spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        Ok(Child { process, stdout, stderr })
    }

    fn handle(&self) -> HANDLE {
        self.process.as_raw_handle()
    }

    /// Returns when the child has ended.
    pub fn wait_for_end(&self) -> io::Result<()> {
        // SAFETY: the handle is open as long as `self.process` lives.
        match unsafe { WaitForSingleObject(self.handle(), INFINITE) } {
            WAIT_OBJECT_0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// What the ended child has used; closes its handle.
    pub fn reap(self) -> io::Result<(Ending, Usage)> {
        let none = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
        let (mut created, mut ended, mut kernel, mut user) = (none, none, none, none);
        let mut code = 0;
        // SAFETY: the handle is open as long as `self.process` lives; all pointers are to writable values.
        let known = unsafe {
            GetExitCodeProcess(self.handle(), &mut code) != 0
                && GetProcessTimes(self.handle(), &mut created, &mut ended, &mut kernel, &mut user) != 0
        };
        if !known {
            return Err(io::Error::last_os_error());
        }
        let memory = self.memory_counters().ok_or_else(io::Error::last_os_error)?;
        Ok((
            Ending::Exit(code.cast_signed()),
            Usage {
                user_seconds: seconds(user),
                system_seconds: seconds(kernel),
                peak_bytes: memory.PeakWorkingSetSize as u64,
                // Windows counts both kinds together.
                minor_faults: u64::from(memory.PageFaultCount),
                major_faults: 0,
            },
        ))
    }

    /// Ends the child.
    pub fn kill(&self) {
        // SAFETY: the handle is open as long as `self.process` lives, and was opened with all rights.
        unsafe { TerminateProcess(self.handle(), 1) };
    }

    /// Memory the child has resident now.
    pub fn resident_bytes(&self) -> Option<u64> {
        self.memory_counters().map(|memory| memory.WorkingSetSize as u64)
    }

    fn memory_counters(&self) -> Option<PROCESS_MEMORY_COUNTERS> {
        memory_counters(self.handle())
    }
}

fn memory_counters(process: HANDLE) -> Option<PROCESS_MEMORY_COUNTERS> {
    let bytes = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: all zeroes is a valid value of this plain struct of integers.
    let mut memory: PROCESS_MEMORY_COUNTERS = unsafe { zeroed() };
    memory.cb = bytes;
    // SAFETY: the caller's handle is open; `memory` is writable and `bytes` long.
    (unsafe { K32GetProcessMemoryInfo(process, &mut memory, bytes) } != 0).then_some(memory)
}

/// A FILETIME that holds a duration counts units of 100 ns.
fn seconds(time: FILETIME) -> f64 {
    let ticks = (u64::from(time.dwHighDateTime) << 32) | u64::from(time.dwLowDateTime);
    ticks as f64 * 1e-7
}

/// A new process starts with nothing of ours here.
pub(crate) fn own_private_bytes() -> Option<u64> {
    None
}

/// Whether `set_program_name` has an effect here.
pub(crate) const CAN_SET_PROGRAM_NAME: bool = false;

/// std offers no way to choose argv[0] here; the output check normalises the name instead.
pub(crate) fn set_program_name(_command: &mut Command, _name: &str) {}

/// Windows keeps no load average.
pub(crate) fn load_average() -> Option<f64> {
    None
}

/// The system's name and processor type.
pub(crate) fn system_name() -> String {
    format!("Windows {}", std::env::consts::ARCH)
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

unsafe extern "system" fn note_interrupt(_kind: u32) -> windows_sys::core::BOOL {
    // Zero hands the event on: the second Ctrl-C ends the program as usual.
    i32::from(!INTERRUPTED.swap(true, Ordering::Relaxed))
}

/// From now on the first Ctrl-C is only noted; the second one ends the program as usual.
pub(crate) fn watch_for_interrupts() {
    // SAFETY: the handler is a function that lives as long as the program and only touches an atomic.
    unsafe { SetConsoleCtrlHandler(Some(note_interrupt), 1) };
}

/// Whether the user has asked to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
