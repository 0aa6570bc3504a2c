//! Where blobs live: the boundary of this crate.

use std::error::Error;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_model::blob::{BlobHash, ChunkPlace};

/// The blobs of a scope, as one task sees them.
///
/// The implementor retries what is worth it. It need not check what it reads: this crate checks
/// every blob and chunk against its hash.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Where each of these chunks lies, if a pack of the scope has it. The packs that it names are
    /// kept until the task ends.
    async fn find_chunks(&self, hashes: &[BlobHash]) -> Result<Vec<Option<ChunkPlace>>, BlobError>;

    /// Stores a blob. To store it again changes nothing.
    async fn put(&self, hash: BlobHash, bytes: Bytes) -> Result<(), BlobError>;

    /// A range of a blob.
    async fn get(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, BlobError>;

    /// All of a blob; at most [`outrider_model::blob::LARGEST_BLOB`] bytes.
    async fn get_whole(&self, hash: BlobHash) -> Result<Bytes, BlobError>;
}

/// What goes wrong with blobs.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The store does not have it, or not for this scope.
    #[error("the blob store has no blob {0}")]
    Missing(BlobHash),
    /// What the store has under this name is something else.
    #[error("blob {0} is damaged")]
    Damaged(BlobHash),
    /// There is no room: the disk or the quota is used up. The text says which.
    #[error("the blob store is full: {0}")]
    Full(String),
    /// The store does not answer, or answers with an error.
    #[error("the blob store cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
}
