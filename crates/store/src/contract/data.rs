//! Words for the stories about data.

use std::time::Duration;

use outrider_model::blob::{PackIndex, PackedChunk};
use outrider_model::plan::JobPlan;
use outrider_model::{BlobHash, PipelineId};

use super::world::{World, held, pipeline};
use crate::{
    Announced, ArchiveRecord, BlobRecord, CacheRecord, NewBlob, NewCache, NewLayer, NewTestResults,
    RawClaimedTask, Result, TestCounts, TestResultsRecord,
};

/// How long things are kept here.
pub const KEPT: Duration = Duration::from_secs(15 * 24 * 3_600);

/// The name of a blob or chunk.
pub fn hash(name: &str) -> BlobHash {
    BlobHash(blake3::hash(name.as_bytes()).into())
}

/// A blob of 100 bytes.
pub fn blob(name: &str) -> NewBlob {
    NewBlob {
        hash: hash(name),
        size: 100,
    }
}

/// An archive of these blobs: the first is the manifest.
pub fn archive(names: &[&str]) -> ArchiveRecord {
    ArchiveRecord {
        manifest: hash(names[0]),
        packs: names[1..].iter().map(|name| hash(name)).collect(),
        entries: 3,
        size: 300,
    }
}

/// Where pipelines come from.
#[derive(Clone, Copy)]
pub struct From<'a> {
    pub project: &'a str,
    pub untrusted: bool,
    pub branch: &'a str,
}

pub const TRUSTED: From<'_> = From {
    project: "acme/shop",
    untrusted: false,
    branch: "main",
};

pub const UNTRUSTED: From<'_> = From {
    untrusted: true,
    ..TRUSTED
};

pub const OTHER: From<'_> = From {
    project: "acme/other",
    ..TRUSTED
};

impl World {
    pub async fn submit_from(&self, from: From<'_>, jobs: Vec<JobPlan>) -> PipelineId {
        let mut new = pipeline(jobs);
        new.trigger.project = from.project.to_owned();
        new.trigger.untrusted = from.untrusted;
        new.trigger.branch = Some(from.branch.to_owned());
        let submitted = self.store.submit_pipeline(new, self.now()).await;
        submitted.unwrap().pipeline
    }

    /// A task that has started, of a new pipeline with one job.
    pub async fn running(&self, from: From<'_>) -> RawClaimedTask {
        self.submit_from(from, vec![super::world::job("build")])
            .await;
        self.claim_and_start().await
    }

    pub async fn claim_and_start(&self) -> RawClaimedTask {
        let task = self.claim_one().await;
        self.start(&task).await;
        task
    }

    pub async fn announce(&self, task: &RawClaimedTask, names: &[&str]) -> Vec<Announced> {
        let blobs = names.iter().map(|name| blob(name)).collect();
        let announced = self.store.announce_blobs(held(task), blobs, self.now());
        announced.await.unwrap()
    }

    /// Announces blobs and stores them.
    pub async fn put(&self, task: &RawClaimedTask, names: &[&str]) -> Vec<BlobRecord> {
        let announced = self.announce(task, names).await;
        let rows = announced.iter().map(|one| one.blob.object.row).collect();
        let stored = self.store.blobs_stored(held(task), rows, self.now());
        stored.await.unwrap();
        announced.into_iter().map(|one| one.blob).collect()
    }

    pub async fn locate(&self, task: &RawClaimedTask, name: &str) -> Option<BlobRecord> {
        let located = self.store.locate_blobs(held(task), vec![hash(name)]);
        located.await.unwrap().remove(0)
    }

    pub async fn try_save(&self, task: &RawClaimedTask, key: &str, blobs: &[&str]) -> Result<bool> {
        let cache = NewCache {
            key: key.to_owned(),
            archive: archive(blobs),
            retention: KEPT,
        };
        self.store.save_cache(held(task), cache, self.now()).await
    }

    /// Stores the blobs and saves a cache of them.
    pub async fn save(&self, task: &RawClaimedTask, key: &str, blobs: &[&str]) -> bool {
        self.put(task, blobs).await;
        self.try_save(task, key, blobs).await.unwrap()
    }

    pub async fn cache(&self, task: &RawClaimedTask, keys: &[&str]) -> Option<CacheRecord> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let found = self.store.find_cache(held(task), keys, false, self.now());
        found.await.unwrap()
    }

    /// The key of the cache that fits.
    pub async fn hit(&self, task: &RawClaimedTask, keys: &[&str]) -> Option<String> {
        self.cache(task, keys).await.map(|found| found.key)
    }

    /// Stores the blobs and adds a layer of them.
    pub async fn layer(&self, task: &RawClaimedTask, step: u32, blobs: &[&str]) {
        self.put(task, blobs).await;
        let layer = NewLayer {
            step,
            archive: archive(blobs),
            retention: KEPT,
        };
        let added = self.store.add_layer(held(task), layer, self.now());
        added.await.unwrap();
    }

    /// Stores a blob and keeps it as test results.
    pub async fn results(&self, task: &RawClaimedTask, step: u32, name: &str) {
        self.put(task, &[name]).await;
        let results = NewTestResults {
            step,
            blob: hash(name),
            counts: TestCounts {
                tests: 20,
                failed: 1,
                skipped: 2,
                millis: 1_234,
            },
            retention: KEPT,
        };
        let stored = self
            .store
            .store_test_results(held(task), results, self.now());
        stored.await.unwrap();
    }

    pub async fn timings(&self, task: &RawClaimedTask) -> Vec<TestResultsRecord> {
        self.store.timings(held(task)).await.unwrap()
    }

    /// Sweeps until there is nothing more to do; how many blobs became garbage.
    pub async fn sweep(&self) -> u32 {
        let mut blobs = 0;
        loop {
            let swept = self.store.expire_data(self.now(), 100).await.unwrap();
            blobs += swept.blobs;
            if swept == crate::Swept::default() {
                return blobs;
            }
        }
    }
}

/// One chunk of 300 bytes at the start of a pack.
pub fn index(pack: &str, chunk: &str) -> PackIndex {
    PackIndex {
        pack: hash(pack),
        chunks: vec![PackedChunk {
            hash: hash(chunk),
            offset: 0,
            stored: 100,
            length: 300,
        }],
    }
}
