//! From a recipe to a container whose init waits for a task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::CreateContainerOptionsBuilder;
use tokio::time::timeout;

use super::Base;
use super::answer::answered;
use super::container::{Primary, Recipe};
use super::death::Death;
use super::environment::Running;
use super::settings::Privileges;
use super::stream::attach;
use crate::ExecutorError;
use crate::init::InitClient;

/// One container on its way.
pub(super) struct Boot<'a> {
    pub base: &'a Base,
    pub privileges: &'a Privileges,
    pub recipe: &'a Recipe,
}

impl Boot<'_> {
    /// Makes it, and waits until its init speaks. On error there may be a container of that name
    /// and with these labels.
    pub async fn run(
        &self,
        name: &str,
        labels: HashMap<String, String>,
    ) -> Result<Running, ExecutorError> {
        let container = self.create(name, labels).await?;
        self.start(&container).await
    }

    async fn create(
        &self,
        name: &str,
        labels: HashMap<String, String>,
    ) -> Result<String, ExecutorError> {
        let Self {
            base,
            privileges,
            recipe,
        } = self;
        let primary = Primary {
            recipe,
            program: &base.program,
            labels,
            host: &base.host,
            privileges,
            podman: base.engine.is_podman(),
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let docker = base.engine.docker();
        let created = docker.create_container(Some(options), primary.body());
        answered(docker, created)
            .await
            .map(|created| created.id)
            .map_err(|error| {
                base.engine
                    .error("the task's container could not be made", error)
            })
    }

    async fn start(&self, container: &str) -> Result<Running, ExecutorError> {
        let engine = &self.base.engine;
        let attached = attach(engine.docker(), container).await.map_err(|error| {
            engine.error("the task's container could not be attached to", error)
        })?;
        engine
            .docker()
            .start_container(container, None)
            .await
            .map_err(|error| self.not_started(error))?;
        let memory = self.recipe.limits.memory;
        let complaints = attached.complaints;
        let connect = InitClient::connect(attached.reader, attached.writer);
        match timeout(engine.patience(), connect).await {
            Ok(Ok(init)) => Ok(Running {
                engine: Arc::clone(engine),
                container: container.to_owned(),
                init,
                complaints,
                memory,
            }),
            Ok(Err(_)) => {
                let death = Death::of(engine, container, memory).await;
                Err(death.into_error(engine.address(), memory, complaints.text()))
            }
            Err(_) => Err(silent(engine.patience())),
        }
    }

    fn not_started(&self, error: Error) -> ExecutorError {
        let what = "the task's container could not be started";
        let error = self.base.engine.error(what, error);
        let said = error.source.as_ref().map(ToString::to_string);
        if said.is_some_and(|said| said.contains("exec format error")) {
            let message = format!(
                "{what}: the runner's program is not for the processor of the Engine's host\n\
                 start a runner that was built for it"
            );
            return ExecutorError::infrastructure(message, None);
        }
        error
    }
}

/// The init says nothing.
pub(super) fn silent(patience: Duration) -> ExecutorError {
    let message = format!(
        "the task's container has said nothing for {} seconds\n\
         look at the load of its host, and at the log of the Engine",
        patience.as_secs()
    );
    ExecutorError::infrastructure(message, None)
}
