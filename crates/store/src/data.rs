//! What jobs hand to later jobs: blobs, and what keeps them.

mod types;

use std::time::Duration;

use async_trait::async_trait;
use outrider_model::blob::{ChunkPlace, PackIndex};
use outrider_model::{BlobHash, JobId, TaskId, Timestamp};

pub use types::*;

use crate::{HeldLease, Result};

/// How long nothing is written about the use of a cache that was used before.
pub const USE_IS_NEWS_AFTER: Duration = Duration::from_secs(3_600);

/// What a server remembers of the data of jobs. The contract of [`Store`](crate::Store) holds here
/// too.
///
/// A task sees its own scope: its project, in the tier of its pipeline. If that is the untrusted one
/// it may read the trusted tier of its project as well. All calls that name a lease are refused as
/// stale if it is not held.
///
/// A blob is kept while something uses it: a cache, a layer, an artifact, test results, or an
/// attempt that has announced or found it and has not ended.
#[async_trait]
pub trait DataStore: Send + Sync {
    // ---- blobs ----

    /// The attempt is about to send these blobs, and uses them from now on. Answers in their order.
    async fn announce_blobs(
        &self,
        by: HeldLease,
        blobs: Vec<NewBlob>,
        now: Timestamp,
    ) -> Result<Vec<Announced>>;

    /// What the attempt has announced under these names, nothing where it has not.
    async fn announced_blobs(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<Announced>>>;

    /// The objects of these blobs, which the attempt has announced, are whole and synced.
    async fn blobs_stored(&self, by: HeldLease, rows: Vec<u64>, now: Timestamp) -> Result<()>;

    /// Where these blobs lie, nothing for one that is not there or that the task may not read.
    async fn locate_blobs(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<BlobRecord>>>;

    /// This blob is not what its name says: it goes, with its chunks and with the caches, artifacts
    /// and results that need it. How many of these there were. A layer that needs it stays, and
    /// cannot be attached until somebody sends the blob again. A job that was to split its tests by
    /// these results has no timings from now on.
    async fn drop_damaged_blob(&self, row: u64) -> Result<u64>;

    /// Which of these rows of blobs are there, or are garbage that has yet to go.
    async fn known_blobs(&self, rows: Vec<u64>) -> Result<Vec<bool>>;

    // ---- chunks ----

    /// Where these chunks lie in the scope of the task. The attempt uses the packs from now on.
    async fn find_chunks(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<ChunkPlace>>>;

    /// What lies in packs that the attempt has stored. A chunk that is known already stays where it
    /// is.
    async fn index_packs(&self, by: HeldLease, packs: Vec<PackIndex>) -> Result<()>;

    // ---- caches ----

    /// Keeps a cache, unless its scope has one with that key; whether it is kept.
    async fn save_cache(&self, by: HeldLease, cache: NewCache, now: Timestamp) -> Result<bool>;

    /// The newest cache whose key begins with the first of these that any fits; with `exact` only
    /// the whole key counts. The attempt uses its blobs from now on.
    async fn find_cache(
        &self,
        by: HeldLease,
        keys: Vec<String>,
        exact: bool,
        now: Timestamp,
    ) -> Result<Option<CacheRecord>>;

    /// Drops the caches that were used least recently, untrusted ones before trusted ones, until
    /// about so many bytes are free or `limit` have gone. What a running attempt uses stays. Of one
    /// project, or of all.
    async fn evict_caches(&self, project: Option<u64>, bytes: u64, limit: u32) -> Result<Evicted>;

    // ---- workspaces ----

    /// Keeps what a step adds to the workspace, in place of what it added before.
    async fn add_layer(&self, by: HeldLease, layer: NewLayer, now: Timestamp) -> Result<()>;

    /// What the jobs that the task's job came after have added, in the order in which it is laid
    /// over each other. The attempt uses it from now on.
    async fn workspace(&self, by: HeldLease) -> Result<Vec<LayerRecord>>;

    // ---- artifacts ----

    /// Keeps artifacts, each in place of an earlier one of the attempt with its path.
    async fn store_artifacts(
        &self,
        by: HeldLease,
        artifacts: Vec<NewArtifact>,
        retention: Duration,
        now: Timestamp,
    ) -> Result<()>;

    /// The artifacts of a job, of the newest attempt of each task: by task and path.
    async fn artifacts(&self, job: JobId) -> Result<Vec<ArtifactRecord>>;

    /// An artifact of the newest attempt of a task.
    async fn artifact(&self, task: TaskId, path: String) -> Result<ArtifactContent>;

    // ---- test results ----

    /// Keeps the results that a step has read, in place of what it stored before.
    async fn store_test_results(
        &self,
        by: HeldLease,
        results: NewTestResults,
        now: Timestamp,
    ) -> Result<()>;

    /// The results of a job, of the newest attempt of each task: by task and step.
    async fn test_results(&self, job: JobId) -> Result<Vec<TestResultsRecord>>;

    /// The results of the newest earlier job of the same name, one of the same branch before
    /// others. All tasks of a job get those of the same job: the first that asks decides.
    async fn timings(&self, by: HeldLease) -> Result<Vec<TestResultsRecord>>;

    // ---- retention ----

    /// Drops what is past its time, what attempts that have ended used, and blobs that nothing
    /// uses; of each `limit` at most. The timings of a job stay until it has ended.
    async fn expire_data(&self, now: Timestamp, limit: u32) -> Result<Swept>;

    /// Objects that are to be deleted, those of the rows after this one, `limit` at most.
    async fn garbage(&self, after: u64, limit: u32) -> Result<Vec<BlobObject>>;

    /// These objects are gone.
    async fn garbage_gone(&self, rows: Vec<u64>) -> Result<()>;

    /// How much there is.
    async fn data_usage(&self) -> Result<DataUsage>;
}
