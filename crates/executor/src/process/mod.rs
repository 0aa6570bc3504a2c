//! Runs steps as processes on the host.
//!
//! Each script is a process group or a session of its own, without a terminal (`clone`), and all
//! processes of an attempt are in one cgroup (`cgroup`), or are found by searching where the host
//! has no cgroups of version 2 for us (`sweep`). How they are ended is in `containment`. A script's
//! output comes through one pipe (`pipe`, `relay`).

mod cgroup;
mod check;
pub(crate) mod child;
pub(crate) mod clone;
mod containment;
mod directory;
mod environment;
mod home;
pub(crate) mod orphans;
pub(crate) mod pipe;
pub(crate) mod proc;
mod readiness;
pub(crate) mod relay;
pub(crate) mod spawn;
pub(crate) mod start;
mod sweep;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use outrider_model::AttemptId;
use outrider_model::plan::EnvironmentKind;
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::cgroup::{Cgroup, Cgroups};
use self::containment::Containment;
pub(crate) use self::directory::remove_all;
use self::environment::{Phase, ProcessEnvironment, State};
use self::home::Homes;
use self::spawn::infrastructure;
use self::sweep::{Scope, Sweep};
use crate::{Environment, Executor, ExecutorError, Finding, Handle, PrepareRequest};

/// How to run steps as processes.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// Each attempt gets a directory of its own below this one, named after its id. Made when it
    /// is needed.
    pub root: PathBuf,
    /// Tells the runners of one host apart; the same again after a restart. It becomes part of the
    /// names of a cgroup and of directories, in which all but letters, digits, `-`, `_` and `.`
    /// becomes `_`.
    pub runner_name: String,
    /// What stands before every shell, for example `["nice", "-n", "10"]`. Usually empty.
    pub command_prefix: Vec<String>,
    /// Whether the attempt's directory is removed when it is over. Usually true.
    pub cleanup_working_directory: bool,
    /// Whether cgroups are used where the host has them. Usually true.
    pub cgroups: bool,
    /// Whether jobs that name a docker image run on the host, without the image. Usually false:
    /// nobody is to be surprised by that.
    pub images_on_host: bool,
}

impl ProcessSettings {
    /// The usual settings.
    pub fn new(root: impl Into<PathBuf>, runner_name: impl Into<String>) -> Self {
        Self {
            root: root.into(),
            runner_name: runner_name.into(),
            command_prefix: Vec::new(),
            cleanup_working_directory: true,
            cgroups: true,
            images_on_host: false,
        }
    }
}

/// Finds a process environment again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessHandle {
    /// Whose it is. All its processes have this id in the variable `OUTRIDER_ATTEMPT`.
    pub attempt: AttemptId,
    /// What was made for it.
    pub directory: PathBuf,
    /// The cgroup that its processes were started in, if there was one. The next attempt of the
    /// same slot uses it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<PathBuf>,
}

/// Runs steps as processes on the host, with the rights of the runner.
///
/// Where the host has no cgroups of version 2 that the runner may use, the first `prepare` makes
/// the whole process a subreaper (prctl(2)): orphans among the steps' processes become its
/// children. They are waited for without touching other children of the process, as long as those
/// stay in its session.
///
/// The kernel counts the peak memory of a script from before its shell was executed, when the
/// process still shared the runner's memory: so a peak is never reported as less than the runner's
/// own, some 10 MB.
pub struct ProcessExecutor {
    settings: ProcessSettings,
    prefix: Arc<[String]>,
    homes: Arc<Homes>,
    cgroups: OnceLock<Result<Cgroups, String>>,
}

impl ProcessExecutor {
    /// An executor that has not touched anything yet.
    pub fn new(mut settings: ProcessSettings) -> Self {
        // Handles must mean the same wherever the next runner is started from.
        settings.root = std::path::absolute(&settings.root).unwrap_or(settings.root);
        let prefix = settings.command_prefix.as_slice().into();
        let homes = Arc::new(Homes::new(
            settings.root.clone(),
            &tame(&settings.runner_name),
        ));
        Self {
            settings,
            prefix,
            homes,
            cgroups: OnceLock::new(),
        }
    }

    fn check_image(&self, kind: &EnvironmentKind) -> Result<(), ExecutorError> {
        match kind {
            EnvironmentKind::Docker { images } if !self.settings.images_on_host => {
                let image = images.first().map_or("", |image| image.image.as_str());
                let message = format!(
                    "the job wants the docker image {image}, and this runner reaches no Docker \
                     Engine; start one on its host (or name it with --docker-host), or start the \
                     runner with --executor process to run such jobs on the host without their \
                     image"
                );
                Err(ExecutorError::user(message, None))
            }
            _ => Ok(()),
        }
    }

    /// Why processes are found by searching instead of by their cgroup, if that is so. Known from
    /// the first `prepare` on.
    pub fn cgroups_missing(&self) -> Option<&str> {
        self.cgroups.get()?.as_ref().err().map(String::as_str)
    }

    /// Removes the cgroups and directories that are kept for later attempts. Dropping the executor
    /// does it too.
    pub fn shutdown(&self) {
        if let Some(Ok(cgroups)) = self.cgroups.get() {
            cgroups.remove_unused();
        }
        self.homes.remove_spares();
    }

    fn cgroups(&self) -> &Result<Cgroups, String> {
        self.cgroups.get_or_init(|| {
            if !self.settings.cgroups {
                return Err("switched off".to_owned());
            }
            Cgroups::create(&tame(&self.settings.runner_name))
        })
    }

    fn contain(&self, request: &PrepareRequest, directory: &Path) -> io::Result<Containment> {
        if let Ok(cgroups) = self.cgroups() {
            return Ok(Containment::Cgroup(
                cgroups.acquire(request.slot, request.attempt)?,
            ));
        }
        orphans::adopt()?;
        let sweep = Sweep::new(request.attempt, directory, Scope::Descendants);
        Ok(Containment::Sweep(Arc::new(sweep)))
    }
}

impl Drop for ProcessExecutor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// What can stand in the name of a file or cgroup.
fn tame(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

#[async_trait]
impl Executor for ProcessExecutor {
    fn name(&self) -> &'static str {
        "process"
    }

    async fn check(&self) -> Vec<Finding> {
        let (root, cgroups) = (self.settings.root.clone(), self.settings.cgroups);
        spawn_blocking(move || check::all(&root, cgroups))
            .await
            .unwrap_or_default()
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        self.check_image(&request.kind)?;
        let directory = self
            .homes
            .take(request.attempt, request.slot)
            .map_err(|error| {
                let root = self.settings.root.display();
                infrastructure(&format!("no directory could be made in `{root}`"), error)
            })?;
        let containment = self.contain(&request, &directory).map_err(|error| {
            let _ = directory::remove_all(&directory);
            infrastructure("a cgroup for the task could not be made", error)
        })?;
        let home = &directory;
        Ok(Arc::new(ProcessEnvironment {
            attempt: request.attempt,
            working_directory: crate::resolve(home, home, &request.working_directory),
            directory,
            prefix: Arc::clone(&self.prefix),
            keep_directory: !self.settings.cleanup_working_directory,
            homes: Arc::clone(&self.homes),
            slot: request.slot,
            containment,
            state: Mutex::new(State::default()),
            ended: CancellationToken::new(),
            tasks: TaskTracker::new(),
            phase: RwLock::new(Phase::Alive),
            cleaning: tokio::sync::Mutex::default(),
        }))
    }

    /// To be called for all old handles before anything is prepared: processes that have cleared
    /// their environment are then found by the cgroup of their slot, as long as no new attempt
    /// uses it. A cgroup that is in use again is left alone, so that no new process is harmed.
    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        let Handle::Process(handle) = handle else {
            let message = "the process executor cannot recover what another executor has made";
            return Err(ExecutorError::infrastructure(message, None));
        };
        end_processes(handle).await.map_err(|error| {
            infrastructure(
                "processes that an earlier task left could not be ended",
                error,
            )
        })?;
        self.homes.remove_scripts();
        // A damaged handle must not make us remove anything else.
        let is_its_own = handle.directory.ends_with(handle.attempt.to_string());
        if self.settings.cleanup_working_directory && is_its_own {
            let directory = handle.directory.clone();
            let removed = spawn_blocking(move || directory::remove_all(&directory)).await;
            removed
                .map_err(io::Error::other)
                .flatten()
                .map_err(|error| {
                    let what = format!(
                        "the directory `{}` could not be removed",
                        handle.directory.display()
                    );
                    infrastructure(&what, error)
                })?;
        }
        Ok(())
    }
}

async fn end_processes(handle: &ProcessHandle) -> io::Result<()> {
    if let Some(path) = handle.cgroup.clone().filter(|path| cgroup::is_ours(path)) {
        // Whoever uses it has locked it.
        if let Ok(cgroup) = Cgroup::lock(path) {
            let cgroup = Arc::new(cgroup);
            Containment::Cgroup(Arc::clone(&cgroup)).kill().await?;
            cgroup.remove();
        }
    }
    let sweep = Sweep::new(handle.attempt, &handle.directory, Scope::Everything);
    Containment::Sweep(Arc::new(sweep)).kill().await
}
