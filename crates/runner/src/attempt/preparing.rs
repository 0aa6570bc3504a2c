//! All that a task needs before its first step.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::data::TaskSecrets;
use outrider_executor::docker::image::secret_of;
use outrider_executor::{Environment, ExecutorError, Files, Output, PrepareRequest, SHELL_ENV};
use outrider_model::claim::ClaimedTask;
use outrider_model::plan::{EnvironmentKind, Step};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{Workshop, failure, secrets};
use crate::backoff::chain;
use crate::continuation::answer::Continuation;
use crate::driver::{Event, Failure};
use crate::redact::{Redactor, Secret};
use crate::{helper, task_files};

/// What there is then.
pub struct Prepared {
    pub environment: Arc<dyn Environment>,
    pub secrets: TaskSecrets,
    /// Where the job needs one.
    pub continuation: Option<Continuation>,
}

/// Hands on what is said of the preparation. The log gets it only while the task goes on.
pub struct Progress(pub UnboundedSender<Bytes>);

#[async_trait]
impl Output for Progress {
    async fn write(&self, bytes: Bytes) {
        // If the task has ended meanwhile, nobody listens.
        let _ = self.0.send(bytes);
    }
}

/// A task that is being prepared.
pub struct Preparing {
    pub workshop: Arc<Workshop>,
    pub task: Arc<ClaimedTask>,
    pub slot: usize,
    pub redactor: Arc<Redactor>,
    pub progress: Arc<Progress>,
    pub stop: CancellationToken,
}

impl Preparing {
    /// What comes from the server comes first: what has no environment needs no cleaning up.
    pub async fn run(self) -> Result<Prepared, Event> {
        let (workshop, task, stop) = (&self.workshop, &self.task, &self.stop);
        let secrets = secrets::fetch(workshop, task, stop).await?;
        let request = self.request(&secrets);
        self.redactor.add(&secrets::values(&secrets));
        self.redactor.add(&passwords(&request));
        let timings = self.fetch_timings().await?;
        if stop.is_cancelled() {
            let text = "it was stopped before it had an environment".to_owned();
            return Err(Event::NotPrepared(Failure::Infrastructure(text)));
        }
        let environment = workshop.executor.prepare(request).await;
        let environment = environment.map_err(|error| Event::NotPrepared(failure(&error)))?;
        if let Some(timings) = timings
            && let Err(error) = helper::provide_timings(&*environment, timings).await
        {
            // A task that splits in another way than the others would leave tests out.
            let _ = environment.cleanup().await;
            let text = format!("cannot write how long tests took before: {}", chain(&error));
            return Err(Event::NotPrepared(Failure::Infrastructure(text)));
        }
        // It carries exports from step to step.
        if let Err(error) = task_files::write(&*environment, SHELL_ENV, Bytes::new()).await {
            let attempt = task.attempt;
            tracing::warn!(%attempt, "cannot make the file for BASH_ENV: {}", chain(&error));
        }
        let continuation = match self.open_continuation(&*environment).await {
            Ok(continuation) => continuation,
            Err(error) => {
                let _ = environment.cleanup().await;
                return Err(Event::NotPrepared(failure(&error)));
            }
        };
        Ok(Prepared {
            environment,
            secrets,
            continuation,
        })
    }

    /// A job in a container that may continue its pipeline gets a way to the server for that.
    async fn open_continuation(
        &self,
        environment: &dyn Environment,
    ) -> Result<Option<Continuation>, ExecutorError> {
        let (Files::Inside(inside), Some(key)) =
            (environment.files(), self.task.continuation_key.clone())
        else {
            return Ok(None);
        };
        let (api, progress) = (Arc::clone(&self.workshop.api), Arc::clone(&self.progress));
        let opening = Continuation::open(inside, api, key, progress as _);
        opening.await.map(Some)
    }

    fn request(&self, secrets: &TaskSecrets) -> PrepareRequest {
        let spec = &self.task.payload.spec;
        let mut variables = BTreeMap::new();
        let given = secrets.variables.iter();
        variables.extend(given.map(|it| (it.name.clone(), it.value.to_string())));
        let extra = self.workshop.settings.extra_environment.iter();
        variables.extend(extra.map(|(name, value)| (name.clone(), value.clone())));
        let job = spec.environment.iter();
        variables.extend(job.map(|(name, value)| (name.clone(), value.clone())));
        let wants_docker = |step: &Step| matches!(step, Step::SetupRemoteDocker(_));
        PrepareRequest {
            resource_class: spec.resource_class.clone(),
            variables,
            // It is the same as root on the Engine's host: not for code that is not trusted.
            wants_docker: !self.task.payload.trigger.untrusted
                && spec.steps.iter().any(wants_docker),
            progress: Arc::clone(&self.progress) as _,
            ..PrepareRequest::new(
                self.task.attempt,
                self.slot,
                spec.environment_kind.clone(),
                spec.working_directory.clone(),
            )
        }
    }

    /// How long tests took before, where a job is split into several tasks. All of them must get the
    /// same, or none.
    async fn fetch_timings(&self) -> Result<Option<Bytes>, Event> {
        if self.task.payload.parallelism < 2 {
            return Ok(None);
        }
        let blobs = self.workshop.blobs(&self.task);
        let fetching = blobs.retried(|api, by| api.timings(by));
        let fetched = self.stop.run_until_cancelled(fetching).await;
        fetched.unwrap_or(Ok(None)).map_err(Event::NotPrepared)
    }
}

/// Passwords of registries that the config itself holds. Those that it names are secrets anyway.
fn passwords(request: &PrepareRequest) -> Vec<Secret> {
    let EnvironmentKind::Docker { images } = &request.kind else {
        return Vec::new();
    };
    let auths = images.iter().filter_map(|image| image.auth.as_ref());
    let secrets = auths.filter_map(|auth| secret_of(auth, &request.variables));
    secrets.map(Secret::new).collect()
}
