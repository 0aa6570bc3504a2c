//! A runner between a fake server and an executor.

use std::sync::Arc;
use std::time::Duration;

use outrider_executor::Executor;
use outrider_runner::data_api::NoData;
use outrider_runner::{Runner, RunnerError, RunnerSettings};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::executor::{Scripted, World};
use super::server::FakeServer;

pub struct Rig {
    pub server: Arc<FakeServer>,
    pub world: Arc<World>,
    pub executor: Arc<dyn Executor>,
    pub directory: TempDir,
    pub settings: RunnerSettings,
}

/// One life of the runner's process.
pub struct Life {
    pub shutdown: Shutdown,
    pub ended: JoinHandle<Result<(), RunnerError>>,
}

impl Rig {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let world = Arc::new(World::default());
        let root = directory.path().join("work");
        let executor = Arc::new(Scripted {
            world: Arc::clone(&world),
            root,
        });
        Self::with_executor(directory, world, executor)
    }

    pub fn with_executor(
        directory: TempDir,
        world: Arc<World>,
        executor: Arc<dyn Executor>,
    ) -> Self {
        let mut settings = RunnerSettings::new("anna", directory.path().join("spool"));
        settings.slots = 4;
        let path = std::env::vars().filter(|(name, _)| name == "PATH");
        settings.inherited_environment.extend(path);
        Self {
            server: FakeServer::new(),
            world,
            executor,
            directory,
            settings,
        }
    }

    pub fn runner(&self) -> Runner {
        Runner::new(
            self.settings.clone(),
            Arc::clone(&self.server) as _,
            Arc::new(NoData),
            Arc::clone(&self.executor),
            Arc::new(SystemClock),
            Arc::new(OsRandom::new()),
        )
    }

    pub fn start(&self) -> Life {
        let shutdown = Shutdown::new();
        let ended = Tasks::new().spawn(self.runner().run(shutdown.clone()));
        Life { shutdown, ended }
    }

    /// Drains, and checks that the runner kept the rules and left nothing.
    pub async fn end(&self, life: Life) {
        life.shutdown.drain();
        life.ended.await.unwrap().unwrap();
        self.server.assert_lawful();
        assert_eq!(self.server.state().goodbyes, 1);
        assert_eq!(self.leftovers(), 0, "something was left in the spool");
        self.world
            .with(|world| assert!(world.live.is_empty(), "an environment was left"));
    }

    /// How many attempts the spool holds.
    pub fn leftovers(&self) -> usize {
        let mut count = 0;
        for item in std::fs::read_dir(&self.settings.spool).unwrap() {
            let path = item.unwrap().path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("log") => count += 1,
                Some("task") => {
                    let content = std::fs::read(&path).unwrap();
                    count += usize::from(content.first().is_some_and(|byte| *byte != b'-'));
                }
                _ => {}
            }
        }
        count
    }
}

/// Fails where something takes far too long on the wall clock (or on a paused one).
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(100), what)
        .await
        .expect("it takes far too long")
}
