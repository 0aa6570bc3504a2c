//! The part of a log that is in memory.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// So much is kept in memory of one task; what comes beyond it is read back from the disk.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// So many pieces, for steps that write byte by byte.
const MAX_PIECES: usize = 1024;

/// Consecutive bytes of a log, from `start` to `end`.
#[derive(Debug)]
pub struct Queue {
    pieces: VecDeque<Bytes>,
    start: u64,
    end: u64,
}

impl Queue {
    /// Nothing, at the end of a log of this length.
    pub const fn starting_at(length: u64) -> Self {
        Self {
            pieces: VecDeque::new(),
            start: length,
            end: length,
        }
    }

    /// Takes bytes that stand at `offset` if they follow what is there and there is room.
    pub fn push(&mut self, offset: u64, bytes: &Bytes) {
        if self.pieces.is_empty() {
            (self.start, self.end) = (offset, offset);
        }
        let full = self.pieces.len() >= MAX_PIECES || self.end - self.start >= MAX_BYTES;
        if offset == self.end && !full {
            self.end += bytes.len() as u64;
            self.pieces.push_back(bytes.clone());
        }
    }

    /// Up to `max` bytes from `offset` on. Not copied where it is one piece.
    pub fn read(&self, offset: u64, max: usize) -> Option<Bytes> {
        if offset < self.start || offset >= self.end {
            return None;
        }
        let mut skip = usize::try_from(offset - self.start).ok()?;
        let mut found = Vec::new();
        let mut left = max;
        for piece in &self.pieces {
            if skip >= piece.len() {
                skip -= piece.len();
                continue;
            }
            let part = piece.slice(skip..piece.len().min(skip + left));
            skip = 0;
            left -= part.len();
            found.push(part);
            if left == 0 {
                break;
            }
        }
        Some(joined(found))
    }

    /// Bytes below `offset` are not needed any more.
    pub fn release(&mut self, offset: u64) {
        while let Some(first) = self.pieces.front() {
            let end = self.start + first.len() as u64;
            if end > offset {
                break;
            }
            self.start = end;
            self.pieces.pop_front();
        }
    }
}

fn joined(mut parts: Vec<Bytes>) -> Bytes {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    parts.iter().for_each(|part| whole.extend_from_slice(part));
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_a_window_and_never_more_than_it_may() {
        let mut queue = Queue::starting_at(10);
        queue.push(10, &Bytes::from_static(b"abc"));
        queue.push(13, &Bytes::from_static(b"defg"));
        assert_eq!(queue.read(10, 100).unwrap(), "abcdefg");
        assert_eq!(queue.read(12, 3).unwrap(), "cde");
        assert_eq!((queue.read(9, 1), queue.read(17, 1)), (None, None));
        queue.release(14);
        assert_eq!(queue.read(13, 9).unwrap(), "defg");
        let much = Bytes::from(vec![b'x'; 5 << 20]);
        queue.push(17, &much);
        queue.push(17 + much.len() as u64, &Bytes::from_static(b"too much"));
        assert_eq!(queue.read(17 + much.len() as u64, 1), None);
    }
}
