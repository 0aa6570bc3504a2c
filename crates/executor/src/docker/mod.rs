//! Runs steps in containers of a Docker Engine.
//!
//! The runner speaks to the Engine's API only (`engine`); no file of the host is shared with a
//! container. Its first process is our [init](crate::init), which comes from a volume (`program`)
//! and is spoken to through the container's stdin and stdout (`stream`). When the runner dies, the
//! Engine closes that stdin: the init ends, and the container is removed. What is left all the same
//! is found by its labels (`owner`). Containers may wait for tasks (`warm`).

mod answer;
mod boot;
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
mod removal;
pub mod service;
mod settings;
mod settle;
mod socket;
mod stream;
mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use outrider_model::AttemptId;
use outrider_model::plan::DockerImage;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

use self::care::Care;
use self::debts::Debts;
use self::engine::Engine;
use self::image::{HostLogins, Images, Patience, Provided};
use self::limits::{Host, in_vain};
use self::own_container::OwnContainer;
pub use self::own_container::own_container_id;
use self::owner::{Owner, Role};
use self::prepare::Preparation;
use self::program::Program;
use self::removal::{remove_orphans, remove_task};
pub use self::settings::{
    BuildCacheCare, DockerSettings, ImageCare, Limits, Privileges, PullPolicy, Warm,
};
use self::socket::Socket;
use self::warm::Pool;
use crate::{Environment, Executor, ExecutorError, Finding, Handle, Output, PrepareRequest};

/// Finds the containers of an attempt again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DockerHandle {
    /// Whose they are, as their labels say.
    pub attempt: AttemptId,
    /// The primary container: one that has waited has no such label. None: an older runner wrote
    /// the handle.
    #[serde(default)]
    pub container: Option<String>,
}

/// Runs steps in containers.
///
/// The Engine is looked for when it is first needed, and again after that if there was none. At the
/// first `prepare` or `recover`, and beside each later `prepare`, the containers of owners that are
/// gone are removed.
pub struct DockerExecutor {
    core: Arc<Core>,
    _ends_the_pool: DropGuard,
}

/// An executor, as what it does in the background shares it.
struct Core {
    settings: DockerSettings,
    base: OnceCell<Base>,
    warm: Pool,
}

impl Core {
    async fn base(&self) -> Result<&Base, ExecutorError> {
        // Boxed: it is large, and all who ask for the base carry it.
        self.base
            .get_or_try_init(|| Box::pin(Base::find(&self.settings)))
            .await
    }
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
    /// What no job waits for.
    tasks: TaskTracker,
}

impl Base {
    async fn find(settings: &DockerSettings) -> Result<Self, ExecutorError> {
        let engine = Engine::connect(settings.engine.as_deref(), settings.patience).await?;
        let program = Program::load(settings.program.clone()).await?;
        let own = OwnContainer::find(&engine).await?;
        let socket = socket(settings, &engine, own.as_ref());
        let folder = &settings.owners;
        let start = own.as_ref().map(|own| own.start.clone());
        let id = engine.identity();
        let owner = Owner::claim(folder, &settings.runner_name, start, id).map_err(|error| {
            let message = format!("no lock could be made in `{}`", folder.display());
            ExecutorError::infrastructure(message, error)
        })?;
        owner.sweep(&engine).await;
        remove_orphans(&engine).await;
        let docker = engine.docker();
        let root = engine.info().docker_root_dir.as_deref();
        let seen = own.filter(|own| own.is_below(folder, root));
        let care = Care::new(docker.clone(), settings.images, folder)
            .seen_at(seen.map(|_| folder.clone()))
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
        let host = Host::of(engine.info(), engine.is_rootless());
        let vain = in_vain(&[settings.limits, settings.service_limits], &host);
        if !vain.is_empty() {
            tracing::warn!(
                "limits of containers that the Engine cannot keep: {}; `outrider doctor` says why",
                vain.join(", ")
            );
        }
        Ok(Self {
            host,
            images,
            care,
            debts: Arc::default(),
            engine: Arc::new(engine),
            owner,
            socket,
            program,
            program_is_there: OnceCell::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Does what no job waits for: removes what runners have left that died meanwhile, and looks
    /// after the Engine's disk. Says what is wrong with that.
    async fn tidy(&self) -> Option<String> {
        let sweeping = self.owner.sweep(&self.engine);
        tokio::join!(sweeping, self.care.care_if_due()).1
    }

    /// Makes sure that the Engine has what a primary container of this image needs.
    async fn provide(
        &self,
        image: &DockerImage,
        variables: &BTreeMap<String, String>,
        progress: &Arc<dyn Output>,
    ) -> Result<Provided, ExecutorError> {
        let providing = self.images.provide(image, variables, progress);
        let image = Box::pin(providing).await?;
        self.program_is_there
            .get_or_try_init(|| self.ensure_program(&image.id))
            .await?;
        Ok(image)
    }

    /// Whether the program's volume was gone, and is there again. The Engine makes an empty one in
    /// its place without a word, from which no container starts.
    async fn has_refilled_program(&self, image: &str) -> bool {
        self.ensure_program(image).await.unwrap_or(false)
    }

    async fn ensure_program(&self, image: &str) -> Result<bool, ExecutorError> {
        let labels = self.owner.labels(Role::Program);
        // Others may start with the same program at the same time.
        let _alone = self.owner.alone("program").await.map_err(|error| {
            let what = "other runners of this user cannot be kept from the program's volume";
            ExecutorError::infrastructure(what, error)
        })?;
        Box::pin(self.program.ensure(&self.engine, image, labels)).await
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
    pub fn new(settings: DockerSettings) -> Self {
        let warm = Pool::new(&settings.warm);
        Self {
            _ends_the_pool: warm.ends_when_dropped(),
            core: Arc::new(Core {
                settings,
                base: OnceCell::new(),
                warm,
            }),
        }
    }

    /// The ids of the containers that wait for tasks now.
    pub fn waiting(&self) -> Vec<String> {
        self.core.warm.waiting()
    }
}

#[async_trait]
impl Executor for DockerExecutor {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn check(&self) -> Vec<Finding> {
        check::all(&self.core.settings).await
    }

    async fn obstacle(&self) -> Option<ExecutorError> {
        Engine::absent(self.core.settings.engine.as_deref()).await
    }

    fn begin(&self) {
        Pool::begin(&self.core);
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let base = self.core.base().await?;
        base.engine.greet().await?;
        base.debts.pay(&base.engine).await;
        let preparation = Preparation::new(&self.core, base, &request)?;
        let environment = Box::pin(preparation.run()).await?;
        Ok(Arc::new(environment))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        let Handle::Docker(handle) = handle else {
            let message = "the docker executor cannot recover what another executor has made";
            return Err(ExecutorError::infrastructure(message, None));
        };
        remove_task(&self.core.base().await?.engine, handle).await
    }

    async fn end(&self) {
        self.core.warm.end().await;
        if let Some(base) = self.core.base.get() {
            base.owner.retire(&base.engine).await;
        }
    }
}
