//! The hash of a file's content.
//!
//! Large files are read and written in pieces by several threads, so their hash is made from the
//! hashes of their pieces. It is never compared without the length.

use outrider_model::blob::BlobHash;

/// A file with more data than this consists of pieces of this length.
pub(crate) const PIECE: u64 = 16 * 1024 * 1024;

/// How many pieces this much data has, if it has several.
pub(crate) fn pieces(data: u64) -> Option<u32> {
    // A file of 64 PB has more pieces than can be numbered; no file system has such files.
    (data > PIECE).then(|| u32::try_from(data.div_ceil(PIECE)).unwrap_or(u32::MAX))
}

/// How long a piece is.
pub(crate) fn piece_length(data: u64, piece: u32) -> u64 {
    PIECE.min(data - u64::from(piece) * PIECE)
}

/// The hash of a file that has several pieces.
pub(crate) fn of_pieces(hashes: impl IntoIterator<Item = BlobHash>) -> BlobHash {
    let mut hasher = blake3::Hasher::new();
    for hash in hashes {
        hasher.update(&hash.0);
    }
    finish(&hasher)
}

/// The hash of what was fed to a hasher.
pub(crate) fn finish(hasher: &blake3::Hasher) -> BlobHash {
    BlobHash(*hasher.finalize().as_bytes())
}
