//! A server and its runners, and what tests do to them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use outrider_api::pipelines::SubmitPipeline;
use outrider_blobs::{Blobs, Environment, Location, Patience};
use outrider_executor::fake::FakeExecutor;
use outrider_model::{ClassName, PipelineId};
use outrider_runner::data_api::NoData;
use outrider_runner::{Runner, RunnerSettings};
use outrider_server::{
    ApiError, Core, DataSettings, Keyring, NoOrbs, Parts, ServerSettings, Timings,
    end_long_waits_once, expire_leases_once,
};
use outrider_service::{Shutdown, Tasks};
use outrider_store::sqlite::{SqliteOptions, SqliteStore};
use outrider_store::{PipelineDetail, Store, StoreError};

use crate::clock::MovingClock;
use crate::network::{Link, ServerSlot};
use crate::random::Seeded;

/// Everything. One test has one.
pub struct World {
    /// The clock of all processes.
    pub clock: Arc<MovingClock>,
    /// The randomness of all processes.
    pub random: Arc<Seeded>,
    folder: tempfile::TempDir,
    blobs: Blobs,
    server: ServerSlot,
    store: Option<Arc<SqliteStore>>,
    server_shutdown: Shutdown,
    duties: Tasks,
    runners: Vec<RunnerProcess>,
}

/// A runner, and what belongs to its host.
pub struct RunnerProcess {
    /// Its way to the server.
    pub link: Arc<Link>,
    /// Its executor.
    pub executor: Arc<FakeExecutor>,
    spool: PathBuf,
    shutdown: Shutdown,
    tasks: Tasks,
    generation: u32,
}

impl World {
    /// A world with a server and nobody else.
    pub async fn new(seed: u64) -> Self {
        let mut world = Self {
            clock: Arc::default(),
            random: Arc::new(Seeded::new(seed)),
            folder: tempfile::tempdir().expect("a temporary folder"),
            blobs: Blobs::open(&Location::Memory, &Environment::new(), Patience::default())
                .expect("memory"),
            server: ServerSlot::default(),
            store: None,
            server_shutdown: Shutdown::new(),
            duties: Tasks::new(),
            runners: Vec::new(),
        };
        world.start_server();
        world
    }

    // ---- the server ----

    /// Starts the server on what its disk holds.
    pub fn start_server(&mut self) {
        let random: Arc<dyn outrider_model::Random> = Arc::clone(&self.random) as _;
        let data = self.folder.path().join("server");
        let store = SqliteStore::open(&data, SqliteOptions::inline(Arc::clone(&random)));
        let store = Arc::new(store.expect("the store opens"));
        let parts = Parts {
            orbs: Arc::new(NoOrbs),
            store: Arc::clone(&store) as _,
            blobs: self.blobs.clone(),
            clock: Arc::clone(&self.clock) as _,
            keyring: Keyring::generate(random.as_ref()),
            random,
            crash: None,
        };
        self.server_shutdown = Shutdown::new();
        let core = Arc::new(Core::new(
            parts,
            settings(&data),
            self.server_shutdown.clone(),
        ));
        self.store = Some(store);
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&core));
        self.duties = Tasks::new();
        let shutdown = self.server_shutdown.clone();
        self.duties.spawn(async move {
            loop {
                let failed = Duration::from_secs(1);
                let pause = expire_leases_once(&core).await.unwrap_or(failed);
                let pause = pause.min(end_long_waits_once(&core).await.unwrap_or(failed));
                tokio::select! {
                    () = tokio::time::sleep(pause.max(Duration::from_millis(200))) => {}
                    () = shutdown.draining() => return,
                }
            }
        });
    }

    /// Ends the server as `kill -9` does: what it has not committed is gone, and whoever waits for
    /// an answer gets none.
    pub async fn kill_server(&mut self) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.server_shutdown.stop();
        self.duties.ended().await;
        // Calls that are under way still hold the store: they end before it can be opened again.
        let mut store = self.store.take();
        while let Some(held) = store.take() {
            match Arc::try_unwrap(held) {
                Ok(_closed) => return,
                Err(held) => store = Some(held),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The server's memory. It must be up.
    pub fn store(&self) -> &Arc<SqliteStore> {
        self.store.as_ref().expect("the server is up")
    }

    /// What the server does. It must be up.
    pub fn core(&self) -> Arc<Core> {
        let core = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        core.expect("the server is up")
    }

    /// Submits a config whose jobs are all of the class `acme/linux`.
    pub async fn submit(&self, config: &str) -> Result<PipelineId, ApiError> {
        let request = SubmitPipeline {
            config: config.to_owned(),
            project: "acme/shop".to_owned(),
            ..SubmitPipeline::default()
        };
        self.core()
            .submit_pipeline(request, None)
            .await
            .map(|submitted| submitted.id)
    }

    /// How a pipeline stands.
    pub async fn pipeline(&self, id: PipelineId) -> Result<PipelineDetail, StoreError> {
        self.store().pipeline(id).await
    }

    // ---- runners ----

    /// Starts a runner on a host of its own. Gives its number.
    pub fn start_runner(&mut self, slots: usize) -> usize {
        let number = self.runners.len();
        let spool = self.folder.path().join(format!("runner-{number}-0"));
        let process = self.runner_process(number, slots, spool, 0);
        self.runners.push(process);
        number
    }

    /// A runner by its number.
    pub fn runner(&self, number: usize) -> &RunnerProcess {
        &self.runners[number]
    }

    /// How many runners there are.
    pub fn runner_count(&self) -> usize {
        self.runners.len()
    }

    /// Ends a runner as `kill -9` does and starts it again: the new process finds on its disk what
    /// the old one had written there at that moment, and nothing that it does afterwards.
    pub async fn kill_and_restart_runner(&mut self, number: usize, slots: usize) {
        let old = &self.runners[number];
        old.link.set_cut(true);
        let generation = old.generation + 1;
        let spool = self
            .folder
            .path()
            .join(format!("runner-{number}-{generation}"));
        copy_folder(&old.spool, &spool).expect("the spool is copied");
        old.shutdown.stop();
        let process = self.runner_process(number, slots, spool, generation);
        self.runners[number] = process;
    }

    /// Asks a runner to finish what it has and to end.
    pub async fn drain_runner(&self, number: usize) {
        self.runners[number].shutdown.drain();
        self.runners[number].tasks.ended().await;
    }

    /// Ends everything, so that nothing runs when the test has ended.
    pub async fn end(mut self) {
        for runner in &self.runners {
            runner.link.set_cut(true);
            runner.shutdown.stop();
        }
        for runner in std::mem::take(&mut self.runners) {
            runner.tasks.ended().await;
        }
        self.kill_server().await;
    }

    fn runner_process(
        &self,
        number: usize,
        slots: usize,
        spool: PathBuf,
        generation: u32,
    ) -> RunnerProcess {
        let link = Arc::new(Link::new(
            Arc::clone(&self.server),
            class(),
            Arc::clone(&self.random),
        ));
        let executor = Arc::new(FakeExecutor::new());
        let settings = RunnerSettings {
            slots,
            stop_grace: Duration::from_secs(1),
            ..RunnerSettings::new(format!("runner-{number}"), spool.clone())
        };
        let runner = Runner::new(
            settings,
            Arc::clone(&link) as _,
            Arc::new(NoData),
            Arc::clone(&executor) as _,
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.random) as _,
        );
        let (shutdown, tasks) = (Shutdown::new(), Tasks::new());
        let running = runner.run(shutdown.clone());
        tasks.spawn(async move {
            running.await.expect("a runner ends in order");
        });
        RunnerProcess {
            link,
            executor,
            spool,
            shutdown,
            tasks,
            generation,
        }
    }
}

/// The class of all jobs and runners.
pub fn class() -> ClassName {
    "acme/linux".parse().expect("a class name")
}

fn settings(data: &Path) -> ServerSettings {
    ServerSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        log_directory: data.join("logs"),
        tls: None,
        behind_tls_proxy: false,
        timings: Timings::default(),
        default_class: class(),
        every_job_in: Some(class()),
        contexts_must_exist: true,
        webhook: None,
        data: DataSettings::default(),
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        // It was killed before it made its folder.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
