//! Service containers: the other images of a job, beside its primary container.
//!
//! They share the primary container's network, so steps reach them on `localhost`. They run what
//! their image runs, below a first process of ours that ends them when the runner is gone, and write
//! to a log of the Engine that is bounded.

mod create;
mod log;
mod stage;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{HostConfig, Mount};
use bollard::query_parameters::{AttachContainerOptionsBuilder, KillContainerOptionsBuilder};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use outrider_model::plan::DockerImage;
use outrider_model::report::Exit;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use self::create::{create, host_config, not_started};
use self::log::{follow_log, last_lines};
use self::stage::{Stage, stage};
use super::answer::{answered, told};
use super::image::Provided;
use super::removal::remove_container;
use super::settle::settled;
use crate::init::RUNNER_IS_GONE;
use crate::{BoxFuture, ExecutorError, Output};

/// For how long the steps wait for a service. Then they start without it.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often a service is looked at until it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The exit codes of what could not be started, as in shells: its first process is ours.
const NOT_STARTED: [i64; 2] = [126, 127];

/// The exit code of what was killed.
const KILLED: i64 = 137;

/// The code of a service whose supervisor takes the runner for gone.
const LET_GO: i64 = RUNNER_IS_GONE as i64;

/// How long it may take until all is read that services have written, once they have ended.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Tells on which TCP ports something listens in the primary container's network.
pub type Listening = Arc<dyn Fn() -> BoxFuture<Result<Vec<u16>, ExecutorError>> + Send + Sync>;

/// What the services of a task are made of.
pub struct ServicesRequest {
    /// The images, in the order of the config.
    pub images: Vec<(DockerImage, Provided)>,
    /// The id of the primary container, which runs.
    pub primary: String,
    /// By which they are found again.
    pub labels: HashMap<String, String>,
    /// The first process of each. None: their own program.
    pub supervisor: Option<Supervisor>,
    /// The limits of each.
    pub limits: HostConfig,
    /// Asks the init.
    pub listening: Listening,
    /// For how long a service is waited for. None: as usual.
    pub ready_within: Option<Duration>,
}

/// Ends a service when its runner is gone. Without it a service stays until the next runner of the
/// host has started.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// Where this program comes from.
    pub mount: Mount,
    /// How it is called inside, without arguments.
    pub command: Vec<String>,
}

/// The service containers of a task.
pub struct Services {
    engine: Docker,
    containers: Vec<Container>,
    /// Their stdin: their supervisors end when it is closed.
    lifelines: Mutex<Vec<Lifeline>>,
    followers: TaskTracker,
    /// All of them are being ended: what is killed now has not ended by itself.
    ending: AtomicBool,
}

type Lifeline = Pin<Box<dyn AsyncWrite + Send>>;

struct Container {
    id: String,
    /// For people.
    name: String,
    exposed_tcp: Vec<u16>,
    has_healthcheck: bool,
    is_supervised: bool,
}

impl Services {
    /// Starts all of them and waits until they are ready. On error nothing is left.
    pub async fn start(
        engine: Docker,
        request: ServicesRequest,
        progress: &Arc<dyn Output>,
    ) -> Result<Self, ExecutorError> {
        let host = host_config(&engine, &request).await?;
        let mut services = Self {
            engine,
            containers: Vec::new(),
            lifelines: Mutex::default(),
            followers: TaskTracker::new(),
            ending: AtomicBool::new(false),
        };
        let result = services.start_all(&request, &host, progress).await;
        match result {
            Ok(()) => Ok(services),
            Err(error) => {
                // The error that counts is the first one.
                let _ = services.end().await;
                Err(error)
            }
        }
    }

    async fn start_all(
        &mut self,
        request: &ServicesRequest,
        host: &HostConfig,
        progress: &Arc<dyn Output>,
    ) -> Result<(), ExecutorError> {
        let created = request
            .images
            .iter()
            .map(|(image, provided)| create(&self.engine, image, provided, request, host));
        // All are waited for, so that none is made that nobody knows of.
        let mut failure = None;
        for result in join_all(created).await {
            match result {
                Ok(container) => self.containers.push(container),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let within = request.ready_within.unwrap_or(READY_WITHIN);
        let run = |container| self.run(container, &request.listening, within, progress);
        try_join_all(self.containers.iter().map(run)).await?;
        Ok(())
    }

    async fn run(
        &self,
        container: &Container,
        listening: &Listening,
        within: Duration,
        progress: &Arc<dyn Output>,
    ) -> Result<(), ExecutorError> {
        let started = Instant::now();
        let name = &container.name;
        if container.is_supervised {
            self.hold(container).await?;
        }
        let run = self.engine.start_container(&container.id, None).await;
        run.map_err(|error| not_started(name, &error))?;
        let mut seen = false;
        let line = loop {
            let took = started.elapsed().as_secs_f32();
            match self.look(container, listening).await? {
                Stage::Ready => break format!("Service {name} is ready after {took:.1} s\n"),
                Stage::Ended { code } if NOT_STARTED.contains(&code) => {
                    return Err(self.told_not_started(container, code).await);
                }
                Stage::Ended { code } if container.is_supervised && code == LET_GO => {
                    let message = format!(
                        "service {name} has ended because the Engine has closed its stdin\n\
                         look at the Engine's log"
                    );
                    return Err(ExecutorError::infrastructure(message, None));
                }
                Stage::Ended { code } => {
                    break format!(
                        "Service {name} has ended after {took:.1} s, with code {code}: the job \
                         goes on without it\n"
                    );
                }
                // It tells nothing of itself, and has not ended at once.
                Stage::Running if seen && container.exposed_tcp.is_empty() => {
                    break format!("Service {name} runs\n");
                }
                Stage::Starting | Stage::Running if started.elapsed() >= within => {
                    break format!(
                        "Service {name} is not ready after {took:.0} s: the job goes on without \
                         waiting for it\n"
                    );
                }
                stage => {
                    seen = stage == Stage::Running;
                    sleep(LOOK_EVERY).await;
                }
            }
        };
        progress.write(Bytes::from(line)).await;
        Ok(())
    }

    /// Takes hold of its stdin, before it is started.
    async fn hold(&self, container: &Container) -> Result<(), ExecutorError> {
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .build();
        let attached = self
            .engine
            .attach_container(&container.id, Some(options))
            .await;
        let attached = attached.map_err(|error| {
            let message = format!(
                "cannot attach to service {}: {}",
                container.name,
                told(&error)
            );
            ExecutorError::infrastructure(message, None)
        })?;
        let mut lifelines = self
            .lifelines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lifelines.push(attached.input);
        Ok(())
    }

    async fn look(
        &self,
        container: &Container,
        listening: &Listening,
    ) -> Result<Stage, ExecutorError> {
        let inspect = || {
            answered(
                &self.engine,
                self.engine.inspect_container(&container.id, None),
            )
        };
        let found = settled(inspect).await;
        let found = found.map_err(|error| {
            let message = format!(
                "cannot look at service {}: {}",
                container.name,
                told(&error)
            );
            ExecutorError::infrastructure(message, None)
        })?;
        let stage = stage(&found.state.unwrap_or_default(), container.has_healthcheck);
        if stage != Stage::Running {
            return Ok(stage);
        }
        let ports = &container.exposed_tcp;
        if !ports.is_empty() && listening().await?.iter().any(|port| ports.contains(port)) {
            return Ok(Stage::Ready);
        }
        Ok(stage)
    }

    async fn told_not_started(&self, container: &Container, code: i64) -> ExecutorError {
        let (name, said) = (
            &container.name,
            last_lines(&self.engine, &container.id).await,
        );
        let message = format!("service {name} has ended with code {code}: {said}");
        ExecutorError::user(message, None)
    }

    /// Hands everything that a service has written and writes to `output`, until it ends or is
    /// removed.
    pub async fn follow(&self, index: usize, output: Arc<dyn Output>) -> Option<Exit> {
        let _following = self.followers.token();
        let id = &self.containers.get(index)?.id;
        follow_log(&self.engine, id, &*output).await;
        let inspect = || self.engine.inspect_container(id, None);
        let state = settled(inspect).await.ok()?.state?;
        match stage(&state, false) {
            Stage::Ended { code: KILLED } if self.ending.load(Ordering::Acquire) => None,
            Stage::Ended { code } => i32::try_from(code).ok().map(Exit::Code),
            _ => None,
        }
    }

    /// Ends and removes all of them, with their volumes. May be repeated.
    pub async fn end(&self) -> Result<(), ExecutorError> {
        self.ending.store(true, Ordering::Release);
        // With a container its log is removed, whoever is still reading it.
        join_all(self.containers.iter().map(|it| self.kill(it))).await;
        self.followers.close();
        let _ = timeout(LAST_WORDS, self.followers.wait()).await;
        let removed = self.containers.iter().map(|it| remove(&self.engine, it));
        join_all(removed).await.into_iter().collect()
    }

    async fn kill(&self, container: &Container) {
        let options = KillContainerOptionsBuilder::new().signal("KILL").build();
        // It may have ended already; what cannot be killed cannot be removed, which is told.
        let _ = self
            .engine
            .kill_container(&container.id, Some(options))
            .await;
    }
}

async fn remove(engine: &Docker, container: &Container) -> Result<(), ExecutorError> {
    remove_container(engine, &container.id)
        .await
        .map_err(|error| {
            let message = format!("cannot remove service {}: {}", container.name, told(&error));
            ExecutorError::infrastructure(message, None)
        })
}
