//! The chunks and packs of a save, known to all its threads.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outrider_model::blob::{BlobHash, ChunkPlace, PackIndex, PackedChunk};

use crate::chunk::pack::Frame;
use crate::manifest::Chunk;

/// Numbers chunks and knows where they are.
#[derive(Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// Packs that are not to be used again.
    shunned: HashSet<BlobHash>,
}

#[derive(Default)]
pub(crate) struct Inner {
    numbers: HashMap<BlobHash, u32>,
    chunks: Vec<Known>,
    pub packs: Vec<BlobHash>,
    pack_numbers: HashMap<BlobHash, u32>,
    pub new_packs: Vec<PackIndex>,
}

/// A chunk that was seen.
struct Known {
    hash: BlobHash,
    length: u32,
    place: Option<Stored>,
}

/// Where a chunk is, with the number of the pack.
#[derive(Clone, Copy)]
struct Stored {
    pack: u32,
    offset: u32,
    stored: u32,
}

impl Registry {
    pub fn new(shunned: HashSet<BlobHash>) -> Self {
        Self {
            inner: Mutex::default(),
            shunned,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a chunk, and whether it was not seen before.
    pub fn number(&self, hash: BlobHash, length: usize) -> (u32, bool) {
        let inner = &mut *self.lock();
        let next = inner.chunks.len() as u32;
        let number = *inner.numbers.entry(hash).or_insert(next);
        if number == next {
            inner.chunks.push(Known {
                hash,
                length: length as u32,
                place: None,
            });
        }
        (number, number == next)
    }

    /// A chunk is in the store already: whether that place will do.
    pub fn found(&self, chunk: u32, place: ChunkPlace) -> bool {
        let inner = &mut *self.lock();
        let known = &inner.chunks[chunk as usize];
        if self.shunned.contains(&place.pack) || known.length != place.length {
            return false;
        }
        let pack = inner.pack(place.pack);
        inner.chunks[chunk as usize].place = Some(Stored {
            pack,
            offset: place.offset,
            stored: place.stored,
        });
        true
    }

    /// A new pack is in the store.
    pub fn stored(&self, pack: BlobHash, frames: &[Frame]) {
        let inner = &mut *self.lock();
        let number = inner.pack(pack);
        let mut chunks = Vec::with_capacity(frames.len());
        for frame in frames {
            let known = &mut inner.chunks[frame.chunk as usize];
            known.place = Some(Stored {
                pack: number,
                offset: frame.offset,
                stored: frame.stored,
            });
            chunks.push(PackedChunk {
                hash: known.hash,
                offset: frame.offset,
                stored: frame.stored,
                length: known.length,
            });
        }
        inner.new_packs.push(PackIndex { pack, chunks });
    }

    /// What is known, once all threads are done.
    pub fn into_inner(self) -> Inner {
        self.inner
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn pack(&mut self, pack: BlobHash) -> u32 {
        let next = self.packs.len() as u32;
        let number = *self.pack_numbers.entry(pack).or_insert(next);
        if number == next {
            self.packs.push(pack);
        }
        number
    }

    /// A chunk as manifests have it, with the number of its pack here. All have a place by now.
    pub fn chunk(&self, number: u32) -> Option<Chunk> {
        let known = &self.chunks[number as usize];
        known.place.map(|place| Chunk {
            hash: known.hash,
            pack: place.pack,
            offset: place.offset,
            stored: place.stored,
            length: known.length,
        })
    }
}
