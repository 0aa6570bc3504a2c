//! From a request to a container that waits for steps.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::HostConfig;
use futures_util::FutureExt;
use outrider_model::AttemptId;
use outrider_model::plan::{DockerImage, EnvironmentKind};
use tokio::time::timeout;

use super::boot::{Boot, silent};
use super::container::{Recipe, confine, is_place_of_its_own, limit, program_mount};
use super::entrypoint::Wanted;
use super::environment::{Beside, DockerEnvironment, Place, Running};
use super::image::Provided;
use super::limits::effective;
use super::owner::Role;
use super::program;
use super::service::{Services, ServicesRequest, Supervisor};
use super::settings::Limits;
use super::socket::Socket;
use super::warm::Pool;
use super::{Base, Core, DockerHandle};
use crate::init::{Ready, SetUp};
use crate::{ExecutorError, PrepareRequest};

/// One environment on its way.
pub(super) struct Preparation<'a> {
    core: &'a Arc<Core>,
    base: &'a Base,
    request: &'a PrepareRequest,
    primary: &'a DockerImage,
    beside: &'a [DockerImage],
    limits: Limits,
}

impl<'a> Preparation<'a> {
    /// Refuses what is no job for containers.
    pub fn new(
        core: &'a Arc<Core>,
        base: &'a Base,
        request: &'a PrepareRequest,
    ) -> Result<Self, ExecutorError> {
        let settings = &core.settings;
        let EnvironmentKind::Docker { images } = &request.kind else {
            return Err(refused("it wants a machine of its own"));
        };
        let Some((primary, beside)) = images.split_first() else {
            return Err(refused("it names no image"));
        };
        if request.wants_docker && settings.privileges.docker_socket && base.engine.remaps_users() {
            return Err(socket_is_useless());
        }
        let class = request.resource_class.as_deref();
        Ok(Self {
            core,
            base,
            request,
            primary,
            beside,
            limits: effective(&settings.limits, class, &base.host),
        })
    }

    /// Makes it, and tidies up meanwhile. On error nothing is left.
    pub async fn run(self) -> Result<DockerEnvironment, ExecutorError> {
        let core = Arc::clone(self.core);
        let tidying = async move { core.base.get()?.tidy().await };
        let tidying = self.base.tasks.spawn(tidying);
        let environment = self.make().await;
        // The job does not wait for it.
        if let Some(Ok(Some(warning))) = tidying.now_or_never() {
            let line = format!("{warning}\n");
            self.request.progress.write(line.into()).await;
        }
        environment
    }

    async fn make(&self) -> Result<DockerEnvironment, ExecutorError> {
        let Self { base, request, .. } = self;
        let image = base
            .provide(self.primary, &request.variables, &request.progress)
            .await?;
        match self.make_from(&image).await {
            Err(error) if names_program(&error) && base.has_refilled_program(&image.id).await => {
                self.make_from(&image).await
            }
            made => made,
        }
    }

    async fn make_from(&self, image: &Provided) -> Result<DockerEnvironment, ExecutorError> {
        let recipe = self.recipe(image);
        let found = match self.take(&recipe, image).await {
            Some(taken) => Ok(taken),
            None => self.boot(&recipe, image).await,
        };
        let (running, ready) = match found {
            Ok(found) => found,
            Err(error) => {
                self.settle(None).await;
                return Err(error);
            }
        };
        let container = running.container.clone();
        let made = self.furnish(running, ready, image).await;
        if made.is_err() {
            self.settle(Some(container)).await;
        }
        made
    }
}

impl Preparation<'_> {
    /// A container that has waited, ready for steps. If anything is wrong with it a new one will
    /// do, or will tell what is wrong with the job.
    async fn take(&self, recipe: &Recipe, image: &Provided) -> Option<(Arc<Running>, Ready)> {
        let attempt = self.request.attempt;
        let running = Pool::take(self.core, &self.primary.image, recipe)?;
        match self.set_up(&running, image).await {
            Ok(ready) => Some((running, ready)),
            Err(error) => {
                let container = &running.container;
                tracing::debug!(%attempt, %container, %error, "what has waited is of no use");
                self.settle(Some(container.clone())).await;
                None
            }
        }
    }

    /// A new container, ready for steps.
    async fn boot(
        &self,
        recipe: &Recipe,
        image: &Provided,
    ) -> Result<(Arc<Running>, Ready), ExecutorError> {
        let boot = Boot {
            base: self.base,
            privileges: &self.core.settings.privileges,
            recipe,
        };
        let attempt = self.request.attempt;
        let labels = self.base.owner.labels(Role::Primary(attempt));
        let running = Arc::new(boot.run(&container_name(attempt), labels).await?);
        let ready = self.set_up(&running, image).await?;
        Ok((running, ready))
    }

    async fn set_up(&self, running: &Running, image: &Provided) -> Result<Ready, ExecutorError> {
        match timeout(self.patience(), running.init.set_up(self.task(image))).await {
            Ok(Ok(ready)) => Ok(ready),
            Ok(Err(error)) => Err(running.explain(error).await),
            Err(_) => Err(silent(self.patience())),
        }
    }

    /// Removes what was made so far: now, or later.
    async fn settle(&self, container: Option<String>) {
        let handle = DockerHandle {
            attempt: self.request.attempt,
            container,
        };
        self.base.debts.settle(&self.base.engine, handle).await;
    }

    fn recipe(&self, image: &Provided) -> Recipe {
        let privileges = &self.core.settings.privileges;
        let directory = &self.request.working_directory;
        let names = if privileges.read_only_root {
            self.names()
        } else {
            Vec::new()
        };
        Recipe {
            names,
            socket: self.socket().map(|socket| socket.path.clone()),
            ..Recipe::new(&image.id, self.limits, directory, privileges)
        }
    }

    /// Starts all that runs beside the steps.
    async fn furnish(
        &self,
        running: Arc<Running>,
        ready: Ready,
        image: &Provided,
    ) -> Result<DockerEnvironment, ExecutorError> {
        let mut services = self.start_services(&running).await?;
        if let Some(program) = Wanted::of(self.primary, image) {
            services = match program.start(&running.init, &ready).await {
                Ok(entrypoint) => services.with(entrypoint),
                Err(error) => {
                    let _ = services.end().await;
                    return Err(running.explain(error).await);
                }
            };
        }
        let limit = self.limits.storage;
        let watched = limit.filter(|_| !self.base.host.limits_storage);
        let place = Place {
            attempt: self.request.attempt,
            running,
            ready,
            services,
            socket: self.socket().is_some(),
            debts: Arc::clone(&self.base.debts),
        };
        Ok(DockerEnvironment::new(place, watched))
    }

    async fn start_services(&self, running: &Arc<Running>) -> Result<Beside, ExecutorError> {
        if self.beside.is_empty() {
            return Ok(Beside::default());
        }
        let Self { base, request, .. } = self;
        let mut images = Vec::new();
        for image in self.beside {
            let provided = base
                .images
                .provide(image, &request.variables, &request.progress)
                .await?;
            images.push((image.clone(), provided));
        }
        let class = request.resource_class.as_deref();
        let limits = effective(&self.core.settings.service_limits, class, &base.host);
        let mut config = HostConfig::default();
        limit(&mut config, &limits, &base.host);
        confine(&mut config, &self.core.settings.privileges);
        let (asked, patience) = (Arc::clone(running), self.patience());
        let services = ServicesRequest {
            images,
            primary: running.container.clone(),
            labels: base.owner.labels(Role::Service(request.attempt)),
            supervisor: Some(Supervisor {
                mount: program_mount(&base.program, true),
                command: base.program.command(),
            }),
            limits: config,
            listening: Arc::new(move || {
                let running = Arc::clone(&asked);
                Box::pin(async move {
                    let answer = timeout(patience, running.init.listening()).await;
                    answer.unwrap_or_else(|_| Err(silent(patience)))
                })
            }),
            ready_within: None,
        };
        let docker = base.engine.docker().clone();
        let services = Services::start(docker, services, &request.progress).await?;
        Ok(Beside::new(services, self.beside))
    }

    fn patience(&self) -> Duration {
        self.base.engine.patience()
    }

    fn task(&self, image: &Provided) -> SetUp {
        let Self { base, primary, .. } = self;
        let own = image.environment.iter().filter_map(|it| it.split_once('='));
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let more = primary.environment.clone();
        SetUp {
            attempt: self.request.attempt,
            user: primary.user.clone().or_else(|| image.user.clone()),
            extra_groups: self.socket().and_then(|it| it.group).into_iter().collect(),
            environment: own.chain(more).collect(),
            working_directory: self.request.working_directory.clone(),
            // Where the root is read-only the Engine has written them.
            hosts: if self.is_read_only() {
                Vec::new()
            } else {
                self.names()
            },
            given: self.given(),
            memory_limit: self.limits.memory,
            tool: base.program.command(),
        }
    }

    fn is_read_only(&self) -> bool {
        self.core.settings.privileges.read_only_root
    }

    /// The place that was made for the job alone.
    fn given(&self) -> Option<String> {
        let directory = &self.request.working_directory;
        let is_place = self.is_read_only() && is_place_of_its_own(directory);
        is_place.then(|| directory.clone())
    }

    /// By what the containers of the task call each other. They share one network.
    fn names(&self) -> Vec<String> {
        std::iter::once(self.primary)
            .chain(self.beside)
            .filter_map(|image| image.name.clone())
            .collect()
    }

    /// The Engine's socket, if this job wants it and may have it.
    fn socket(&self) -> Option<&Socket> {
        let socket = self.base.socket.as_ref();
        socket.filter(|_| self.request.wants_docker)
    }
}

/// What people see in the list of containers.
fn container_name(attempt: AttemptId) -> String {
    format!("outrider-{attempt}")
}

fn socket_is_useless() -> ExecutorError {
    ExecutorError::infrastructure(
        "the job wants the Engine's socket, which no user of a container may use here: the Engine \
         runs with --userns-remap\n\
         let the job run with an Engine without it",
        None,
    )
}

/// Whether the Engine has complained about something below the mount of our program.
fn names_program(error: &ExecutorError) -> bool {
    let said = error.source.as_ref().map(ToString::to_string);
    said.is_some_and(|said| said.contains(program::ROOT))
}

fn refused(why: &str) -> ExecutorError {
    let message = format!(
        "the job cannot run in a container: {why}\n\
         give it `docker:` with an image, or run it with --executor process"
    );
    ExecutorError::user(message, None)
}
