//! Numbers as people read them.

/// Three to four significant digits, with the unit that fits.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0} s"),
        v if v >= 10.0 => format!("{v:.1} s"),
        v if v >= 1.0 => format!("{v:.2} s"),
        v if v >= 0.1 => format!("{:.0} ms", v * 1e3),
        v if v >= 0.01 => format!("{:.1} ms", v * 1e3),
        v if v >= 0.001 => format!("{:.2} ms", v * 1e3),
        v => format!("{:.0} µs", v * 1e6),
    }
}

pub(super) fn bytes(value: f64) -> String {
    const KIB: f64 = 1024.0;
    match value {
        v if v >= 10.0 * KIB * KIB * KIB => format!("{:.1} GiB", v / (KIB * KIB * KIB)),
        v if v >= KIB * KIB * KIB => format!("{:.2} GiB", v / (KIB * KIB * KIB)),
        v if v >= 100.0 * KIB * KIB => format!("{:.0} MiB", v / (KIB * KIB)),
        v if v >= 10.0 * KIB * KIB => format!("{:.1} MiB", v / (KIB * KIB)),
        v if v >= KIB * KIB => format!("{:.2} MiB", v / (KIB * KIB)),
        v if v >= KIB => format!("{:.0} KiB", v / KIB),
        v => format!("{v:.0} bytes"),
    }
}

/// 12345 as 12,345.
pub(super) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// 12,345,678 as 12.3 M.
pub(super) fn large_count(value: f64) -> String {
    match value {
        v if v >= 1e12 => format!("{:.2} T", v / 1e12),
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.1} M", v / 1e6),
        v => count(v),
    }
}

pub(super) fn ratio(value: f64) -> String {
    if value >= 9.995 { format!("{value:.1}") } else { format!("{value:.3}") }
}

/// A part of one as percent: 0.0123 as 1.2 %.
pub(super) fn percent(part: f64) -> String {
    let value = part * 100.0;
    if value.abs() >= 9.95 { format!("{value:.0} %") } else { format!("{value:.1} %") }
}

/// 1 run, 2 runs.
pub(super) fn plural(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_gets_the_unit_that_fits() {
        assert_eq!(seconds(123.4), "123 s");
        assert_eq!(seconds(1.2345), "1.23 s");
        assert_eq!(seconds(0.5), "500 ms");
        assert_eq!(seconds(0.0123), "12.3 ms");
        assert_eq!(seconds(0.00005), "50 µs");
        assert_eq!(bytes(512.0), "512 bytes");
        assert_eq!(bytes(3.5 * 1024.0 * 1024.0), "3.50 MiB");
        assert_eq!(bytes(20.0 * 1024.0 * 1024.0 * 1024.0), "20.0 GiB");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(1000.0), "1,000");
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(large_count(326_400_000.0), "326.4 M");
    }

    #[test]
    fn one_thing_and_two_things() {
        assert_eq!(plural(1, "run"), "1 run");
        assert_eq!(plural(2, "run"), "2 runs");
    }
}
