//! Whether there is room for more.

use std::sync::atomic::{AtomicBool, Ordering};

use outrider_api::ErrorCode;
use outrider_blobs::DiskSpace;

use crate::{ApiError, Core};

const GIB: u64 = 1024 * 1024 * 1024;

/// What is known of the room on the blob store's disk.
#[derive(Default)]
pub struct Room {
    low: AtomicBool,
}

impl Core {
    /// How many bytes are missing on the blob store's disk until enough are free. New caches are
    /// refused until none are.
    pub(crate) fn missing_space(&self) -> u64 {
        let missing = self.blobs.free_space().map_or(0, |space| {
            let wanted = self.settings.data.min_free_space;
            wanted
                .unwrap_or_else(|| default_free_space(space))
                .saturating_sub(space.free)
        });
        self.room.low.store(missing > 0, Ordering::Relaxed);
        missing
    }

    /// There is room for another cache.
    pub(super) fn check_room(&self) -> Result<(), ApiError> {
        if !self.room.low.load(Ordering::Relaxed) || self.missing_space() == 0 {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::StorageFull,
            "the server has too little disk space for another cache",
        )
        .advise(
            "Make room on the disk of the server's blob store, or lower --min-free-space there.",
        ))
    }
}

fn default_free_space(space: DiskSpace) -> u64 {
    (space.total / 20).max(GIB)
}
