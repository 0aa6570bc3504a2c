//! Bytes that come in are held against what they were announced to be.

use std::io;

use outrider_model::blob::{BlobHash, LARGEST_BLOB};

/// What a sender did wrong. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum BadBody {
    /// It is not a blob: it is too large.
    #[error("a blob has at most {LARGEST_BLOB} bytes, not {0}")]
    TooLarge(u64),
    /// Fewer or more bytes than announced.
    #[error("the body has {} than the {announced} bytes that were announced", if *.more { "more" } else { "fewer" })]
    WrongSize {
        /// How many were announced.
        announced: u64,
        /// Whether more came.
        more: bool,
    },
    /// Other bytes than announced.
    #[error("the body's BLAKE3 is {found}, not {announced}")]
    WrongHash {
        /// What was announced.
        announced: BlobHash,
        /// What came.
        found: BlobHash,
    },
    /// It broke off.
    #[error("the body broke off")]
    BrokeOff(#[source] io::Error),
}

/// Looks at all bytes of a body.
pub struct Verifier {
    hash: BlobHash,
    size: u64,
    seen: u64,
    hasher: blake3::Hasher,
}

impl Verifier {
    /// For a body of this size and hash.
    pub fn new(hash: BlobHash, size: u64) -> Result<Self, BadBody> {
        if size > LARGEST_BLOB {
            return Err(BadBody::TooLarge(size));
        }
        Ok(Self {
            hash,
            size,
            seen: 0,
            hasher: blake3::Hasher::new(),
        })
    }

    /// The next bytes. One too many is noticed at once, so that no more is kept than announced.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), BadBody> {
        self.seen += bytes.len() as u64;
        if self.seen > self.size {
            return Err(self.wrong_size());
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// There are no more.
    pub fn finish(&self) -> Result<(), BadBody> {
        if self.seen != self.size {
            return Err(self.wrong_size());
        }
        let found = BlobHash(*self.hasher.finalize().as_bytes());
        if found != self.hash {
            return Err(BadBody::WrongHash {
                announced: self.hash,
                found,
            });
        }
        Ok(())
    }

    const fn wrong_size(&self) -> BadBody {
        BadBody::WrongSize {
            announced: self.size,
            more: self.seen > self.size,
        }
    }
}
