//! Runs steps in containers of a Docker Engine.
//!
//! The runner speaks to the Engine's API only (`engine`); no file of the host is shared with a
//! container. Its first process is our [init](crate::init), which comes from a volume (`program`)
//! and is spoken to through the container's stdin and stdout (`stream`). When the runner dies, the
//! Engine closes that stdin: the init ends, and the container is removed. What is left all the same
//! is found by its labels (`owner`).

mod answer;
pub mod care;
mod check;
mod container;
mod death;
mod debts;
mod engine;
mod entrypoint;
mod environment;
pub mod image;
mod limits;
mod own_container;
mod owner;
mod prepare;
mod program;
pub mod reach;
pub mod service;
mod settings;
mod settle;
mod socket;
mod stream;

use std::sync::Arc;

use async_trait::async_trait;
use outrider_model::AttemptId;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use self::care::Care;
use self::debts::Debts;
use self::engine::Engine;
use self::image::{HostLogins, Images, Patience};
use self::limits::Host;
use self::own_container::OwnContainer;
pub use self::own_container::own_container_id;
use self::owner::{Owner, remove_attempt};
use self::prepare::Preparation;
use self::program::Program;
pub use self::settings::{
    BuildCacheCare, DockerSettings, ImageCare, Limits, Privileges, PullPolicy,
};
use self::socket::Socket;
use crate::{Environment, Executor, ExecutorError, Finding, Handle, PrepareRequest};

/// Finds the containers of an attempt again: by their label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerHandle {
    /// Whose they are.
    pub attempt: AttemptId,
}

/// Runs steps in containers.
///
/// The Engine is looked for when it is first needed, and again after that if there was none. At the
/// first `prepare` or `recover` the containers of owners that are gone are removed.
pub struct DockerExecutor {
    settings: DockerSettings,
    base: OnceCell<Base>,
}

/// What all containers of an executor share.
struct Base {
    engine: Arc<Engine>,
    host: Host,
    owner: Owner,
    /// For jobs that may have it.
    socket: Option<Socket>,
    images: Images,
    care: Arc<Care>,
    debts: Arc<Debts>,
    program: Program,
    /// Whether the program's volume was seen to be complete.
    program_is_there: OnceCell<bool>,
}

impl Base {
    async fn find(settings: &DockerSettings) -> Result<Self, ExecutorError> {
        let engine = Engine::connect(settings.engine.as_deref(), settings.patience).await?;
        let program = Program::load(settings.program.clone()).await?;
        let own = OwnContainer::find(&engine).await?;
        let socket = socket(settings, &engine, own.as_ref());
        let folder = &settings.owners;
        let start = own.map(|own| own.start);
        let owner = Owner::claim(folder, &settings.runner_name, start).map_err(|error| {
            let message = format!("no lock could be made in `{}`", folder.display());
            ExecutorError::infrastructure(message, error)
        })?;
        owner.sweep(&engine).await;
        let docker = engine.docker();
        let care = Care::new(docker.clone(), settings.images, folder)
            .here(engine.socket().is_some())
            .of_builds(settings.build_cache)
            .sparing(program.volume());
        let care = Arc::new(care);
        let logins = HostLogins::of_user();
        let books = Arc::clone(&care);
        let images = Images::new(
            docker.clone(),
            settings.pull,
            logins,
            books,
            Patience::default(),
        );
        Ok(Self {
            host: Host::of(engine.info(), engine.is_rootless()),
            images,
            care,
            debts: Arc::default(),
            engine: Arc::new(engine),
            owner,
            socket,
            program,
            program_is_there: OnceCell::new(),
        })
    }
}

/// The socket that jobs get, if the owner of the runner lets them have one.
fn socket(
    settings: &DockerSettings,
    engine: &Engine,
    own: Option<&OwnContainer>,
) -> Option<Socket> {
    if !settings.privileges.docker_socket {
        return None;
    }
    let socket = Socket::find(engine, own);
    if socket.is_none() {
        let address = engine.address();
        tracing::warn!(
            "jobs get no Engine: {address} is no socket of its host that can be mounted"
        );
    }
    socket
}

impl DockerExecutor {
    /// An executor that has not touched anything yet.
    pub const fn new(settings: DockerSettings) -> Self {
        Self {
            settings,
            base: OnceCell::const_new(),
        }
    }

    async fn base(&self) -> Result<&Base, ExecutorError> {
        self.base
            .get_or_try_init(|| Base::find(&self.settings))
            .await
    }
}

#[async_trait]
impl Executor for DockerExecutor {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn check(&self) -> Vec<Finding> {
        check::all(&self.settings).await
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let base = self.base().await?;
        base.engine.greet().await?;
        base.debts.pay(&base.engine).await;
        let preparation = Preparation::new(base, &self.settings, &request)?;
        let environment = Box::pin(preparation.run()).await?;
        Ok(Arc::new(environment))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        let Handle::Docker(handle) = handle else {
            let message = "the docker executor cannot recover what another executor has made";
            return Err(ExecutorError::infrastructure(message, None));
        };
        remove_attempt(&self.base().await?.engine, handle.attempt).await
    }
}
