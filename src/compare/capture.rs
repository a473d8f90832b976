//! What a program printed, without keeping all of it: length, hash, and the first part for showing differences.

use std::hash::{DefaultHasher, Hasher};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use super::programs::COMMON_NAME;

/// Enough to show where two outputs part, and little beside the memory peaks we measure.
const KEPT_BYTES: usize = 64 * 1024;

/// A grandchild may hold the pipe open after the program has ended; wait for its last words only this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// One stream of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Captured {
    pub length_bytes: u64,
    pub hash: u64,
    pub beginning: Vec<u8>,
}

impl Captured {
    pub fn same_as(&self, other: &Captured) -> bool {
        self.length_bytes == other.length_bytes && self.hash == other.hash
    }
}

/// Reads a stream to its end on a thread of its own.
pub(super) struct Reader {
    result: Receiver<Captured>,
}

impl Reader {
    /// `over_limit` is set once more than `limit_bytes` have come; the rest is read and thrown away.
    /// Where `own_name` is given, it counts as the common name wherever a line starts with it and a colon.
    pub fn start(
        mut stream: impl Read + Send + 'static,
        limit_bytes: u64,
        over_limit: Arc<AtomicBool>,
        own_name: Option<Vec<u8>>,
    ) -> Reader {
        let (sender, result) = mpsc::channel();
        thread::spawn(move || {
            let mut digest = Digest::new(own_name);
            let mut buffer = [0; 16 * 1024];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) if digest.seen_bytes + count as u64 > limit_bytes => {
                        over_limit.store(true, Ordering::Relaxed);
                    }
                    Ok(count) => digest.add(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            // The other side is gone when it has lost patience.
            let _ = sender.send(digest.finish());
        });
        Reader { result }
    }

    /// Call when the program has ended; None when something still holds its stream open.
    pub fn finish(self) -> Option<Captured> {
        self.result.recv_timeout(PATIENCE).ok()
    }
}

struct Digest {
    hasher: DefaultHasher,
    captured: Captured,
    seen_bytes: u64,
    own_name: Option<OwnName>,
}

/// Looks for `name:` at the start of lines, across the borders of the buffers read.
struct OwnName {
    name_and_colon: Vec<u8>,
    /// How much of it the current line has matched so far; None further on in the line.
    matched: Option<usize>,
}

impl Digest {
    fn new(own_name: Option<Vec<u8>>) -> Digest {
        let own_name = own_name.map(|mut name| {
            name.push(b':');
            OwnName { name_and_colon: name, matched: Some(0) }
        });
        Digest { hasher: DefaultHasher::new(), captured: Captured::default(), seen_bytes: 0, own_name }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.seen_bytes += bytes.len() as u64;
        let Some(mut own) = self.own_name.take() else {
            return self.take_in(bytes);
        };
        let mut replaced = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match own.matched {
                Some(count) if own.name_and_colon[count] == byte => {
                    own.matched = Some(count + 1);
                    if count + 1 == own.name_and_colon.len() {
                        replaced.extend_from_slice(COMMON_NAME.as_bytes());
                        replaced.push(b':');
                        own.matched = None;
                    }
                }
                Some(count) => {
                    replaced.extend_from_slice(&own.name_and_colon[..count]);
                    replaced.push(byte);
                    own.matched = (byte == b'\n').then_some(0);
                }
                None => {
                    replaced.push(byte);
                    own.matched = (byte == b'\n').then_some(0);
                }
            }
        }
        self.own_name = Some(own);
        self.take_in(&replaced);
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
        self.captured.length_bytes += bytes.len() as u64;
        let room = KEPT_BYTES - self.captured.beginning.len();
        self.captured.beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish(mut self) -> Captured {
        if let Some(OwnName { name_and_colon, matched: Some(count) }) = self.own_name.take() {
            self.take_in(&name_and_colon[..count]);
        }
        self.captured.hash = self.hasher.finish();
        self.captured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(bytes: &[u8], limit_bytes: u64, own_name: Option<&str>) -> (Captured, bool) {
        let over = Arc::new(AtomicBool::new(false));
        let stream = std::io::Cursor::new(bytes.to_vec());
        let reader = Reader::start(stream, limit_bytes, over.clone(), own_name.map(|name| name.as_bytes().to_vec()));
        (reader.finish().unwrap(), over.load(Ordering::Relaxed))
    }

    #[test]
    fn long_output_is_hashed_whole_and_kept_in_part() {
        let mut bytes = vec![b'x'; 1_000_000];
        let (one, over) = capture(&bytes, 2_000_000, None);
        assert!(!over);
        assert_eq!((one.length_bytes, one.beginning.len()), (1_000_000, KEPT_BYTES));
        bytes[999_999] = b'y';
        assert!(!one.same_as(&capture(&bytes, 2_000_000, None).0), "a difference in the last byte is seen");
    }

    #[test]
    fn buffers_of_any_size_give_the_same_hash() {
        let bytes: Vec<u8> = (0..10_000).map(|i| if i % 7 == 0 { b'\n' } else { b'l' }).collect();
        for own_name in [None, Some(b"lll".to_vec())] {
            let mut whole = Digest::new(own_name.clone());
            whole.add(&bytes);
            let mut parts = Digest::new(own_name);
            bytes.chunks(3).for_each(|part| parts.add(part));
            assert!(whole.finish().same_as(&parts.finish()));
        }
    }

    #[test]
    fn more_than_the_limit_is_noticed_and_not_kept() {
        let (captured, over) = capture(&vec![b'x'; 100_000], 50_000, None);
        assert!(over);
        assert!(captured.length_bytes <= 50_000);
    }

    #[test]
    fn own_name_at_line_starts_becomes_the_common_one() {
        let text = b"/opt/lua54: bad\nsee /opt/lua54: not here\n/opt/lua54 nor here\n/opt/lua";
        let (captured, _) = capture(text, 1000, Some("/opt/lua54"));
        let expected = "lua: bad\nsee /opt/lua54: not here\n/opt/lua54 nor here\n/opt/lua";
        assert_eq!(String::from_utf8(captured.beginning).unwrap(), expected);
    }
}
