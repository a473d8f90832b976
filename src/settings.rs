//! What users write about a pool: sizes and purge modes, in options, in LUA_POOL_* variables and in Lua.

use crate::pool::PurgeMode;

/// Events of the slow path between two checks of the pool, for every 64 KiB in use, where checks are asked for.
pub const CHECK_INTERVAL: u32 = 4;

/// Smallest limit that makes sense: the pool's own first 64 KiB.
pub const LIMIT_BYTES_MIN: usize = 64 * 1024;

/// What a size should look like, for messages.
pub const SIZE_FORM: &str = "a number of bytes like 65536, 64K, 16M or 2G, at least 64K";

/// What a purge mode should look like, for messages.
pub const PURGE_FORM: &str = "auto, never or now";

/// A size in bytes: digits, and K, M or G for powers of 1024. `None` for anything else, for less than
/// [`LIMIT_BYTES_MIN`], and for more than there can be.
pub fn parse_bytes(text: &str) -> Option<usize> {
    parse_bytes_from(text, LIMIT_BYTES_MIN)
}

/// As [`parse_bytes`], of at least `least` bytes.
pub fn parse_bytes_from(text: &str, least: usize) -> Option<usize> {
    let (digits, factor) = match text.chars().last()?.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 1 << 10),
        'M' => (&text[..text.len() - 1], 1 << 20),
        'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1usize),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<usize>().ok()?.checked_mul(factor).filter(|&bytes| bytes >= least)
}

/// When free memory goes back.
pub fn parse_purge_mode(text: &str) -> Option<PurgeMode> {
    match text {
        "auto" => Some(PurgeMode::Auto),
        "never" => Some(PurgeMode::Never),
        "now" => Some(PurgeMode::Now),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_digits_with_a_unit() {
        assert_eq!(parse_bytes("65536"), Some(65536));
        assert_eq!(parse_bytes("64K"), Some(65536));
        assert_eq!(parse_bytes("16m"), Some(16 << 20));
        assert_eq!(parse_bytes("2G"), Some(2 << 30));
    }

    #[test]
    fn rubbish_sizes_are_refused() {
        for text in [
            "",
            "K",
            "64X",
            "-1",
            "+64K",
            "64KB",
            "1.5M",
            " 64K",
            "99999999999999999999",
            "99999999999999G",
            "0",
            "63K",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
