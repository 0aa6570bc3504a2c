//! The blob store as a task sees it: by way of the server, or straight where the store signs URLs.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::ErrorCode;
use outrider_api::client::{BLOB_STORE, ClientError};
use outrider_api::data::{
    AnnounceBlobs, FindChunks, IndexPacks, LocateBlobs, MOST_HASHES, MOST_INDEXED, NamedBlob,
    ReportDamage, Transfer,
};
use outrider_api::runner::HeldLease;
use outrider_archive::{BlobError, BlobStore, Error, Limits, Manifest};
use outrider_model::blob::{Archive, ChunkPlace};
use outrider_model::{BlobHash, Random};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::DataApi;
use crate::backoff::{Backoff, chain};
use crate::driver::Failure;

/// How long a server that does not answer is waited for: as long as a task goes on without one.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);
/// How long a server that answers with errors of its own is tried, and a store that does not answer:
/// perhaps this host may not reach it.
const LONGEST_TROUBLE: Duration = Duration::from_secs(90);
/// Signed URLs are asked for anew before they end.
const LOCATION_LASTS: Duration = Duration::from_secs(300);

/// Blobs of one task's scope.
pub struct TaskBlobs {
    api: Arc<dyn DataApi>,
    by: HeldLease,
    random: Arc<dyn Random>,
    locations: Mutex<HashMap<BlobHash, (Transfer, Instant)>>,
    /// Why the last try of a call failed, while it is tried again.
    trouble: Mutex<Option<String>>,
}

impl TaskBlobs {
    /// For the task that this lease is of.
    pub fn new(api: Arc<dyn DataApi>, by: HeldLease, random: Arc<dyn Random>) -> Self {
        Self {
            api,
            by,
            random,
            locations: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// Makes a call until it succeeds, or is not worth another try.
    pub async fn retried<'a, T, F>(
        &'a self,
        call: impl Fn(&'a dyn DataApi, HeldLease) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let tried = self.tried(call).await;
        tried.map_err(|error| failure(&error))
    }

    async fn tried<'a, T, F>(
        &'a self,
        call: impl Fn(&'a dyn DataApi, HeldLease) -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let began = Instant::now();
        let mut backoff = Backoff::new("move data", Arc::clone(&self.random));
        loop {
            let error = match call(self.api.as_ref(), self.by).await {
                Ok(answer) => {
                    backoff.succeeded();
                    *lock(&self.trouble) = None;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let patience = match error {
                ClientError::Unreachable { ref url, .. } if url != BLOB_STORE => LONGEST_SILENCE,
                _ => LONGEST_TROUBLE,
            };
            let full = error.code() == Some(ErrorCode::StorageFull);
            if full || !error.is_transient() || began.elapsed() > patience {
                return Err(error);
            }
            let problem = chain(&error);
            *lock(&self.trouble) = Some(problem.clone());
            backoff.failed(&problem).await;
        }
    }

    /// Makes an archive fit into one commit: what lies in its new packs is said before, if that is
    /// long.
    pub async fn index(&self, mut archive: Archive) -> Result<Archive, Failure> {
        let chunks = archive.new_packs.iter().map(|index| index.chunks.len());
        if chunks.sum::<usize>() <= MOST_INDEXED {
            return Ok(archive);
        }
        let mut rest = std::mem::take(&mut archive.new_packs)
            .into_iter()
            .peekable();
        while rest.peek().is_some() {
            let (mut packs, mut chunks) = (Vec::new(), 0);
            while let Some(index) =
                rest.next_if(|_| chunks < MOST_INDEXED && packs.len() < MOST_HASHES)
            {
                chunks += index.chunks.len();
                packs.push(index);
            }
            let request = IndexPacks { packs };
            self.retried(|api, by| api.index_packs(by, &request))
                .await?;
        }
        Ok(archive)
    }

    /// Sends a blob, unless the store has it.
    pub async fn send(&self, blob: NamedBlob, bytes: Bytes) -> Result<(), Failure> {
        let sent = self.try_to_send(blob, bytes).await;
        sent.map_err(|error| failure(&error))
    }

    async fn try_to_send(&self, blob: NamedBlob, bytes: Bytes) -> Result<(), ClientError> {
        let question = AnnounceBlobs { blobs: vec![blob] };
        // A signed URL may have ended while the store was away: each try asks for one.
        self.tried(|api, by| {
            let (question, bytes) = (&question, bytes.clone());
            async move {
                let answer = api.announce_blobs(by, question).await?;
                match answer.uploads.into_iter().next().flatten() {
                    Some(transfer) => api.put_blob(by, blob, &transfer, bytes).await,
                    None => Ok(()),
                }
            }
        })
        .await
    }

    /// What an archive holds.
    pub async fn manifest(
        self: &Arc<Self>,
        hash: BlobHash,
        stop: &CancellationToken,
    ) -> Result<Manifest, Failure> {
        let store = Arc::clone(self) as Arc<dyn BlobStore>;
        match Manifest::fetch(hash, store, Limits::default(), stop).await {
            Ok(manifest) => Ok(manifest),
            Err(error) => Err(self.failed(&error).await),
        }
    }

    /// The failure that a transfer ended with. A blob that is damaged or gone is reported, so that
    /// nobody meets it again.
    pub async fn failed(&self, error: &Error) -> Failure {
        if let Error::Store(BlobError::Damaged(hash) | BlobError::Missing(hash)) = error {
            self.report_damage(*hash).await;
        }
        super::transfer::failure(error)
    }

    async fn location(&self, hash: BlobHash) -> Result<Option<Transfer>, ClientError> {
        if let Some((transfer, at)) = lock(&self.locations).get(&hash)
            && at.elapsed() < LOCATION_LASTS
        {
            return Ok(Some(transfer.clone()));
        }
        let question = LocateBlobs { hashes: vec![hash] };
        let answer = self
            .tried(|api, by| api.locate_blobs(by, &question))
            .await?;
        let transfer = answer.downloads.into_iter().next().flatten();
        if let Some(transfer) = &transfer {
            lock(&self.locations).insert(hash, (transfer.clone(), Instant::now()));
        }
        Ok(transfer)
    }

    /// Why a call is being tried again, if one is.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    async fn fetch(&self, hash: BlobHash, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        let mut fetched = self.fetch_once(hash, range.clone()).await;
        // A signed URL has ended: the next one is fresh.
        if let Err(ClientError::Refused { status: 403, .. }) = fetched {
            fetched = self.fetch_once(hash, range).await;
        }
        fetched
            .map_err(|error| match error {
                // The object is not there, or shorter than it was.
                ClientError::Refused {
                    status: 404 | 416, ..
                } => BlobError::Missing(hash),
                error => unreachable(error),
            })?
            .ok_or(BlobError::Missing(hash))
    }

    /// Nothing if the task can read no such blob.
    async fn fetch_once(
        &self,
        hash: BlobHash,
        range: Option<Range<u64>>,
    ) -> Result<Option<Bytes>, ClientError> {
        let Some(transfer) = self.location(hash).await? else {
            return Ok(None);
        };
        let got = self
            .tried(|api, by| api.get_blob(by, hash, &transfer, range.clone()))
            .await;
        if got.is_err() {
            lock(&self.locations).remove(&hash);
        }
        got.map(Some)
    }

    /// The server shall look at a blob whose bytes are wrong.
    async fn report_damage(&self, hash: BlobHash) {
        let report = ReportDamage { hash };
        if let Err(error) = self.api.report_damage(self.by, &report).await {
            tracing::warn!(blob = %hash, "cannot report a damaged blob: {}", chain(&error));
        }
    }
}

#[async_trait]
impl BlobStore for TaskBlobs {
    async fn find_chunks(&self, hashes: &[BlobHash]) -> Result<Vec<Option<ChunkPlace>>, BlobError> {
        let question = FindChunks {
            hashes: hashes.to_vec(),
        };
        let answer = self.tried(|api, by| api.find_chunks(by, &question)).await;
        Ok(answer.map_err(unreachable)?.places)
    }

    async fn put(&self, hash: BlobHash, bytes: Bytes) -> Result<(), BlobError> {
        let blob = NamedBlob {
            hash,
            size: bytes.len() as u64,
        };
        self.try_to_send(blob, bytes).await.map_err(unreachable)
    }

    async fn get(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.fetch(hash, Some(range)).await
    }

    async fn get_whole(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        self.fetch(hash, None).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unreachable(error: ClientError) -> BlobError {
    match &error {
        ClientError::Refused {
            status: 507,
            detail,
        } => BlobError::Full(detail.message.clone()),
        _ => BlobError::Unreachable(Box::new(error)),
    }
}

fn failure(error: &ClientError) -> Failure {
    Failure::Infrastructure(chain(error))
}
