//! Several executors as one: what a job names decides which of them runs it.

use std::sync::Arc;

use async_trait::async_trait;
use outrider_model::plan::EnvironmentKind;

use crate::docker::reach;
use crate::{Environment, Executor, ExecutorError, Finding, Handle, PrepareRequest};

/// Which jobs run where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Jobs that name images run in containers, if an Engine can be reached at this address, or at
    /// one of the usual ones. All others run as processes.
    ByKind(Option<String>),
    /// Jobs that name images run in containers, and no others are run.
    Containers,
    /// All run as processes.
    Processes,
}

/// Hands each task to the executor that it is for. What an earlier process left behind is ended by
/// the executor that made it, whatever the route is now.
pub struct ByKind {
    containers: Arc<dyn Executor>,
    processes: Arc<dyn Executor>,
    route: Route,
}

impl ByKind {
    /// An executor of these two. On the host, `processes` decides itself what to do with a job that
    /// names an image.
    pub fn new(containers: Arc<dyn Executor>, processes: Arc<dyn Executor>, route: Route) -> Self {
        Self {
            containers,
            processes,
            route,
        }
    }

    async fn choose(&self, kind: &EnvironmentKind) -> Result<&dyn Executor, ExecutorError> {
        let image = matches!(kind, EnvironmentKind::Docker { .. });
        match &self.route {
            Route::ByKind(engine) if image && reach::reachable(engine.as_deref()).await => {
                Ok(&*self.containers)
            }
            Route::Containers if image => Ok(&*self.containers),
            Route::Containers => Err(ExecutorError::user(
                "the job names no docker image, and this runner only runs containers; give the job \
                 `docker:` with an image, or start the runner without --executor docker",
                None,
            )),
            Route::ByKind(_) | Route::Processes => Ok(&*self.processes),
        }
    }
}

#[async_trait]
impl Executor for ByKind {
    fn name(&self) -> &'static str {
        match self.route {
            Route::ByKind(_) => "docker and process",
            Route::Containers => self.containers.name(),
            Route::Processes => self.processes.name(),
        }
    }

    async fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.route != Route::Processes {
            findings.extend(self.containers.check().await);
        }
        if self.route != Route::Containers {
            findings.extend(self.processes.check().await);
        }
        findings
    }

    /// A runner of containers only cannot do anything without an Engine.
    async fn obstacle(&self) -> Option<ExecutorError> {
        match self.route {
            Route::Containers => self.containers.obstacle().await,
            Route::Processes => self.processes.obstacle().await,
            Route::ByKind(_) => None,
        }
    }

    fn begin(&self) {
        if self.route != Route::Processes {
            self.containers.begin();
        }
        if self.route != Route::Containers {
            self.processes.begin();
        }
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        self.choose(&request.kind).await?.prepare(request).await
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        match handle {
            Handle::Docker(_) => self.containers.recover(handle).await,
            Handle::Process(_) | Handle::Fake(_) => self.processes.recover(handle).await,
        }
    }

    fn host(&self) -> Option<&dyn Executor> {
        Some(&*self.processes)
    }

    async fn end(&self) {
        self.containers.end().await;
        self.processes.end().await;
    }
}
