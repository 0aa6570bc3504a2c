//! The bytes of a manifest.
//!
//! Numbers are little-endian base 128. Paths say how much they share with the one before, times how
//! far they are from the one before: what is left to zstd are mostly hashes.

use super::{Chunk, Entry, File, Kind, Manifest};
use crate::tree::Time;

pub(super) const IS_ROOT: u64 = 4;
pub(super) const IS_SPARSE: u64 = 8;
pub(super) const KIND: u64 = 3;

/// The body of a manifest, not compressed.
pub(crate) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(64 * manifest.entries.len()));
    let counts = [
        manifest.entries.len(),
        manifest.segments.len(),
        manifest.chunks.len(),
        manifest.packs.len(),
    ];
    for count in counts {
        out.number(count as u64);
    }
    out.number(manifest.size);
    for pack in &manifest.packs {
        out.bytes(&pack.0);
    }
    let mut before = None;
    for entry in &manifest.entries {
        out.entry(entry, before);
        before = Some(entry);
    }
    for segment in &manifest.segments {
        out.number(u64::from(segment.chunks.end - segment.chunks.start));
    }
    let mut before = None;
    for chunk in &manifest.chunks {
        out.chunk(chunk, before);
        before = Some(chunk);
    }
    out.0
}

/// Writes the parts of what is encoded.
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Small numbers on both sides of zero are short.
    pub fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn time(&mut self, time: Time, before: Time) {
        self.signed(time.seconds.wrapping_sub(before.seconds));
        self.number(u64::from(time.nanos));
    }

    fn long_bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes(bytes);
    }

    fn entry(&mut self, entry: &Entry, before: Option<&Entry>) {
        let (kind, sparse) = match &entry.kind {
            Kind::File(file) => (0, file.extents.is_some()),
            Kind::Directory => (1, false),
            Kind::Symlink(_) => (2, false),
            Kind::HardLink(_) => (3, false),
        };
        let root = if entry.is_root() { IS_ROOT } else { 0 };
        let sparse = if sparse { IS_SPARSE } else { 0 };
        self.number(kind | root | sparse);
        self.number(entry.base as u64);
        let path_before: &[u8] = before.map_or(&[], |before| &before.path);
        let pairs = entry.path.iter().zip(path_before);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        self.number(shared as u64);
        self.long_bytes(&entry.path[shared..]);
        self.number(u64::from(entry.mode));
        self.time(entry.modified, time_before(before));
        match &entry.kind {
            Kind::File(file) => self.file(file),
            Kind::Directory => {}
            Kind::Symlink(target) => self.long_bytes(target),
            Kind::HardLink(to) => self.number(u64::from(*to)),
        }
    }

    fn file(&mut self, file: &File) {
        self.number(file.size);
        self.bytes(&file.hash.0);
        if let Some(extents) = &file.extents {
            self.number(extents.len() as u64);
            let mut end = 0;
            for extent in extents {
                self.number(extent.start - end);
                self.number(extent.length);
                end = extent.end();
            }
        }
    }

    fn chunk(&mut self, chunk: &Chunk, before: Option<&Chunk>) {
        self.bytes(&chunk.hash.0);
        let expected = before.map_or((0, 0), |before| {
            (before.pack, before.offset.wrapping_add(before.stored))
        });
        self.signed(i64::from(chunk.pack) - i64::from(expected.0));
        self.signed(i64::from(chunk.offset) - i64::from(expected.1));
        self.number(u64::from(chunk.stored));
        self.number(u64::from(chunk.length));
    }
}

pub(super) fn time_before(before: Option<&Entry>) -> Time {
    let none = Time {
        seconds: 0,
        nanos: 0,
    };
    before.map_or(none, |before| before.modified)
}
