//! Tasks whose steps this process does itself, with the calls that a runner makes for them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outrider_api::client::Client;
use outrider_api::data::{AddLayer, FindCache, SaveCache};
use outrider_api::pipelines::SubmitPipeline;
use outrider_api::runner::{
    ClaimRequest, HeartbeatRequest, HeldLease, ReportRequest, RunnerIdentity,
};
use outrider_archive::{
    Base, Bases, Limits, Manifest, Place, RestoreRequest, RestoreStats, SaveRequest, restore, save,
};
use outrider_model::blob::Archive;
use outrider_model::report::{Finished, LogHash, Report};
use outrider_model::{BlobHash, Outcome, Random, RunnerId};
use outrider_runner::data::blobs::TaskBlobs;
use outrider_service::{Clock, OsRandom, SystemClock, Tasks};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bench::child::{Server, connect};
use crate::failure::{Failure, code};

/// The folder that is saved, below the one that it is saved from.
pub const TREE: &str = "tree";

/// How often leases are renewed.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Claims tasks.
pub struct Agent<'a> {
    server: &'a Server,
    token: String,
    id: RunnerId,
    random: Arc<dyn Random>,
    tasks: Tasks,
}

/// A task that has started.
pub struct Job {
    client: Client,
    by: HeldLease,
    blobs: Arc<TaskBlobs>,
    heart: JoinHandle<()>,
}

impl<'a> Agent<'a> {
    /// An agent of a server.
    pub async fn new(server: &'a Server) -> Result<Self, Failure> {
        let random: Arc<dyn Random> = Arc::new(OsRandom::new());
        Ok(Self {
            server,
            token: server.class_token().await?,
            id: RunnerId::new(SystemClock.now(), random.as_ref()),
            random,
            tasks: Tasks::new(),
        })
    }

    /// Submits a pipeline.
    pub async fn submit(&self, project: &str, config: &str) -> Result<(), Failure> {
        let request = SubmitPipeline {
            config: config.to_owned(),
            project: project.to_owned(),
            ..SubmitPipeline::default()
        };
        self.server.client.submit_pipeline(&request, None).await?;
        Ok(())
    }

    /// Claims so many tasks and starts them.
    pub async fn start(&self, count: usize) -> Result<Vec<Job>, Failure> {
        let client = connect(&self.server.url, &self.token)?;
        let mut jobs = Vec::new();
        for _ in 0..100 {
            let left = (count - jobs.len()) as u32;
            for task in client.claim(&self.claim(left)).await?.tasks {
                let by = HeldLease {
                    task: task.task,
                    lease: task.lease,
                };
                jobs.push(self.job(by).await?);
            }
            if jobs.len() == count {
                return Ok(jobs);
            }
        }
        Err(Failure::new(code::FAILED, "the tasks were not handed out"))
    }

    fn claim(&self, slots: u32) -> ClaimRequest {
        ClaimRequest {
            runner: RunnerIdentity {
                id: self.id,
                name: "bench".to_owned(),
                hostname: "bench".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                slots,
            },
            slots,
            wait_ms: 1_000,
        }
    }

    /// A task with connections of its own, as on a runner of its own.
    async fn job(&self, by: HeldLease) -> Result<Job, Failure> {
        let client = connect(&self.server.url, &self.token)?;
        let api = Arc::new(client.clone());
        let beat = HeartbeatRequest {
            runner: self.id,
            leases: vec![by],
            wait_ms: 0,
        };
        let job = Job {
            blobs: Arc::new(TaskBlobs::new(api, by, Arc::clone(&self.random))),
            heart: self.tasks.spawn(renew(client.clone(), beat)),
            client,
            by,
        };
        job.report(|report| report.started = true).await?;
        Ok(job)
    }
}

async fn renew(client: Client, beat: HeartbeatRequest) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        // A lease that is lost is told by the calls that need it.
        let _ = client.heartbeat(&beat).await;
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

impl Job {
    /// The tree below a folder becomes a cache, as `save_cache` does it.
    pub async fn save_cache(&self, folder: &Path, key: &str, state: &Path) -> Result<(), Failure> {
        let question = FindCache {
            keys: vec![key.to_owned()],
            exact: true,
        };
        self.client.find_cache(self.by, &question).await?;
        let cache = SaveCache {
            key: key.to_owned(),
            archive: self.save(folder, state).await?,
        };
        self.client.save_cache(self.by, &cache).await?;
        Ok(())
    }

    /// The tree of a cache comes below a folder, as `restore_cache` does it.
    pub async fn restore_cache(
        &self,
        folder: &Path,
        key: &str,
        state: &Path,
    ) -> Result<RestoreStats, Failure> {
        let question = FindCache {
            keys: vec![key.to_owned()],
            exact: false,
        };
        let found = self.client.find_cache(self.by, &question).await?.cache;
        let found = found.ok_or_else(|| Failure::new(code::FAILED, "the cache is not there"))?;
        self.restore(found.manifest, folder, state).await
    }

    /// The tree below a folder is added to the workspace, as `persist_to_workspace` does it.
    pub async fn persist(&self, folder: &Path, state: &Path) -> Result<(), Failure> {
        let layer = AddLayer {
            step: 0,
            archive: self.save(folder, state).await?,
        };
        Ok(self.client.add_layer(self.by, &layer).await?)
    }

    /// The tree of the workspace comes below a folder, as `attach_workspace` does it.
    pub async fn attach(&self, folder: &Path, state: &Path) -> Result<RestoreStats, Failure> {
        let layers = self.client.workspace(self.by).await?.layers;
        let [layer] = &layers[..] else {
            return Err(Failure::new(code::FAILED, "the workspace is not there"));
        };
        self.restore(layer.manifest, folder, state).await
    }

    /// The task has passed.
    pub async fn pass(self) -> Result<(), Failure> {
        let finished = Finished {
            outcome: Outcome::Passed,
            reason: None,
            log_length: 0,
            log_hash: LogHash(*blake3::hash(b"").as_bytes()),
        };
        self.report(|report| report.finished = Some(finished)).await
    }

    async fn report(&self, say: impl FnOnce(&mut Report)) -> Result<(), Failure> {
        let mut report = Report::empty(self.by.task, self.by.lease);
        say(&mut report);
        let request = ReportRequest {
            reports: vec![report],
        };
        self.client.report(&request).await?;
        Ok(())
    }

    async fn save(&self, folder: &Path, state: &Path) -> Result<Archive, Failure> {
        let failed = |error| Failure::internal("save files", anyhow::Error::from(error));
        let request = SaveRequest {
            places: vec![Place::new(Base::Work, TREE).map_err(failed)?],
            bases: Bases::new().with(Base::Work, folder),
            state: Some(state.to_owned()),
            cancel: CancellationToken::new(),
            progress: None,
        };
        let saved = save(request, Arc::clone(&self.blobs) as _).await;
        Ok(saved.map_err(failed)?.archive)
    }

    async fn restore(
        &self,
        manifest: BlobHash,
        folder: &Path,
        state: &Path,
    ) -> Result<RestoreStats, Failure> {
        let failed = |error| Failure::internal("restore files", anyhow::Error::from(error));
        let store = Arc::clone(&self.blobs) as Arc<dyn outrider_archive::BlobStore>;
        let cancel = CancellationToken::new();
        let manifest =
            Manifest::fetch(manifest, Arc::clone(&store), Limits::default(), &cancel).await;
        let request = RestoreRequest {
            manifest: manifest.map_err(failed)?,
            bases: Bases::new().with(Base::Work, folder),
            state: Some(state.to_owned()),
            cancel,
            progress: None,
        };
        let restored = restore(request, store).await;
        Ok(restored.map_err(failed)?.stats)
    }
}
