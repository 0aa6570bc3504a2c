//! Blobs, from runners and to them.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use outrider_api::ErrorCode;
use outrider_api::data::{NamedBlob, Transfer};
use outrider_blobs::{BlobsError, SignedUrl, Validity};
use outrider_model::BlobHash;
use outrider_model::blob::LARGEST_BLOB;
use outrider_store::{Announced, BlobRecord, HeldLease, NewBlob};

use super::uploads::{deadline, until};
use super::{Download, check_length, name_of};
use crate::metrics::Direction;
use crate::{ApiError, Core};

/// How long a signed URL is good.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// How many objects are asked for at the same time.
const ASKED_AT_ONCE: usize = 16;

impl Core {
    /// A task is about to send blobs: where to, unless they are here.
    pub async fn announce_blobs(
        &self,
        by: HeldLease,
        blobs: &[NamedBlob],
    ) -> Result<Vec<Option<Transfer>>, ApiError> {
        check_length(blobs.len())?;
        if let Some(large) = blobs.iter().find(|blob| blob.size > LARGEST_BLOB) {
            return Err(ApiError::new(
                ErrorCode::TooLarge,
                format!(
                    "a blob has at most {LARGEST_BLOB} bytes, not {}",
                    large.size
                ),
            ));
        }
        let new = blobs.iter().map(|blob| NewBlob {
            hash: blob.hash,
            size: blob.size,
        });
        let now = self.clock.now();
        let announced = self.store.announce_blobs(by, new.collect(), now).await?;
        let mut uploads = Vec::with_capacity(announced.len());
        for one in announced {
            uploads.push(match one.stored {
                true => None,
                false => Some(self.upload(&one.blob).await?),
            });
        }
        Ok(uploads)
    }

    async fn upload(&self, blob: &BlobRecord) -> Result<Transfer, ApiError> {
        let name = name_of(&blob.object);
        let signed = self.blobs.sign_put(&name, blob.size, self.validity());
        Ok(transfer(signed.await?))
    }

    fn validity(&self) -> Validity {
        Validity {
            from: self.clock.now(),
            lasts: SIGNED_FOR,
        }
    }

    /// Takes a blob that was announced.
    pub async fn put_blob(
        &self,
        by: HeldLease,
        hash: BlobHash,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), ApiError> {
        let Announced { blob, .. } = self
            .announced(by, vec![hash])
            .await?
            .into_iter()
            .next()
            .flatten()
            .ok_or_else(|| {
                ApiError::new(
                    ErrorCode::Conflict,
                    format!("the task has not announced the blob {hash}"),
                )
            })?;
        let _room = self.uploads.admit(blob.size).await?;
        let body = until(deadline(blob.size), body);
        self.blobs
            .put(&name_of(&blob.object), blob.size, body)
            .await?;
        self.pass("blob.put");
        self.metrics.count_blob_bytes(Direction::In, blob.size);
        self.stored(by, &[blob]).await
    }

    async fn announced(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<Announced>>, ApiError> {
        Ok(self.store.announced_blobs(by, hashes).await?)
    }

    async fn stored(&self, by: HeldLease, blobs: &[BlobRecord]) -> Result<(), ApiError> {
        let rows = blobs.iter().map(|blob| blob.object.row).collect();
        Ok(self.store.blobs_stored(by, rows, self.clock.now()).await?)
    }

    /// Looks for blobs that went past the server, so that the store knows which are there.
    pub(super) async fn confirm(
        &self,
        by: HeldLease,
        hashes: impl Iterator<Item = BlobHash>,
    ) -> Result<(), ApiError> {
        let known = self.announced(by, hashes.collect()).await?;
        let waiting = known.into_iter().flatten().filter(|one| !one.stored);
        let found: Vec<Option<BlobRecord>> = stream::iter(waiting)
            .map(|one| self.arrived(one.blob))
            .buffer_unordered(ASKED_AT_ONCE)
            .try_collect()
            .await?;
        let found: Vec<BlobRecord> = found.into_iter().flatten().collect();
        match found.is_empty() {
            true => Ok(()),
            false => self.stored(by, &found).await,
        }
    }

    /// Whether all of these are there in full. What is not goes, with all that needs it.
    pub(super) async fn all_there(&self, blobs: &[BlobRecord]) -> Result<bool, ApiError> {
        let arrived: Vec<Option<BlobRecord>> = stream::iter(blobs.to_vec())
            .map(|blob| self.arrived(blob))
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await?;
        for (blob, arrived) in blobs.iter().zip(&arrived) {
            if arrived.is_none() {
                self.drop_damaged(blob).await?;
            }
        }
        Ok(arrived.iter().all(Option::is_some))
    }

    /// The blob, if its object is there in full.
    async fn arrived(&self, blob: BlobRecord) -> Result<Option<BlobRecord>, BlobsError> {
        let size = self.blobs.size(&name_of(&blob.object)).await?;
        Ok((size == Some(blob.size)).then_some(blob))
    }

    /// Where blobs come from that a task may read.
    pub async fn locate_blobs(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<Transfer>>, ApiError> {
        check_length(hashes.len())?;
        let located = self.store.locate_blobs(by, hashes).await?;
        let mut downloads = Vec::with_capacity(located.len());
        for blob in located {
            downloads.push(match blob {
                None => None,
                Some(blob) => {
                    let name = name_of(&blob.object);
                    let signed = self.blobs.sign_get(&name, self.validity());
                    Some(transfer(signed.await?))
                }
            });
        }
        Ok(downloads)
    }

    /// A blob that a task may read.
    pub async fn locate_blob(
        &self,
        by: HeldLease,
        hash: BlobHash,
    ) -> Result<Option<BlobRecord>, ApiError> {
        let mut located = self.store.locate_blobs(by, vec![hash]).await?;
        Ok(located.pop().flatten())
    }

    /// A part of several blobs that stand one after the other.
    pub async fn read_blobs(
        self: &Arc<Self>,
        blobs: Vec<BlobRecord>,
        range: Range<u64>,
    ) -> Result<Download, ApiError> {
        let size = blobs.iter().map(|blob| blob.size).sum();
        let mut parts = parts(&blobs, &range).into_iter();
        let length = range.end - range.start;
        self.pass("blob.get");
        self.metrics.count_blob_bytes(Direction::Out, length);
        // The first is opened at once: an answer that begins is an answer that can be given.
        let first = match parts.next() {
            Some(part) => self.read_part(part).await?.boxed(),
            None => stream::empty().boxed(),
        };
        let core = Arc::clone(self);
        let rest = stream::iter(parts).then(move |part| {
            let core = Arc::clone(&core);
            async move { core.read_part(part).await }
        });
        Ok(Download {
            size,
            length,
            pieces: first.chain(rest.try_flatten()).boxed(),
        })
    }

    async fn read_part(
        &self,
        (blob, range): (BlobRecord, Range<u64>),
    ) -> Result<impl Stream<Item = Result<Bytes, ApiError>> + Send + use<>, ApiError> {
        let pieces = self.blobs.get(&name_of(&blob.object), range).await?;
        Ok(pieces.map_err(ApiError::from))
    }

    /// Somebody says that a blob is not what its name says. The server looks for itself.
    pub async fn report_damage(&self, by: HeldLease, hash: BlobHash) -> Result<(), ApiError> {
        let Some(blob) = self.locate_blob(by, hash).await? else {
            return Ok(());
        };
        match self.is_whole(&blob).await? {
            true => Ok(()),
            false => self.drop_damaged(&blob).await,
        }
    }

    async fn drop_damaged(&self, blob: &BlobRecord) -> Result<(), ApiError> {
        let dropped = self.store.drop_damaged_blob(blob.object.row).await?;
        self.metrics.damaged_blobs.inc();
        let object = name_of(&blob.object);
        tracing::warn!(%object, dropped, "a blob is damaged: it goes, with all that needs it");
        Ok(())
    }

    async fn is_whole(&self, blob: &BlobRecord) -> Result<bool, ApiError> {
        let mut hasher = blake3::Hasher::new();
        let read = async {
            let name = name_of(&blob.object);
            let mut pieces = self.blobs.get(&name, 0..blob.size).await?;
            while let Some(piece) = pieces.try_next().await? {
                hasher.update(&piece);
            }
            Ok(())
        };
        match read.await {
            Ok(()) => Ok(*hasher.finalize().as_bytes() == blob.object.hash.0),
            Err(BlobsError::Missing(_) | BlobsError::OutOfRange(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn transfer(signed: Option<SignedUrl>) -> Transfer {
    match signed {
        None => Transfer::Server {},
        Some(SignedUrl { url, headers, .. }) => Transfer::Store {
            url,
            headers: headers.into_iter().collect::<BTreeMap<_, _>>(),
        },
    }
}

/// Which bytes of which blobs a range is.
fn parts(blobs: &[BlobRecord], range: &Range<u64>) -> Vec<(BlobRecord, Range<u64>)> {
    let mut start = 0;
    let mut parts = Vec::new();
    for blob in blobs {
        let from = range.start.clamp(start, start + blob.size) - start;
        let to = range.end.clamp(start, start + blob.size) - start;
        if from < to {
            parts.push((*blob, from..to));
        }
        start += blob.size;
    }
    parts
}

#[cfg(test)]
mod tests {
    use outrider_store::{BlobObject, Scope};

    use super::*;

    #[test]
    fn a_range_goes_over_the_ends_of_blobs() {
        let blob = |row, size| BlobRecord {
            object: BlobObject {
                scope: Scope {
                    project: 1,
                    untrusted: false,
                },
                row,
                hash: BlobHash([0; 32]),
            },
            size,
        };
        let blobs = [blob(1, 10), blob(2, 0), blob(3, 5), blob(4, 10)];
        let rows = |range| {
            let parts = parts(&blobs, &range).into_iter();
            let rows = parts.map(|(blob, range)| (blob.object.row, range));
            rows.collect::<Vec<_>>()
        };
        assert_eq!(rows(0..25), [(1, 0..10), (3, 0..5), (4, 0..10)]);
        assert_eq!(rows(9..11), [(1, 9..10), (3, 0..1)]);
        assert_eq!(rows(15..16), [(4, 0..1)]);
        assert_eq!(rows(10..10), []);
    }
}
