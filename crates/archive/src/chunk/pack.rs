//! Packs: frames of chunks, one after the other.

use bytes::Bytes;
use outrider_model::blob::{BlobHash, LARGEST_BLOB};
use zstd::bulk::{Compressor, Decompressor};

use super::{MAX_CHUNK, MAX_FRAME, PACK, hash};
use crate::error::Error;

/// How hard is compressed. Level 3 takes about half as long again and saves 7 percent.
const LEVEL: i32 = 1;

/// A pack being filled.
#[derive(Default)]
pub(crate) struct Pack {
    bytes: Vec<u8>,
    chunks: Vec<Frame>,
}

/// Where the frame of a chunk lies in its pack.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    /// The number of the chunk in this transfer.
    pub chunk: u32,
    pub offset: u32,
    pub stored: u32,
}

const _: () = assert!((PACK + MAX_FRAME) as u64 <= LARGEST_BLOB);

impl Pack {
    /// Adds the frame of a chunk.
    pub fn add(&mut self, chunk: u32, frame: &[u8]) {
        self.chunks.push(Frame {
            chunk,
            // A pack is shorter than the largest blob, which these numbers can count.
            offset: self.bytes.len() as u32,
            stored: frame.len() as u32,
        });
        self.bytes.reserve_exact(if self.bytes.is_empty() {
            PACK + MAX_FRAME
        } else {
            frame.len()
        });
        self.bytes.extend_from_slice(frame);
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PACK
    }

    /// Takes over what is in another one. The other way round if there is no room.
    pub fn absorb(&mut self, other: &Self) -> bool {
        if self.bytes.len() + other.bytes.len() > PACK + MAX_FRAME {
            return false;
        }
        let shift = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&other.bytes);
        self.chunks.extend(other.chunks.iter().map(|frame| Frame {
            offset: frame.offset + shift,
            ..*frame
        }));
        true
    }

    /// The finished pack, its name, and what lies in it; nothing if it is empty.
    pub fn finish(self) -> Option<(BlobHash, Bytes, Vec<Frame>)> {
        if self.chunks.is_empty() {
            return None;
        }
        Some((hash(&self.bytes), self.bytes.into(), self.chunks))
    }
}

/// Makes frames of chunks.
pub(crate) struct Packer {
    zstd: Compressor<'static>,
    frame: Vec<u8>,
}

impl Packer {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            zstd: Compressor::new(LEVEL)?,
            frame: Vec::with_capacity(MAX_FRAME),
        })
    }

    pub fn frame(&mut self, chunk: &[u8]) -> std::io::Result<&[u8]> {
        self.frame.clear();
        self.zstd.compress_to_buffer(chunk, &mut self.frame)?;
        Ok(&self.frame)
    }
}

/// Makes chunks of frames.
pub(crate) struct Unpacker {
    zstd: Decompressor<'static>,
    chunk: Vec<u8>,
}

impl Unpacker {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            zstd: Decompressor::new()?,
            chunk: Vec::with_capacity(MAX_CHUNK),
        })
    }

    /// The chunk of a frame, if it is the wanted one. It never becomes longer than `length`, which
    /// is at most that of the longest chunk.
    pub fn chunk(
        &mut self,
        frame: &[u8],
        wanted: BlobHash,
        length: usize,
        pack: BlobHash,
    ) -> Result<&[u8], Error> {
        self.chunk.clear();
        let done = self.zstd.decompress_to_buffer(frame, &mut self.chunk);
        if done.is_err() || self.chunk.len() != length || hash(&self.chunk) != wanted {
            return Err(Error::damaged(pack));
        }
        Ok(&self.chunk)
    }
}
