//! The place of one attempt: a container and its init.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{InspectContainerOptionsBuilder, KillContainerOptionsBuilder};
use futures_util::FutureExt;
use outrider_model::AttemptId;
use outrider_model::plan::DockerImage;
use outrider_model::report::Exit;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DockerHandle;
use super::answer::answered;
use super::container::SOCKET;
use super::death::Death;
use super::debts::Debts;
use super::engine::{Engine, status};
use super::entrypoint::Entrypoint;
use super::program::HELPERS;
use super::reach::reachable;
use super::removal;
use super::service::Services;
use super::stream::Complaints;
use crate::init::{InitClient, Ready};
use crate::{Environment, ExecRequest, ExecResult, ExecutorError, Files, Handle, Output, Service};

/// How much longer than the grace the init may take before its container is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the Engine may be away when a task is over. After that its containers are removed later.
const RETURN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the size of a container is looked at, where nothing else bounds it.
const WATCH: Duration = Duration::from_secs(5);

/// A container whose init speaks.
pub(super) struct Running {
    pub engine: Arc<Engine>,
    pub container: String,
    pub init: InitClient,
    pub complaints: Complaints,
    pub memory: Option<u64>,
}

impl Running {
    /// Whether its init was heard of for the last time.
    pub fn is_lost(&self) -> bool {
        self.init.lost().now_or_never().is_some()
    }

    /// Says why the init does not answer, if this is an error of that kind.
    pub async fn explain(&self, error: ExecutorError) -> ExecutorError {
        match self.death().await {
            Some(death) => self.told(death),
            None => error,
        }
    }

    fn told(&self, death: Death) -> ExecutorError {
        death.into_error(self.engine.address(), self.memory, self.complaints.text())
    }

    /// How the container has ended, if the init is gone.
    async fn death(&self) -> Option<Death> {
        if !self.is_lost() {
            return None;
        }
        Some(Death::of(&self.engine, &self.container, self.memory).await)
    }

    /// What a step's error means: one that ended because its container had no memory left is told
    /// like one that ended alone.
    async fn explain_step(&self, error: ExecutorError) -> Result<ExecResult, ExecutorError> {
        let Some(death) = self.death().await else {
            return Err(error);
        };
        let limit = self.memory.filter(|_| death.is_out_of_memory());
        match limit {
            Some(limit) => Ok(ExecResult {
                exit: Exit::Signal(9),
                usage: None,
                out_of_memory: Some(limit),
            }),
            None => Err(self.told(death)),
        }
    }

    /// Ends every process, whatever the init says.
    async fn kill(&self) -> Result<(), ExecutorError> {
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        let killed = self
            .engine
            .docker()
            .kill_container(&self.container, Some(options))
            .await;
        match killed {
            Ok(()) => Ok(()),
            // Gone, or not running.
            Err(error) if matches!(status(&error), Some(404 | 409)) => Ok(()),
            Err(error) => Err(self
                .engine
                .error("the task's container could not be killed", error)),
        }
    }

    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        match timeout(grace + PATIENCE, self.init.stop(grace)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => self.kill().await,
        }
    }

    /// Removes the container. Its processes are ended first, so that the output of what still runs
    /// is complete: an init that ends drops what it has not sent.
    pub async fn remove(&self) -> Result<(), ExecutorError> {
        let _ = timeout(PATIENCE, self.init.stop(Duration::ZERO)).await;
        let _ = timeout(PATIENCE, self.init.drained()).await;
        // It has a bound of its own for the init, and none for what is handed over here.
        self.init.close().await;
        removal::remove(&self.engine, &self.container).await
    }

    async fn written(&self) -> Option<u64> {
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let docker = self.engine.docker();
        let container = docker.inspect_container(&self.container, Some(options));
        let container = answered(docker, container).await;
        u64::try_from(container.ok()?.size_rw?).ok()
    }
}

/// What runs beside the steps.
#[derive(Default)]
pub(super) struct Beside {
    containers: Option<Services>,
    entrypoint: Option<Entrypoint>,
    listed: Vec<Service>,
}

impl Beside {
    pub fn new(containers: Services, images: &[DockerImage]) -> Self {
        let listed = images.iter().map(|image| Service {
            name: match &image.name {
                Some(name) => format!("{} ({name})", image.image),
                None => image.image.clone(),
            },
        });
        Self {
            listed: listed.collect(),
            containers: Some(containers),
            entrypoint: None,
        }
    }

    /// It comes after the containers.
    pub fn with(mut self, entrypoint: Entrypoint) -> Self {
        self.listed.push(entrypoint.listed());
        self.entrypoint = Some(entrypoint);
        self
    }

    async fn follow(
        &self,
        init: &InitClient,
        index: usize,
        output: Arc<dyn Output>,
    ) -> Option<Exit> {
        match &self.entrypoint {
            Some(entrypoint) if index + 1 == self.listed.len() => {
                entrypoint.follow(init, output).await
            }
            _ => self.containers.as_ref()?.follow(index, output).await,
        }
    }

    /// Ends the containers. What is in the primary one ends with it.
    pub async fn end(&self) -> Result<(), ExecutorError> {
        match &self.containers {
            Some(containers) => containers.end().await,
            None => Ok(()),
        }
    }
}

/// What was made for an attempt.
pub(super) struct Place {
    pub attempt: AttemptId,
    pub running: Arc<Running>,
    pub ready: Ready,
    pub services: Beside,
    /// Whether the Engine's socket is in it.
    pub socket: bool,
    /// Remembers what could not be removed.
    pub debts: Arc<Debts>,
}

impl Place {
    fn handle(&self) -> DockerHandle {
        DockerHandle {
            attempt: self.attempt,
            container: Some(self.running.container.clone()),
        }
    }

    async fn remove(&self) -> Result<(), ExecutorError> {
        let services = self.services.end().await;
        self.running.remove().await?;
        services
    }

    /// Removes everything; waits a while for an Engine that has gone away.
    async fn remove_patiently(&self) -> Result<(), ExecutorError> {
        let engine = &self.running.engine;
        let end = Instant::now() + RETURN.min(engine.patience());
        loop {
            let removed = self.remove().await;
            if removed.is_ok() || Instant::now() >= end || reachable(Some(engine.address())).await {
                return removed;
            }
            while Instant::now() < end && !reachable(Some(engine.address())).await {
                sleep(LOOK_EVERY).await;
            }
        }
    }
}

pub(super) struct DockerEnvironment {
    place: Place,
    stopped: AtomicBool,
    /// Why the task was ended by the watch over its disk.
    exceeded: Arc<OnceLock<String>>,
    removed: Mutex<bool>,
    over: CancellationToken,
    tasks: TaskTracker,
}

impl DockerEnvironment {
    /// `watched` is the limit on storage that only we enforce.
    pub fn new(place: Place, watched: Option<u64>) -> Self {
        let environment = Self {
            place,
            stopped: AtomicBool::new(false),
            exceeded: Arc::default(),
            removed: Mutex::new(false),
            over: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        if let Some(limit) = watched {
            environment.watch(limit);
        }
        environment
    }

    fn watch(&self, limit: u64) {
        let (running, exceeded) = (Arc::clone(&self.place.running), Arc::clone(&self.exceeded));
        let over = self.over.clone();
        self.tasks.spawn(async move {
            over.run_until_cancelled(watch_storage(&running, limit, &exceeded))
                .await
        });
    }

    /// What a step's end means, when it is not only its own.
    async fn judge(
        &self,
        result: Result<ExecResult, ExecutorError>,
    ) -> Result<ExecResult, ExecutorError> {
        if let Some(why) = self.exceeded.get() {
            return Err(ExecutorError::user(why, None));
        }
        match result {
            Err(error) if !self.stopped.load(Ordering::Acquire) => {
                self.place.running.explain_step(error).await
            }
            result => result,
        }
    }
}

/// Ends all processes once the container has written more than it may.
async fn watch_storage(running: &Running, limit: u64, exceeded: &OnceLock<String>) {
    loop {
        sleep(WATCH).await;
        if running.written().await.is_some_and(|bytes| bytes > limit) {
            let why = format!(
                "the task was ended because its container has written more than its limit of \
                 {} MiB",
                limit >> 20
            );
            let _ = exceeded.set(why);
            let _ = running.stop(Duration::ZERO).await;
            return;
        }
    }
}

#[async_trait]
impl Environment for DockerEnvironment {
    fn handle(&self) -> Handle {
        Handle::Docker(self.place.handle())
    }

    fn files(&self) -> Files<'_> {
        Files::Inside(&self.place.running.init)
    }

    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        Some(&self.place.ready.variables)
    }

    fn default_shell(&self) -> Option<&[String]> {
        Some(&self.place.ready.shell)
    }

    fn helper_directory(&self) -> Option<&Path> {
        Some(Path::new(HELPERS))
    }

    fn docker_socket(&self) -> Option<&Path> {
        self.place.socket.then(|| Path::new(SOCKET))
    }

    fn services(&self) -> &[Service] {
        &self.place.services.listed
    }

    async fn follow_service(&self, index: usize, output: Arc<dyn Output>) -> Option<Exit> {
        let Place {
            services, running, ..
        } = &self.place;
        services.follow(&running.init, index, output).await
    }

    fn resolve(&self, path: &str) -> PathBuf {
        crate::resolve(
            &self.place.ready.home,
            &self.place.ready.working_directory,
            path,
        )
    }

    async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        if self.stopped.load(Ordering::Acquire) {
            let message = "the environment was stopped, no step can start in it any more";
            return Err(ExecutorError::infrastructure(message, None));
        }
        let result = self.place.running.init.exec(request, output).await;
        self.judge(result).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        self.stopped.store(true, Ordering::Release);
        if self.over.is_cancelled() {
            return Ok(());
        }
        self.place.running.stop(grace).await
    }

    async fn cleanup(&self) -> Result<(), ExecutorError> {
        let mut removed = self.removed.lock().await;
        if *removed {
            return Ok(());
        }
        self.stopped.store(true, Ordering::Release);
        self.over.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let result = self.place.remove_patiently().await;
        match &result {
            Ok(()) => *removed = true,
            Err(_) => self.place.debts.add(self.place.handle()),
        }
        result
    }
}
