//! Cutting a segment into chunks where its content says so.

use fastcdc::v2020::FastCDC;

use super::{AVERAGE_CHUNK, MAX_CHUNK, MIN_CHUNK};

/// Takes the bytes of a segment and gives its chunks.
pub(crate) struct Cutter {
    bytes: Vec<u8>,
    /// The bytes before this one are cut already.
    start: usize,
}

impl Cutter {
    pub fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(2 * MAX_CHUNK + MAX_CHUNK / 4),
            start: 0,
        }
    }

    /// Takes some more bytes of the segment. `each` gets the chunks that are certain by now.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bytes.extend_from_slice(bytes);
        // Where a chunk ends depends on no more than the longest chunk's bytes.
        while self.bytes.len() - self.start >= MAX_CHUNK {
            each(self.cut())?;
        }
        if self.start >= MAX_CHUNK {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }

    /// Ends the segment: `each` gets the chunks that are left.
    pub fn finish<E>(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while self.start < self.bytes.len() {
            each(self.cut())?;
        }
        self.clear();
        Ok(())
    }

    /// Forgets what is not cut yet.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    fn cut(&mut self) -> &[u8] {
        let rest = &self.bytes[self.start..];
        let mut cutter = FastCDC::new(rest, MIN_CHUNK, AVERAGE_CHUNK, MAX_CHUNK);
        let length = cutter.next().map_or(rest.len(), |chunk| chunk.length);
        self.start += length;
        &self.bytes[self.start - length..self.start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    fn cut(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::new();
        let mut chunks = Vec::new();
        let mut each = |chunk: &[u8]| -> Result<(), ()> {
            chunks.push(chunk.to_owned());
            Ok(())
        };
        for part in bytes.chunks(step) {
            cutter.feed(part, &mut each).unwrap();
        }
        cutter.finish(&mut each).unwrap();
        chunks
    }

    #[test]
    fn chunks_do_not_depend_on_how_bytes_arrive() {
        let bytes = noise(5_000_000, 1);
        let chunks = cut(&bytes, bytes.len());
        assert_eq!(chunks.concat(), bytes);
        assert!(chunks.iter().all(|chunk| chunk.len() <= MAX_CHUNK));
        assert_eq!(cut(&bytes, 65_537), chunks);
        assert_eq!(cut(&bytes, 1_048_577), chunks);
    }

    #[test]
    fn an_insertion_changes_only_chunks_around_it() {
        let bytes = noise(5_000_000, 2);
        let mut longer = bytes.clone();
        longer.splice(2_000_000..2_000_000, *b"inserted");
        let before = cut(&bytes, 65_536);
        let new = cut(&longer, 65_536)
            .into_iter()
            .filter(|chunk| !before.contains(chunk));
        assert!(new.count() <= 3);
    }
}
