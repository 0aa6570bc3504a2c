//! The data of jobs: one room for each thing that is kept.

mod artifacts;
mod blobs;
mod caches;
mod caller;
mod chunks;
mod garbage;
mod layers;
mod results;
mod upstream;
mod uses;

pub(super) use self::uses::Owner;

use std::time::Duration;

use async_trait::async_trait;
use outrider_model::blob::{ChunkPlace, PackIndex};
use outrider_model::{BlobHash, JobId, TaskId, Timestamp};

use self::caller::Fence;
use super::SqliteStore;
use super::store::NO_TIME;
use crate::{
    Announced, ArtifactContent, ArtifactRecord, BlobObject, BlobRecord, CacheRecord, DataStore,
    DataUsage, Evicted, HeldLease, LayerRecord, NewArtifact, NewBlob, NewCache, NewLayer,
    NewTestResults, Result, Swept, TestResultsRecord,
};

#[async_trait]
impl DataStore for SqliteStore {
    async fn announce_blobs(
        &self,
        by: HeldLease,
        blobs: Vec<NewBlob>,
        now: Timestamp,
    ) -> Result<Vec<Announced>> {
        let by = Fence::from(by);
        self.writer
            .write("announce", now, move |tx| tx.announce(&by, &blobs))
            .await
    }

    async fn announced_blobs(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<Announced>>> {
        let by = Fence::from(by);
        self.readers
            .brief("look up announced blobs", move |db| {
                blobs::announced(db, &by, &hashes)
            })
            .await
    }

    async fn blobs_stored(&self, by: HeldLease, rows: Vec<u64>, now: Timestamp) -> Result<()> {
        let by = Fence::from(by);
        self.writer
            .write("blobs-stored", now, move |tx| tx.blobs_stored(&by, &rows))
            .await
    }

    async fn locate_blobs(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<BlobRecord>>> {
        let by = Fence::from(by);
        self.readers
            .brief("locate blobs", move |db| blobs::locate(db, &by, &hashes))
            .await
    }

    async fn drop_damaged_blob(&self, row: u64) -> Result<u64> {
        self.writer
            .write("drop-damaged", NO_TIME, move |tx| tx.drop_damaged(row))
            .await
    }

    async fn known_blobs(&self, rows: Vec<u64>) -> Result<Vec<bool>> {
        self.readers
            .long("look up blobs", move |db| blobs::known(db, &rows))
            .await
    }

    async fn find_chunks(
        &self,
        by: HeldLease,
        hashes: Vec<BlobHash>,
    ) -> Result<Vec<Option<ChunkPlace>>> {
        let by = Fence::from(by);
        self.writer
            .write("find-chunks", NO_TIME, move |tx| {
                tx.find_chunks(&by, &hashes)
            })
            .await
    }

    async fn index_packs(&self, by: HeldLease, packs: Vec<PackIndex>) -> Result<()> {
        let by = Fence::from(by);
        self.writer
            .write("index-packs", NO_TIME, move |tx| {
                tx.index_packs(&by, &packs)
            })
            .await
    }

    async fn save_cache(&self, by: HeldLease, cache: NewCache, now: Timestamp) -> Result<bool> {
        let by = Fence::from(by);
        self.writer
            .write("save-cache", now, move |tx| tx.save_cache(&by, &cache))
            .await
    }

    async fn find_cache(
        &self,
        by: HeldLease,
        keys: Vec<String>,
        exact: bool,
        now: Timestamp,
    ) -> Result<Option<CacheRecord>> {
        let by = Fence::from(by);
        self.writer
            .write("find-cache", now, move |tx| {
                tx.find_cache(&by, &keys, exact)
            })
            .await
    }

    async fn evict_caches(&self, project: Option<u64>, bytes: u64, limit: u32) -> Result<Evicted> {
        self.writer
            .write("evict-caches", NO_TIME, move |tx| {
                tx.evict_caches(project, bytes, limit)
            })
            .await
    }

    async fn add_layer(&self, by: HeldLease, layer: NewLayer, now: Timestamp) -> Result<()> {
        let by = Fence::from(by);
        self.writer
            .write("add-layer", now, move |tx| tx.add_layer(&by, &layer))
            .await
    }

    async fn workspace(&self, by: HeldLease) -> Result<Vec<LayerRecord>> {
        let by = Fence::from(by);
        self.writer
            .write("workspace", NO_TIME, move |tx| tx.workspace(&by))
            .await
    }

    async fn store_artifacts(
        &self,
        by: HeldLease,
        artifacts: Vec<NewArtifact>,
        retention: Duration,
        now: Timestamp,
    ) -> Result<()> {
        let by = Fence::from(by);
        self.writer
            .write("store-artifacts", now, move |tx| {
                tx.store_artifacts(&by, &artifacts, retention)
            })
            .await
    }

    async fn artifacts(&self, job: JobId) -> Result<Vec<ArtifactRecord>> {
        self.readers
            .long("list artifacts", move |db| artifacts::of_job(db, job))
            .await
    }

    async fn artifact(&self, task: TaskId, path: String) -> Result<ArtifactContent> {
        self.readers
            .brief("find an artifact", move |db| {
                artifacts::content(db, task, &path)
            })
            .await
    }

    async fn store_test_results(
        &self,
        by: HeldLease,
        results: NewTestResults,
        now: Timestamp,
    ) -> Result<()> {
        let by = Fence::from(by);
        self.writer
            .write("store-test-results", now, move |tx| {
                tx.store_test_results(&by, &results)
            })
            .await
    }

    async fn test_results(&self, job: JobId) -> Result<Vec<TestResultsRecord>> {
        self.readers
            .long("read test results", move |db| results::of_job(db, job))
            .await
    }

    async fn timings(&self, by: HeldLease) -> Result<Vec<TestResultsRecord>> {
        let by = Fence::from(by);
        self.writer
            .write("timings", NO_TIME, move |tx| tx.timings(&by))
            .await
    }

    async fn expire_data(&self, now: Timestamp, limit: u32) -> Result<Swept> {
        self.writer
            .write("expire-data", now, move |tx| tx.expire_data(limit))
            .await
    }

    async fn garbage(&self, after: u64, limit: u32) -> Result<Vec<BlobObject>> {
        self.readers
            .long("list garbage", move |db| garbage::list(db, after, limit))
            .await
    }

    async fn garbage_gone(&self, rows: Vec<u64>) -> Result<()> {
        self.writer
            .write("garbage-gone", NO_TIME, move |tx| tx.garbage_gone(&rows))
            .await
    }

    async fn data_usage(&self) -> Result<DataUsage> {
        self.readers.long("add up the data", garbage::usage).await
    }
}
