//! Where and when a comparison was made; a ratio without that is hard to believe later.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::os::process::{load_average, system_name};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: Option<u64>,
    /// Kernel name, release and processor type.
    pub system: String,
    /// Such as "Debian GNU/Linux 12 (bookworm)".
    pub distribution: Option<String>,
    /// How the kernel picks the CPU's frequency, where it says so.
    pub cpu_governor: Option<String>,
    pub load_average_at_start: Option<f64>,
}

impl Machine {
    pub fn of_this_moment() -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let governor = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok();
        Machine {
            cpu: value_of(&cpuinfo, "model name", ':')
                .or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok())
                .unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(&meminfo),
            system: system_name(),
            distribution: value_of(&os_release, "PRETTY_NAME", '=').map(|name| name.trim_matches('"').to_owned()),
            cpu_governor: governor.map(|name| name.trim().to_owned()),
            load_average_at_start: load_average(),
        }
    }

    /// For people, in one line.
    pub fn summary(&self) -> String {
        let mut parts = vec![self.cpu.clone(), super::units::plural(self.cores, "core")];
        parts.extend(self.memory_bytes.map(|bytes| super::units::bytes(bytes as f64)));
        parts.extend(self.distribution.clone());
        parts.push(self.system.clone());
        parts.join(", ")
    }
}

fn value_of(text: &str, key: &str, separator: char) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kib: u64 = value_of(meminfo, "MemTotal", ':')?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Now, in UTC.
pub(super) fn date() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    date_of(since_epoch)
}

/// Counts whole years and months forward from 1970; fast enough for one date per run.
fn date_of(seconds_since_epoch: u64) -> String {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut days = seconds_since_epoch / 86_400;
    let mut year = 1970;
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let seconds = seconds_since_epoch % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_moments() {
        assert_eq!(date_of(0), "1970-01-01T00:00:00Z");
        assert_eq!(date_of(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(date_of(1_704_067_199), "2023-12-31T23:59:59Z");
        assert_eq!(date_of(1_735_689_600), "2025-01-01T00:00:00Z");
    }

    #[test]
    fn values_from_the_systems_files() {
        assert_eq!(value_of("processor\t: 0\nmodel name\t: A CPU\n", "model name", ':').unwrap(), "A CPU");
        assert_eq!(memory_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2048 * 1024));
        assert_eq!(memory_bytes(""), None);
    }
}
