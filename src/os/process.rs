//! Starting one child process and learning exactly what that child cost: CPU time, peak memory, page faults.
//!
//! std waits for a child without its resource usage, so both systems do their own waiting here.

#[cfg(unix)]
#[path = "process_unix.rs"]
mod system;
#[cfg(windows)]
#[path = "process_windows.rs"]
mod system;

pub(crate) use system::{
    CAN_SET_PROGRAM_NAME, Child, interrupted, load_average, own_private_bytes, set_program_name, system_name,
    watch_for_interrupts,
};

/// How a child came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(i32),
    /// Killed by this signal; never happens on Windows.
    #[cfg_attr(windows, allow(dead_code))]
    Signal(i32),
}

/// What one child used, from its start to its end, as the system counted it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub user_seconds: f64,
    pub system_seconds: f64,
    pub peak_bytes: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
}
