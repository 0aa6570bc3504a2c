//! How much memory bodies may take that are on their way in.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use outrider_api::ErrorCode;
use outrider_blobs::{Blobs, Location};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use crate::ApiError;

/// All bodies together hold at most so much memory.
const MEMORY: u64 = 48 * 1024 * 1024;

/// What a body holds on its way to a folder, whatever its size: a piece that is gathered, and one
/// that is written.
const ON_THE_WAY_TO_A_FOLDER: u64 = 1024 * 1024;

/// How long a body waits for its place.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A body comes with so many bytes a second at least,
const SLOWEST: u64 = 64 * 1024;

/// once this time is over.
const ALLOWANCE: Duration = Duration::from_secs(60);

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
        let permit = self.pages.acquire_many(pages as u32);
        let Ok(permit) = timeout(LONGEST_WAIT, permit).await else {
            return Err(ApiError::new(
                ErrorCode::Unavailable,
                "too many blobs are on their way to the server",
            )
            .advise("Try again."));
        };
        permit.map_err(|error| ApiError::internal("take a blob", &error))
    }
}

/// When a body of this size must have come.
pub fn deadline(size: u64) -> Instant {
    Instant::now() + ALLOWANCE + Duration::from_secs(size.div_ceil(SLOWEST))
}

/// The body, until it is too late: others wait for its place.
pub fn until(
    deadline: Instant,
    body: impl Stream<Item = io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(Box::pin(body), move |mut body| async move {
        let next = timeout_at(deadline, body.try_next());
        let piece = next.await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(piece.map(|piece| (piece, body)))
    })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_in_time_is_cut_off() {
        let body = || stream::iter([Ok(Bytes::from_static(b"x"))]).chain(stream::pending());
        let error = until(Instant::now(), body()).try_collect::<Vec<_>>().await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let whole = until(deadline(1), body().take(1)).try_collect::<Vec<_>>();
        assert_eq!(whole.await.unwrap(), ["x"]);
    }
}
