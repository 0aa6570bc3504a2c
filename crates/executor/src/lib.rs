//! How a task becomes processes.
//!
//! An [`Executor`] makes [`Environment`]s, one per attempt; the runner's task driver runs the steps
//! in it. All executors, the [`fake`] included, pass one [`conformance`] suite.

pub mod conformance;
pub mod fake;
mod path;
pub mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_model::AttemptId;
use outrider_model::plan::EnvironmentKind;
use outrider_model::report::{Exit, Usage};
use serde::{Deserialize, Serialize};

use self::path::resolve;

/// The file in [`Environment::directory`] that carries exports from one bash step to the next:
/// what `BASH_ENV` names. The runner makes it.
pub const SHELL_ENV: &str = ".outrider-bash-env";

/// Makes environments for tasks: as processes on the host, in containers, in VMs.
///
/// # Contract
///
/// - **Concurrency.** All methods may be called at the same time for different attempts. The
///   runner prepares one environment per attempt, and never two for the same attempt.
/// - **Order.** `check` at start-up; for each handle that an earlier process of this runner left
///   behind, `recover`; then `prepare` as tasks come.
/// - **Idempotence.** `recover` may be repeated, also for what is already gone.
/// - **After a crash.** Whatever `prepare` and `exec` create can be found again from the [`Handle`]
///   that the runner has written to its disk before the first `exec`.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Its name on the command line: `process`, `docker`, …
    fn name(&self) -> &'static str;

    /// What this host offers and what it lacks. Cheap; changes nothing.
    async fn check(&self) -> Vec<Finding>;

    /// Makes the place where one attempt's steps run. On error nothing is left behind.
    async fn prepare(&self, request: PrepareRequest)
    -> Result<Arc<dyn Environment>, ExecutorError>;

    /// Ends every process that the handle's environment left behind and removes what it made.
    /// When it returns `Ok`, nothing is left.
    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError>;
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

    /// A directory of the host whose files the steps see, and that is removed by `cleanup`: where
    /// the runner itself can put files, for example at `checkout`.
    fn directory(&self) -> &Path;

    /// The path that steps see for a path from the config: `~` is [`Environment::directory`],
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

/// Where a step's output goes. Waiting in `write` holds the step back, and nobody else.
#[async_trait]
pub trait Output: Send + Sync {
    /// Takes the next bytes.
    async fn write(&self, bytes: Bytes);
}

/// What an environment is made for.
#[derive(Clone, Debug)]
pub struct PrepareRequest {
    /// The attempt; unique, so it can name what is made.
    pub attempt: AttemptId,
    /// Which of the runner's slots it occupies, from 0. No two live environments share one.
    pub slot: usize,
    /// What the config wants it to run in.
    pub kind: EnvironmentKind,
    /// The job's working directory as in the config, for example `~/project`.
    pub working_directory: String,
}

/// One script to run.
#[derive(Clone, Debug)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecResult {
    /// How its own process ended.
    pub exit: Exit,
    /// What it and the children that it waited for used.
    pub usage: Option<Usage>,
}

/// What an executor needs to find an environment again. The runner writes it to its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "executor")]
pub enum Handle {
    /// Of the process executor.
    Process(process::ProcessHandle),
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

/// An executor could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExecutorError {
    /// Who has to mend it.
    pub fault: Fault,
    /// What could not be done.
    pub message: String,
    /// Why.
    #[source]
    pub source: Option<std::io::Error>,
}

/// Who has to mend an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The author of the config or the code: a shell that does not exist, say.
    User,
    /// Whoever runs the host: a full disk, say. The task may be tried elsewhere.
    Infrastructure,
}

impl ExecutorError {
    /// An error of the config's or the code's author.
    pub fn user(message: impl fmt::Display, source: impl Into<Option<std::io::Error>>) -> Self {
        Self {
            fault: Fault::User,
            message: message.to_string(),
            source: source.into(),
        }
    }

    /// An error of the host.
    pub fn infrastructure(
        message: impl fmt::Display,
        source: impl Into<Option<std::io::Error>>,
    ) -> Self {
        Self {
            fault: Fault::Infrastructure,
            message: message.to_string(),
            source: source.into(),
        }
    }
}
