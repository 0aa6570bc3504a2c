//! How much memory bodies may take that are on their way in.

use outrider_blobs::{Blobs, Location};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ApiError;

/// All bodies together hold at most so much memory.
const MEMORY: u64 = 48 * 1024 * 1024;

/// What a body holds on its way to a folder, whatever its size: a piece that is gathered, and one
/// that is written.
const ON_THE_WAY_TO_A_FOLDER: u64 = 1024 * 1024;

/// Memory is counted in pages.
const PAGE: u64 = 4 * 1024;

/// Bodies that come in.
pub struct Uploads {
    pages: Semaphore,
    /// The most that one body holds.
    most: u64,
}

impl Uploads {
    /// To this store. A bucket gets a blob in one piece, so that it is whole before it is sent.
    pub fn new(blobs: &Blobs) -> Self {
        Self {
            pages: Semaphore::new((MEMORY / PAGE) as usize),
            most: match blobs.location() {
                Location::Folder(_) => ON_THE_WAY_TO_A_FOLDER,
                Location::Bucket(_) | Location::Memory => u64::MAX,
            },
        }
    }

    /// Waits until there is room for a body of this size.
    pub async fn admit(&self, size: u64) -> Result<SemaphorePermit<'_>, ApiError> {
        let pages = size.min(self.most).min(MEMORY).div_ceil(PAGE).max(1);
        let permit = self.pages.acquire_many(pages as u32).await;
        permit.map_err(|error| ApiError::internal("take a blob", &error))
    }
}
