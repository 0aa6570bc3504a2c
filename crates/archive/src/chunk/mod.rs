//! From the data of files to packs of chunks, and back.

pub(crate) mod content;
pub(crate) mod cut;
pub(crate) mod pack;

use outrider_model::blob::BlobHash;

/// No chunk is smaller, but the last one of a segment.
pub(crate) const MIN_CHUNK: usize = 16 * 1024;

/// How large chunks are on average, where a segment is long enough.
pub(crate) const AVERAGE_CHUNK: usize = 128 * 1024;

/// No chunk is larger.
pub(crate) const MAX_CHUNK: usize = 1024 * 1024;

/// A frame of a chunk can be larger than the chunk, but not by more than this.
pub(crate) const MAX_FRAME: usize = MAX_CHUNK + MAX_CHUNK / 64;

/// A pack is complete once it is so long. Each thread of a save fills one.
pub(crate) const PACK: usize = 4 * 1024 * 1024;

/// The BLAKE3 of these bytes.
pub(crate) fn hash(bytes: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(bytes).as_bytes())
}
