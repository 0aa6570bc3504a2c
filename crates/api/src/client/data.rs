//! The data of tasks: what runners send and fetch.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use outrider_model::BlobHash;
use reqwest::header::RANGE;
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use super::{CALL_TIMEOUT, Client, ClientError, Result, code_of, plain};
use crate::data::{
    AddLayer, AnnounceBlobs, AnnouncedBlobs, CacheAnswer, FindCache, FindChunks, FoundChunks,
    IndexPacks, LocateBlobs, LocatedBlobs, NamedBlob, ReportDamage, SaveCache, SavedCache,
    StoreArtifacts, StoreTestResults, Transfer, Workspace,
};
use crate::paths::LEASE_HEADER;
use crate::runner::HeldLease;

/// Slower than this is as good as broken, in bytes per second.
const SLOWEST: u64 = 64 * 1024;

/// Who does not answer, where bytes go to the blob store or come from it directly.
pub const BLOB_STORE: &str = "the blob store";

/// How long a call may take by which the server takes over many blobs.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(300);

impl Client {
    /// Says which blobs are about to come, and learns where to send them.
    pub async fn announce_blobs(
        &self,
        by: HeldLease,
        body: &AnnounceBlobs,
    ) -> Result<AnnouncedBlobs> {
        self.call(self.data(Method::POST, by, "blobs/announce").json(body))
            .await
    }

    /// Sends a blob to where the announcement says. After a refusal by the blob store, announcing it
    /// again gives a fresh place.
    pub async fn put_blob(
        &self,
        by: HeldLease,
        blob: NamedBlob,
        to: &Transfer,
        bytes: Bytes,
    ) -> Result<()> {
        let request = self.transfer_request(Method::PUT, by, blob.hash, to);
        let request = request.timeout(transfer_timeout(blob.size)).body(bytes);
        self.transfer(to, request).await.map(drop)
    }

    /// Learns where blobs come from.
    pub async fn locate_blobs(&self, by: HeldLease, body: &LocateBlobs) -> Result<LocatedBlobs> {
        self.call(self.data(Method::POST, by, "blobs/locate").json(body))
            .await
    }

    /// Fetches a blob, or a range of it that is not empty. Nobody has held it against its hash yet.
    pub async fn get_blob(
        &self,
        by: HeldLease,
        blob: BlobHash,
        from: &Transfer,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        let mut request = self.transfer_request(Method::GET, by, blob, from);
        let most = range.as_ref().map(|range| range.end - range.start);
        if let Some(Range { start, end }) = range {
            request = request.header(RANGE, format!("bytes={start}-{}", end.saturating_sub(1)));
        }
        let most = most.unwrap_or(outrider_model::blob::LARGEST_BLOB);
        let request = request.timeout(transfer_timeout(most));
        let response = self.transfer(from, request).await?;
        response.bytes().await.map_err(|error| match from {
            Transfer::Server {} => self.unreachable(error),
            Transfer::Store { .. } => ClientError::Unreachable {
                url: BLOB_STORE.to_owned(),
                source: Box::new(error.without_url()),
            },
        })
    }

    /// Says that a blob's bytes are not what its name says.
    pub async fn report_damage(&self, by: HeldLease, body: &ReportDamage) -> Result<()> {
        self.send(self.data(Method::POST, by, "blobs/damaged").json(body))
            .await
            .map(drop)
    }

    /// Learns which chunks are in the store already.
    pub async fn find_chunks(&self, by: HeldLease, body: &FindChunks) -> Result<FoundChunks> {
        self.call(self.data(Method::POST, by, "chunks/find").json(body))
            .await
    }

    /// Finds a cache.
    pub async fn find_cache(&self, by: HeldLease, body: &FindCache) -> Result<CacheAnswer> {
        self.call(self.data(Method::POST, by, "caches/find").json(body))
            .await
    }

    /// Says what lies in packs that are stored, before a commit that would be too long with it.
    pub async fn index_packs(&self, by: HeldLease, body: &IndexPacks) -> Result<()> {
        self.send(self.commit(by, "chunks/index").json(body))
            .await
            .map(drop)
    }

    /// Saves a cache.
    pub async fn save_cache(&self, by: HeldLease, body: &SaveCache) -> Result<SavedCache> {
        self.call(self.commit(by, "caches").json(body)).await
    }

    /// Adds to the workspace.
    pub async fn add_layer(&self, by: HeldLease, body: &AddLayer) -> Result<()> {
        self.send(self.commit(by, "layers").json(body))
            .await
            .map(drop)
    }

    /// What earlier jobs have added to the workspace.
    pub async fn workspace(&self, by: HeldLease) -> Result<Workspace> {
        self.call(self.data(Method::GET, by, "workspace")).await
    }

    /// Keeps files that people look at.
    pub async fn store_artifacts(&self, by: HeldLease, body: &StoreArtifacts) -> Result<()> {
        self.send(self.commit(by, "artifacts").json(body))
            .await
            .map(drop)
    }

    /// Keeps test results.
    pub async fn store_test_results(&self, by: HeldLease, body: &StoreTestResults) -> Result<()> {
        self.send(self.commit(by, "test-results").json(body))
            .await
            .map(drop)
    }

    /// The test results by which the job splits its tests: JSON lines in zstd frames.
    pub async fn timings(&self, by: HeldLease) -> Result<Option<Bytes>> {
        let request = self.data(Method::GET, by, "timings");
        let response = self.send(request.timeout(COMMIT_TIMEOUT)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let bytes = response.bytes().await;
        bytes.map(Some).map_err(|error| self.unreachable(error))
    }

    fn data(&self, method: Method, by: HeldLease, what: &str) -> RequestBuilder {
        let HeldLease { task, lease } = by;
        self.request(method, &format!("/runner/tasks/{task}/{what}"))
            .header(LEASE_HEADER, lease.to_string())
    }

    fn commit(&self, by: HeldLease, what: &str) -> RequestBuilder {
        self.data(Method::POST, by, what).timeout(COMMIT_TIMEOUT)
    }

    /// To the server, or to the blob store, which must not see our token.
    fn transfer_request(
        &self,
        method: Method,
        by: HeldLease,
        blob: BlobHash,
        with: &Transfer,
    ) -> RequestBuilder {
        match with {
            Transfer::Server {} => self.data(method, by, &format!("blobs/{blob}")),
            Transfer::Store { url, headers } => {
                let request = self.direct.request(method, url);
                let headers = headers.iter();
                headers.fold(request, |request, (name, value)| {
                    request.header(name, value)
                })
            }
        }
    }

    async fn transfer(&self, with: &Transfer, request: RequestBuilder) -> Result<Response> {
        if matches!(with, Transfer::Server {}) {
            return self.send(request).await;
        }
        let sent = request.send().await;
        let response = sent.map_err(|error| ClientError::Unreachable {
            url: BLOB_STORE.to_owned(),
            source: Box::new(error.without_url()),
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(ClientError::Refused {
            status: status.as_u16(),
            detail: Box::new(plain(
                code_of(status),
                format!("the blob store answered HTTP {status}"),
                Some("Check that runners may reach the blob store, and its clock.".to_owned()),
            )),
        })
    }
}

fn transfer_timeout(size: u64) -> Duration {
    CALL_TIMEOUT + Duration::from_secs(size / SLOWEST)
}
