//! A blob store in memory, as the server would be: it counts, and fails when told to.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_archive::{BlobError, BlobStore};
use outrider_model::blob::{Archive, BlobHash, ChunkPlace};

/// What a store has, and what was asked of it.
#[derive(Default)]
pub struct MemoryStore {
    pub inner: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    pub blobs: HashMap<BlobHash, Bytes>,
    pub chunks: HashMap<BlobHash, ChunkPlace>,
    /// Bytes that were read and written.
    pub read: u64,
    pub written: u64,
    pub calls: u64,
    /// This call and all later ones fail.
    pub fail_from: Option<u64>,
}

impl MemoryStore {
    /// What the server does once an archive is complete.
    pub fn commit(&self, archive: &Archive) {
        let mut inner = self.inner.lock().unwrap();
        for pack in &archive.packs {
            assert!(inner.blobs.contains_key(pack));
        }
        for index in &archive.new_packs {
            for chunk in &index.chunks {
                let place = ChunkPlace {
                    pack: index.pack,
                    offset: chunk.offset,
                    stored: chunk.stored,
                    length: chunk.length,
                };
                inner.chunks.insert(chunk.hash, place);
            }
        }
    }

    fn call(&self) -> Result<std::sync::MutexGuard<'_, Inner>, BlobError> {
        let mut inner = self.inner.lock().unwrap();
        inner.calls += 1;
        if inner.fail_from.is_some_and(|from| inner.calls >= from) {
            return Err(BlobError::Unreachable("told to".into()));
        }
        Ok(inner)
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn find_chunks(&self, hashes: &[BlobHash]) -> Result<Vec<Option<ChunkPlace>>, BlobError> {
        let inner = self.call()?;
        Ok(hashes
            .iter()
            .map(|hash| inner.chunks.get(hash).copied())
            .collect())
    }

    async fn put(&self, hash: BlobHash, bytes: Bytes) -> Result<(), BlobError> {
        let mut inner = self.call()?;
        assert_eq!(hash.0, *blake3::hash(&bytes).as_bytes());
        assert!(bytes.len() as u64 <= outrider_model::blob::LARGEST_BLOB);
        inner.written += bytes.len() as u64;
        inner.blobs.insert(hash, bytes);
        Ok(())
    }

    async fn get(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, BlobError> {
        let mut inner = self.call()?;
        let blob = inner.blobs.get(&hash).ok_or(BlobError::Missing(hash))?;
        let end = range.end.min(blob.len() as u64) as usize;
        let bytes = blob.slice((range.start as usize).min(end)..end);
        inner.read += bytes.len() as u64;
        Ok(bytes)
    }

    async fn get_whole(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        let inner = self.call()?;
        let blob = inner.blobs.get(&hash).ok_or(BlobError::Missing(hash))?;
        Ok(blob.clone())
    }
}
