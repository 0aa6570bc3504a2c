//! How a task becomes processes.
//!
//! An [`Executor`] makes [`Environment`]s, one per attempt; the runner's task driver runs the steps
//! in it. All executors, the [`fake`] included, pass one [`conformance`] suite.

pub mod by_kind;
mod cgroup;
pub mod conformance;
pub mod docker;
mod error;
pub mod fake;
pub mod init;
mod path;
pub mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_model::AttemptId;
use outrider_model::plan::EnvironmentKind;
use outrider_model::report::{Exit, Usage};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::error::{ExecutorError, Fault};
use self::path::resolve;

/// The file in `~` that carries exports from one bash step to the next: what `BASH_ENV` names. The
/// runner makes it.
pub const SHELL_ENV: &str = ".outrider-bash-env";

/// Makes environments for tasks: as processes on the host, in containers, in VMs.
///
/// # Contract
///
/// - **Concurrency.** All methods may be called at the same time for different attempts. The
///   runner prepares one environment per attempt, and never two for the same attempt.
/// - **Order.** `check` at start-up; for each handle that an earlier process of this runner left
///   behind, `recover`; then `begin`, and `prepare` as tasks come; at last `end`.
/// - **Idempotence.** `recover` may be repeated, also for what is already gone.
/// - **After a crash.** Whatever `prepare` and `exec` create can be found again from the [`Handle`]
///   that the runner has written to its disk before the first `exec`.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Its name on the command line: `process`, `docker`, …
    fn name(&self) -> &'static str;

    /// What this host offers and what it lacks. Cheap; changes nothing.
    async fn check(&self) -> Vec<Finding>;

    /// Why no task can start now: nothing is claimed until that is over. Cheap, since it is asked
    /// before every claim.
    async fn obstacle(&self) -> Option<ExecutorError> {
        None
    }

    /// Tasks may come from now on: begins, in the background, with what can be made ready before
    /// they do.
    fn begin(&self) {}

    /// Makes the place where one attempt's steps run. On error nothing is left behind.
    async fn prepare(&self, request: PrepareRequest)
    -> Result<Arc<dyn Environment>, ExecutorError>;

    /// Ends every process that the handle's environment left behind and removes what it made.
    /// When it returns `Ok`, nothing is left.
    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError>;

    /// Makes environments of processes on the runner's own host, for what the runner does there in a
    /// step's place while the task's environment hides its files. `recover` knows their handles.
    /// None: there are no such environments, or the runner does all that in the task's own.
    fn host(&self) -> Option<&dyn Executor> {
        None
    }

    /// No task comes any more: removes what was made ready for one, and what would help to clean up
    /// after this process, if there is nothing to be cleaned up.
    async fn end(&self) {}
}

/// The place where the steps of one attempt run.
///
/// # Contract
///
/// - `exec` may be called while another `exec` runs (background steps).
/// - `stop` may be called at any time, at the same time as `exec`, and again: it ends the whole
///   process tree, double-forked children and new sessions included, first with TERM, after
///   `grace` for certain. A pending `exec` then returns how its process ended. After `stop`,
///   `exec` is an error.
/// - `cleanup` comes last, may be repeated, ends what still runs, and waits until no [`Output`]
///   will be written any more. Nothing is left behind, on error too as far as possible.
/// - Dropping an environment without `cleanup` leaves its processes running: the runner always
///   calls it, and after a crash calls [`Executor::recover`].
#[async_trait]
pub trait Environment: Send + Sync {
    /// Enough to find it again after a crash of the runner.
    fn handle(&self) -> Handle;

    /// Where its files are, for what the runner itself does in a step's place.
    fn files(&self) -> Files<'_>;

    /// What steps see before anybody adds anything: of a container the variables of its image, and
    /// `HOME`. None: steps are processes of this host, and see what the runner lets through of its
    /// own variables.
    fn variables(&self) -> Option<&BTreeMap<String, String>> {
        None
    }

    /// The shell of steps that name none. None: that of this host.
    fn default_shell(&self) -> Option<&[String]> {
        None
    }

    /// The folder of the helper, as steps see it: it comes first on their `PATH`. None: that of this
    /// host.
    fn helper_directory(&self) -> Option<&Path> {
        None
    }

    /// Where steps find the socket of a Docker Engine. None: they have none, also if they were
    /// prepared with [`PrepareRequest::wants_docker`]. A step that needs one is then to be refused.
    fn docker_socket(&self) -> Option<&Path> {
        None
    }

    /// What runs beside the steps, such as a database.
    fn services(&self) -> &[Service] {
        &[]
    }

    /// Hands everything that a service writes to `output`, from its start on. It returns when the
    /// service has ended: how, unless that was because the environment is cleaned up.
    async fn follow_service(&self, index: usize, output: Arc<dyn Output>) -> Option<Exit> {
        let _ = (index, output);
        None
    }

    /// The path that steps see for a path from the config: `~` is the home of the job,
    /// a relative path is below the job's working directory.
    fn resolve(&self, path: &str) -> PathBuf;

    /// Runs one script to its end.
    ///
    /// Everything that the step writes to stdout and stderr goes to `output` in the order in which
    /// it was written. It returns when the script's own process ends, after all that was written
    /// until then has been handed to `output`; a child that lives on is not waited for, and what
    /// it writes later still reaches `output`.
    async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError>;

    /// Ends the whole process tree: TERM, then after `grace` KILL, until nothing is left.
    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError>;

    /// Ends what still runs, waits for its output, and removes everything that was made.
    async fn cleanup(&self) -> Result<(), ExecutorError>;
}

/// Where the files of an environment are.
#[derive(Clone, Copy)]
pub enum Files<'a> {
    /// In this directory of the host, which steps see as `~` under the same path. `cleanup` removes
    /// it.
    Here(&'a Path),
    /// Where only what runs inside can reach them.
    Inside(&'a dyn Inside),
}

impl<'a> Files<'a> {
    /// The directory of the host, if there is one.
    pub const fn here(self) -> Option<&'a Path> {
        match self {
            Self::Here(directory) => Some(directory),
            Self::Inside(_) => None,
        }
    }
}

/// The files of an environment that the host does not see.
///
/// Paths are as steps see them, and everything is done with the rights of the steps' user. What is
/// inside belongs to the job: nothing that comes from there is to be trusted.
#[async_trait]
pub trait Inside: Send + Sync {
    /// Writes a file, over an older one, and makes the folders above it (with mode 0700) that are
    /// not there.
    async fn write_file(&self, path: &Path, mode: u32, bytes: Bytes) -> Result<(), ExecutorError>;

    /// Whether there is anything with this name, a dangling link included.
    async fn exists(&self, path: &Path) -> Result<bool, ExecutorError>;

    /// Removes a file, or a folder with all that is in it. What is not there is no error.
    async fn remove(&self, path: &Path) -> Result<(), ExecutorError>;

    /// Starts this program (`outrider`) inside, and connects its stdin and stdout. What it writes to
    /// stderr goes to `output`.
    async fn start_tool(
        &self,
        request: ToolRequest,
        output: Arc<dyn Output>,
    ) -> Result<Tool, ExecutorError>;
}

/// The program itself, to be run inside an environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToolRequest {
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Its whole environment, except what the executor itself must add.
    pub environment: BTreeMap<String, String>,
}

/// The program while it runs inside an environment. It is killed when all three parts are dropped
/// before it has ended, and by [`Environment::stop`].
pub struct Tool {
    /// Its stdin; shutting it down is the end of the file.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// Its stdout. It must be read: what is not read holds the tool back, and nobody else.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// How it ends.
    pub ended: BoxFuture<Result<ExecResult, ExecutorError>>,
}

/// A future that is passed around.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Something that runs beside the steps of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// For people: the image, and the name by which steps reach it where it has one.
    pub name: String,
}

/// Where a step's output goes. Waiting in `write` holds the step back, and nobody else.
#[async_trait]
pub trait Output: Send + Sync {
    /// Takes the next bytes.
    async fn write(&self, bytes: Bytes);
}

/// An output that nobody reads.
pub struct Discard;

#[async_trait]
impl Output for Discard {
    async fn write(&self, _: Bytes) {}
}

/// What an environment is made for.
#[derive(Clone)]
pub struct PrepareRequest {
    /// The attempt; unique, so it can name what is made.
    pub attempt: AttemptId,
    /// Which of the runner's slots it occupies, from 0. No two live environments share one.
    pub slot: usize,
    /// What the config wants it to run in.
    pub kind: EnvironmentKind,
    /// The job's working directory as in the config, for example `~/project`.
    pub working_directory: String,
    /// The class as the config wrote it, for example `medium`: limits may depend on it.
    pub resource_class: Option<String>,
    /// What `$NAME` means in the credentials of registries. There are secrets in it: it is never
    /// logged.
    pub variables: BTreeMap<String, String>,
    /// Whether a step wants to use a Docker engine (`setup_remote_docker`).
    pub wants_docker: bool,
    /// Hears of what takes long, such as a pull: whole lines.
    pub progress: Arc<dyn Output>,
}

impl PrepareRequest {
    /// A request that asks for nothing special, and whose progress nobody follows.
    pub fn new(
        attempt: AttemptId,
        slot: usize,
        kind: EnvironmentKind,
        working_directory: impl Into<String>,
    ) -> Self {
        Self {
            attempt,
            slot,
            kind,
            working_directory: working_directory.into(),
            resource_class: None,
            variables: BTreeMap::new(),
            wants_docker: false,
            progress: Arc::new(Discard),
        }
    }
}

impl fmt::Debug for PrepareRequest {
    /// Without the variables: there may be secrets in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrepareRequest")
            .field("attempt", &self.attempt)
            .field("slot", &self.slot)
            .field("kind", &self.kind)
            .field("working_directory", &self.working_directory)
            .field("resource_class", &self.resource_class)
            .field("wants_docker", &self.wants_docker)
            .finish_non_exhaustive()
    }
}

/// One script to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecRequest {
    /// The interpreter and its arguments, for example `/bin/bash`, `-eo`, `pipefail`. The path of
    /// a file that holds the script is added as the last argument: scripts may be longer than an
    /// argument may be, and others on the host cannot read them in the process list.
    pub shell: Vec<String>,
    /// The script.
    pub script: String,
    /// The whole environment of the step, except what the executor itself must add.
    pub environment: BTreeMap<String, String>,
    /// Where it starts, as [`Environment::resolve`] gave it. It is created if it does not exist.
    pub working_directory: PathBuf,
}

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecResult {
    /// How its own process ended.
    pub exit: Exit,
    /// What it and the children that it waited for used.
    pub usage: Option<Usage>,
    /// The environment's limit on memory in bytes, if the kernel has ended processes because of it
    /// while the script ran.
    pub out_of_memory: Option<u64>,
}

/// What an executor needs to find an environment again. The runner writes it to its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "executor")]
pub enum Handle {
    /// Of the process executor.
    Process(process::ProcessHandle),
    /// Of the docker executor.
    Docker(docker::DockerHandle),
    /// Of the fake executor.
    Fake(fake::FakeHandle),
}

/// One thing that [`Executor::check`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, for example `cgroup v2`.
    pub subject: String,
    /// Whether it is there.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it, unless all is well.
    pub advice: Option<String>,
}

/// How a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All is well.
    Good,
    /// It works, with less than it could.
    Limited,
    /// The executor does not work without it.
    Missing,
}
