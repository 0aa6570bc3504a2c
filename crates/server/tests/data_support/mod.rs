//! Words for the stories about the data of jobs.

use bytes::Bytes;
use outrider_api::ErrorCode;
use outrider_api::client::ClientError;
use outrider_api::data::{AnnounceBlobs, FindCache, LocateBlobs, NamedBlob, SaveCache, Transfer};
use outrider_api::runner::{HeldLease, ReportRequest};
use outrider_model::BlobHash;
use outrider_model::blob::Archive;
use outrider_model::claim::ClaimedTask;
use outrider_model::report::Report;
use outrider_server::Collector;

use crate::common::{CONFIG, World, passed, submission};

pub fn named(bytes: &[u8]) -> NamedBlob {
    NamedBlob {
        hash: BlobHash(*blake3::hash(bytes).as_bytes()),
        size: bytes.len() as u64,
    }
}

pub fn archive(manifest: &[u8], packs: &[&[u8]]) -> Archive {
    Archive {
        manifest: named(manifest).hash,
        packs: packs.iter().map(|pack| named(pack).hash).collect(),
        new_packs: Vec::new(),
        entries: 1,
        size: 7,
    }
}

pub fn code(error: &ClientError) -> ErrorCode {
    error.code().unwrap_or_else(|| panic!("{error:?}"))
}

/// A task that runs, and the calls that it makes.
pub struct Job<'a> {
    pub world: &'a World,
    pub task: ClaimedTask,
    pub by: HeldLease,
}

impl World {
    pub async fn job(&self, project: &str, untrusted: bool) -> Job<'_> {
        self.job_of(CONFIG, project, untrusted).await
    }

    /// The first task of a new pipeline, started.
    pub async fn job_of(&self, config: &str, project: &str, untrusted: bool) -> Job<'_> {
        let mut submission = submission(config);
        submission.project = project.to_owned();
        submission.untrusted = untrusted;
        self.admin.submit_pipeline(&submission, None).await.unwrap();
        self.start_job().await
    }

    pub async fn start_job(&self) -> Job<'_> {
        let task = self.claim_one().await;
        let by = HeldLease {
            task: task.task,
            lease: task.lease,
        };
        let started = Report {
            started: true,
            ..Report::empty(task.task, task.lease)
        };
        let job = Job {
            world: self,
            task,
            by,
        };
        job.report(started).await;
        job
    }

    pub async fn collect(&self) {
        Collector::new(&self.core)
            .collect_once(&self.core)
            .await
            .unwrap();
    }
}

impl Job<'_> {
    async fn report(&self, report: Report) {
        let request = ReportRequest {
            reports: vec![report],
        };
        self.world.runner.report(&request).await.unwrap();
    }

    pub async fn end(&self) {
        self.report(passed(&self.task, b"")).await;
    }

    pub async fn announce(
        &self,
        blobs: &[NamedBlob],
    ) -> Result<Vec<Option<Transfer>>, ClientError> {
        let request = AnnounceBlobs {
            blobs: blobs.to_vec(),
        };
        let announced = self.world.runner.announce_blobs(self.by, &request).await;
        announced.map(|announced| announced.uploads)
    }

    /// Sends these bytes as this blob.
    pub async fn send(&self, blob: NamedBlob, bytes: &[u8]) -> Result<(), ClientError> {
        let bytes = Bytes::copy_from_slice(bytes);
        let server = Transfer::Server {};
        self.world
            .runner
            .put_blob(self.by, blob, &server, bytes)
            .await
    }

    pub async fn put(&self, bytes: &[u8]) {
        let blob = named(bytes);
        if self.announce(&[blob]).await.unwrap()[0].is_some() {
            self.send(blob, bytes).await.unwrap();
        }
    }

    pub async fn get(&self, bytes: &[u8]) -> Result<Bytes, ClientError> {
        let server = Transfer::Server {};
        let hash = named(bytes).hash;
        self.world
            .runner
            .get_blob(self.by, hash, &server, None)
            .await
    }

    pub async fn is_there(&self, bytes: &[u8]) -> bool {
        let request = LocateBlobs {
            hashes: vec![named(bytes).hash],
        };
        let located = self.world.runner.locate_blobs(self.by, &request).await;
        located.unwrap().downloads[0].is_some()
    }

    pub async fn save(&self, key: &str, archive: Archive) -> Result<bool, ClientError> {
        let request = SaveCache {
            key: key.to_owned(),
            archive,
        };
        let saved = self.world.runner.save_cache(self.by, &request).await;
        saved.map(|answer| answer.saved)
    }

    pub async fn find(&self, key: &str) -> Result<Option<String>, ClientError> {
        let request = FindCache {
            keys: vec![key.to_owned()],
            exact: false,
        };
        let found = self.world.runner.find_cache(self.by, &request).await;
        found.map(|answer| answer.cache.map(|cache| cache.key))
    }
}
