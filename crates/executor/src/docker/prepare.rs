//! From a request to a container that waits for steps.

use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::HostConfig;
use bollard::query_parameters::CreateContainerOptionsBuilder;
use outrider_model::plan::{DockerImage, EnvironmentKind};
use tokio::time::timeout;

use super::Base;
use super::answer::answered;
use super::container::{Primary, confine, limit, program_mount};
use super::death::Death;
use super::entrypoint::Wanted;
use super::environment::{Beside, DockerEnvironment, Place, Running};
use super::image::Provided;
use super::limits::effective;
use super::owner::Role;
use super::service::{Services, ServicesRequest, Supervisor};
use super::settings::{DockerSettings, Limits};
use super::socket::Socket;
use super::stream::attach;
use crate::init::{InitClient, SetUp};
use crate::{ExecutorError, Fault, PrepareRequest};

/// One environment on its way.
pub(super) struct Preparation<'a> {
    base: &'a Base,
    settings: &'a DockerSettings,
    request: &'a PrepareRequest,
    primary: &'a DockerImage,
    beside: &'a [DockerImage],
    limits: Limits,
}

impl<'a> Preparation<'a> {
    /// Refuses what is no job for containers.
    pub fn new(
        base: &'a Base,
        settings: &'a DockerSettings,
        request: &'a PrepareRequest,
    ) -> Result<Self, ExecutorError> {
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
            base,
            settings,
            request,
            primary,
            beside,
            limits: effective(&settings.limits, class, &base.host),
        })
    }

    /// Makes it, and looks after the Engine's disk meanwhile. On error nothing is left.
    pub async fn run(self) -> Result<DockerEnvironment, ExecutorError> {
        let (environment, warning) = tokio::join!(self.make(), self.base.care.care_if_due());
        if let Some(warning) = warning {
            let line = format!("{warning}\n");
            self.request.progress.write(line.into()).await;
        }
        environment
    }

    async fn make(&self) -> Result<DockerEnvironment, ExecutorError> {
        let made = self.make_twice_at_most().await;
        if made.is_err() {
            self.clear().await;
        }
        made
    }

    async fn make_twice_at_most(&self) -> Result<DockerEnvironment, ExecutorError> {
        let image = self.provide().await?;
        match self.make_from(&image).await {
            Err(error)
                if error.fault == Fault::Infrastructure
                    && self.clear().await
                    && self.has_refilled_program(&image.id).await =>
            {
                self.make_from(&image).await
            }
            made => made,
        }
    }

    async fn make_from(&self, image: &Provided) -> Result<DockerEnvironment, ExecutorError> {
        let container = self.create(&image.id).await?;
        self.start(&container, image.clone()).await
    }

    /// Whether nothing is left of what was made until now. Else it is removed later.
    async fn clear(&self) -> bool {
        let Self { base, request, .. } = self;
        base.debts.settle(&base.engine, request.attempt).await
    }
}

impl Preparation<'_> {
    async fn provide(&self) -> Result<Provided, ExecutorError> {
        let Self { base, request, .. } = self;
        let image = base
            .images
            .provide(self.primary, &request.variables, &request.progress)
            .await?;
        base.program_is_there
            .get_or_try_init(|| self.ensure_program(&image.id))
            .await?;
        Ok(image)
    }

    async fn ensure_program(&self, image: &str) -> Result<bool, ExecutorError> {
        let Self { base, request, .. } = self;
        let labels = base.owner.labels(request.attempt, Role::Program);
        base.program.ensure(&base.engine, image, labels).await
    }

    /// Whether the program's volume was gone, and is there again. The Engine makes an empty one in
    /// its place without a word, from which no container starts.
    async fn has_refilled_program(&self, image: &str) -> bool {
        self.ensure_program(image).await.unwrap_or(false)
    }

    async fn create(&self, image: &str) -> Result<String, ExecutorError> {
        let base = self.base;
        let attempt = self.request.attempt;
        let primary = Primary {
            image,
            program: &base.program,
            labels: base.owner.labels(attempt, Role::Primary),
            limits: &self.limits,
            host: &base.host,
            privileges: &self.settings.privileges,
            socket: self.socket().map(|socket| socket.path.as_str()),
            writable: self.writable(),
            podman: base.engine.is_podman(),
        };
        let name = format!("outrider-{attempt}");
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
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

    /// Starts the container and makes it ready for steps, with all that runs beside it.
    async fn start(
        &self,
        container: &str,
        image: Provided,
    ) -> Result<DockerEnvironment, ExecutorError> {
        let running = Arc::new(self.boot(container).await?);
        let program = Wanted::of(self.primary, &image);
        let ready = match timeout(self.patience(), running.init.set_up(self.set_up(image))).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => return Err(running.explain(error).await),
            Err(_) => return Err(silent(self.patience())),
        };
        let mut services = self.start_services(&running).await?;
        if let Some(program) = program {
            services = match program.start(&running.init, &ready).await {
                Ok(entrypoint) => services.with(entrypoint),
                Err(error) => {
                    let _ = services.end().await;
                    return Err(running.explain(error).await);
                }
            };
        }
        let watched = self
            .limits
            .storage
            .filter(|_| !self.base.host.limits_storage);
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
        let limits = effective(&self.settings.service_limits, class, &base.host);
        let mut config = HostConfig::default();
        limit(&mut config, &limits, &base.host);
        confine(&mut config, &self.settings.privileges);
        let (asked, patience) = (Arc::clone(running), self.patience());
        let services = ServicesRequest {
            images,
            primary: running.container.clone(),
            labels: base.owner.labels(request.attempt, Role::Service),
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

    async fn boot(&self, container: &str) -> Result<Running, ExecutorError> {
        let engine = &self.base.engine;
        let attached = attach(engine.docker(), container).await.map_err(|error| {
            engine.error("the task's container could not be attached to", error)
        })?;
        engine
            .docker()
            .start_container(container, None)
            .await
            .map_err(|error| self.not_started(error))?;
        let complaints = attached.complaints;
        let connect = InitClient::connect(attached.reader, attached.writer);
        match timeout(self.patience(), connect).await {
            Ok(Ok(init)) => Ok(Running {
                engine: Arc::clone(engine),
                container: container.to_owned(),
                init,
                complaints,
                memory: self.limits.memory,
            }),
            Ok(Err(_)) => {
                let death = Death::of(engine, container).await;
                let said = complaints.text();
                Err(death.into_error(engine.address(), self.limits.memory, said))
            }
            Err(_) => Err(silent(self.patience())),
        }
    }

    fn patience(&self) -> Duration {
        self.base.engine.patience()
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

    fn set_up(&self, image: Provided) -> SetUp {
        let Self { base, primary, .. } = self;
        let own = image.environment.iter().filter_map(|it| it.split_once('='));
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let more = primary.environment.clone();
        SetUp {
            attempt: self.request.attempt,
            user: primary.user.clone().or(image.user),
            extra_groups: self.socket().and_then(|it| it.group).into_iter().collect(),
            environment: own.chain(more).collect(),
            working_directory: self.request.working_directory.clone(),
            hosts: self.names(),
            memory_limit: self.limits.memory,
            tool: base.program.command(),
        }
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

    /// Where people may write although the root is read-only: at home, and where the job works.
    fn writable(&self) -> Vec<String> {
        let homes = ["/root", "/home"].map(str::to_owned);
        let own = Some(self.request.working_directory.clone());
        let own = own.filter(|path| path.starts_with('/') && path != "/");
        homes.into_iter().chain(own).collect()
    }
}

fn socket_is_useless() -> ExecutorError {
    ExecutorError::infrastructure(
        "the job wants the Engine's socket, which no user of a container may use here: the Engine \
         runs with --userns-remap\n\
         let the job run with an Engine without it",
        None,
    )
}

/// The init says nothing.
fn silent(patience: Duration) -> ExecutorError {
    let message = format!(
        "the task's container has said nothing for {} seconds\n\
         look at the load of its host, and at the log of the Engine",
        patience.as_secs()
    );
    ExecutorError::infrastructure(message, None)
}

fn refused(why: &str) -> ExecutorError {
    let message = format!(
        "the job cannot run in a container: {why}\n\
         give it `docker:` with an image, or run it with --executor process"
    );
    ExecutorError::user(message, None)
}
