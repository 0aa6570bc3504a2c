//! Blobs and archives: the bytes that jobs hand to later jobs.
//!
//! A blob is immutable and named by its hash. An archive is a set of files: its manifest, itself a
//! blob, lists the files and the chunks that their contents were cut into; chunks lie side by side
//! in packs, which are blobs too.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// No blob is larger, in bytes: what is sent again after a broken connection is at most this.
pub const LARGEST_BLOB: u64 = 16 * 1024 * 1024;

/// BLAKE3 of a blob's bytes, or of a chunk's: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

/// This is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hexadecimal digits")]
pub struct InvalidBlobHash;

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BlobHash {
    type Err = InvalidBlobHash;

    fn from_str(text: &str) -> Result<Self, InvalidBlobHash> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(InvalidBlobHash),
        };
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| InvalidBlobHash)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for BlobHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChunkPlace {
    /// In this blob.
    pub pack: BlobHash,
    /// From this byte on.
    pub offset: u32,
    /// So many bytes: a zstd frame.
    pub stored: u32,
    /// How many bytes they become.
    pub length: u32,
}

/// A chunk in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PackedChunk {
    /// BLAKE3 of what it becomes.
    pub hash: BlobHash,
    /// Where its frame starts in the pack.
    pub offset: u32,
    /// How long its frame is.
    pub stored: u32,
    /// How many bytes it becomes.
    pub length: u32,
}

/// What lies in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PackIndex {
    /// The pack.
    pub pack: BlobHash,
    /// Its chunks.
    pub chunks: Vec<PackedChunk>,
}

/// An archive whose blobs are all in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Archive {
    /// The blob that lists its files and chunks.
    pub manifest: BlobHash,
    /// All packs that it needs, old and new, each once.
    pub packs: Vec<BlobHash>,
    /// What lies in the new ones among them.
    pub new_packs: Vec<PackIndex>,
    /// How many files, links and directories it has.
    pub entries: u64,
    /// How many bytes its files have.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = BlobHash(std::array::from_fn(|index| index as u8 * 7));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("00".parse::<BlobHash>(), Err(InvalidBlobHash));
        let upper = hash.to_string().to_uppercase();
        assert_eq!(upper.parse::<BlobHash>(), Err(InvalidBlobHash));
        let foreign = "ä".repeat(32);
        assert_eq!(foreign.parse::<BlobHash>(), Err(InvalidBlobHash));
    }
}
