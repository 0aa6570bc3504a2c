//! A runner in this process: what `outrider run`, `outrider server --with-runner` and
//! `outrider runner start` share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outrider_api::client::{Client, ClientSettings};
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_executor::Executor;
use outrider_executor::by_kind::{ByKind, Route};
use outrider_executor::docker::{DockerExecutor, own_container_id};
use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_model::ClassName;
use outrider_model::secret::Token;
use outrider_runner::{Runner, RunnerError, RunnerSettings};
use outrider_server::Core;
use outrider_service::{OsRandom, Shutdown, SystemClock};
use tokio::task::JoinHandle;

use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::paths;
use crate::run::Hurried;
use crate::runner::ExecutorKind;

/// What a runner on this host needs.
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Its spool and its working directories lie here.
    pub data: PathBuf,
    /// What outlives a run of it, and only saves work: mirrors of repositories, what it knows of
    /// files [default: the same folder].
    pub kept: Option<PathBuf>,
    /// How to reach the server.
    pub server: ClientSettings,
    /// How many tasks it runs at once.
    pub slots: usize,
    /// In what all jobs run. None: in what they name.
    pub executor: Option<ExecutorKind>,
    /// How containers run.
    pub docker: DockerArgs,
    /// What stands before every shell.
    pub command_prefix: Vec<String>,
    /// Whether working directories are removed.
    pub cleanup_working_directory: bool,
    /// Variables for all steps.
    pub environment: BTreeMap<String, String>,
    /// How long a task may run.
    pub max_run_time: Duration,
    /// How long processes have between TERM and KILL.
    pub stop_grace: Duration,
    /// After how long without work it ends.
    pub idle_timeout: Option<Duration>,
    /// Whether it ends after one task.
    pub single_task: bool,
    /// When this stops, steps have no time left to end in order.
    pub hurry: Option<Shutdown>,
}

impl Settings {
    /// The usual ones.
    pub fn new(name: impl Into<String>, data: PathBuf, url: String, token: Token) -> Self {
        Self {
            name: name.into(),
            data,
            kept: None,
            server: ClientSettings {
                url,
                token,
                ca_certificates: None,
            },
            slots: 1,
            executor: None,
            docker: DockerArgs::default(),
            command_prefix: Vec::new(),
            cleanup_working_directory: true,
            environment: BTreeMap::new(),
            max_run_time: Duration::from_secs(5 * 3_600),
            stop_grace: Duration::from_secs(10),
            idle_timeout: None,
            single_task: false,
            hurry: None,
        }
    }

    /// A name that no other runner on this host has, and that this one has again after a restart:
    /// two runners may be called the same, but never share a data folder.
    fn unique_name(&self) -> String {
        let hash = blake3::hash(self.data.as_os_str().as_encoded_bytes()).to_hex();
        format!("{}-{}", self.name, &hash[..12])
    }

    fn executor(&self) -> Arc<dyn Executor> {
        let route = match self.executor {
            Some(ExecutorKind::Docker) => Route::Containers,
            Some(ExecutorKind::Process) => Route::Processes,
            None => Route::ByKind(self.docker.engine()),
        };
        let by_kind = ByKind::new(
            Arc::new(self.containers()),
            Arc::new(self.processes()),
            route,
        );
        let executor: Arc<dyn Executor> = Arc::new(by_kind);
        match &self.hurry {
            Some(hurry) => Arc::new(Hurried::new(executor, hurry.clone())),
            None => executor,
        }
    }

    fn containers(&self) -> DockerExecutor {
        let program = std::env::current_exe().unwrap_or_default();
        let owners = paths::container_owners();
        let owners = owners.unwrap_or_else(|| self.data.join("container-owners"));
        DockerExecutor::new(self.docker.settings(&self.name, &program, &owners))
    }

    fn processes(&self) -> ProcessExecutor {
        ProcessExecutor::new(ProcessSettings {
            command_prefix: self.command_prefix.clone(),
            cleanup_working_directory: self.cleanup_working_directory,
            images_on_host: self.executor == Some(ExecutorKind::Process),
            ..ProcessSettings::new(self.data.join("work"), self.unique_name())
        })
    }

    fn runner_settings(&self) -> RunnerSettings {
        let kept = self.kept.as_ref().unwrap_or(&self.data);
        RunnerSettings {
            hostname: hostname(),
            server_url: Some(self.server.url.clone()),
            // Steps are processes of this host.
            program: std::env::current_exe().ok(),
            mirrors: Some(kept.join("mirrors")),
            trees: Some(kept.join("trees")),
            slots: self.slots.max(1),
            max_run_time: self.max_run_time,
            stop_grace: self.stop_grace,
            extra_environment: self.environment.clone(),
            inherited_environment: std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            sudo_in_containers: self.docker.allows_sudo(),
            idle_timeout: self.idle_timeout,
            single_task: self.single_task,
            ..RunnerSettings::new(self.name.clone(), self.data.join("spool"))
        }
    }
}

/// A runner that is running.
pub struct LocalRunner(JoinHandle<Result<(), RunnerError>>);

impl LocalRunner {
    /// Waits for its end.
    pub async fn ended(self) -> Result<(), Failure> {
        let ended = self
            .0
            .await
            .map_err(|error| Failure::internal("run tasks", error))?;
        Ok(ended?)
    }
}

/// Starts a runner.
#[expect(
    clippy::disallowed_methods,
    reason = "the handle is awaited by `LocalRunner::ended`"
)]
pub fn start(mut settings: Settings, shutdown: Shutdown) -> Result<LocalRunner, Failure> {
    if settings.slots == 0 {
        return Err(
            Failure::new(code::BAD_SETTINGS, "a runner needs at least one slot")
                .advise("Give --slots (for `outrider run`: --runners) a number from 1."),
        );
    }
    paths::private_directory(&settings.data)?;
    // Steps see paths below it, and should not see how somebody named it.
    settings.data = settings
        .data
        .canonicalize()
        .map_err(|error| Failure::cannot_write(settings.data.display(), error))?;
    let client = Client::new(&settings.server)?;
    let runner = Runner::new(
        settings.runner_settings(),
        Arc::new(client.clone()),
        Arc::new(client),
        settings.executor(),
        Arc::new(SystemClock),
        Arc::new(OsRandom::new()),
    );
    Ok(LocalRunner(tokio::spawn(runner.run(shutdown))))
}

/// A new token for runners of a class.
pub async fn class_token(core: &Core, class: &ClassName) -> Result<Token, Failure> {
    let request = CreateToken {
        scope: TokenScope::Class {
            class: class.clone(),
        },
        nickname: "the server's own runner".to_owned(),
    };
    let created = core.create_token(&request).await;
    let created = created.map_err(|error| Failure::internal("make a token", error))?;
    Ok(Token::presented(created.token))
}

/// What stands for the runner's own container in its name.
pub const CONTAINER: &str = "{container}";

/// What a runner is called that was given this name.
pub fn name(given: Option<String>) -> Result<String, Failure> {
    let name = given.unwrap_or_else(hostname);
    if !name.contains(CONTAINER) {
        return Ok(name);
    }
    let id = own_container_id().ok_or_else(|| {
        let message = format!("the runner's name has {CONTAINER}, and it is in no container");
        Failure::new(code::BAD_SETTINGS, message).advise("Give it another --name.")
    })?;
    Ok(name.replace(CONTAINER, &id[..12]))
}

/// What this host is called.
pub fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
