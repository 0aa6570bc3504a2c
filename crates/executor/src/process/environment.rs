//! The place of one attempt: its directory, its processes, its output.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use outrider_model::AttemptId;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ProcessHandle;
use super::child;
use super::containment::Containment;
use super::directory::{create_all_private, remove_all, write_private};
use super::home::Homes;
use super::pipe::pipe;
use super::relay::{Relay, follow_script};
use super::spawn::{Launch, infrastructure};
use crate::{Environment, ExecRequest, ExecResult, ExecutorError, Files, Handle, Output};

pub(super) struct ProcessEnvironment {
    pub attempt: AttemptId,
    pub directory: PathBuf,
    pub working_directory: PathBuf,
    pub prefix: Arc<[String]>,
    pub keep_directory: bool,
    pub homes: Arc<Homes>,
    pub slot: usize,
    pub containment: Containment,
    pub state: Mutex<State>,
    /// No process is left: readers take what is in their pipes and end.
    pub ended: CancellationToken,
    /// One task for each script, and one for each pipe that outlives its script.
    pub tasks: TaskTracker,
    /// Held while the processes are being ended, so that the cgroup goes to another attempt only
    /// when nobody here looks at it any more.
    pub phase: tokio::sync::RwLock<Phase>,
    /// Lets one `cleanup` run at a time.
    pub cleaning: tokio::sync::Mutex<()>,
}

/// What is left of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Processes, perhaps.
    Alive,
    /// Only the directory.
    Ended,
    Removed,
}

#[derive(Default)]
pub(super) struct State {
    stopped: bool,
    scripts: usize,
}

impl ProcessEnvironment {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a script. The lock is held until its process is there, so that `stop` either sees
    /// the process or prevents it.
    fn start(&self, request: &ExecRequest) -> Result<(child::Child, Relay), ExecutorError> {
        let mut state = self.state();
        if state.stopped {
            let message = "the environment was stopped, no step can start in it any more";
            return Err(ExecutorError::infrastructure(message, None));
        }
        let script = self.homes.script(self.slot, state.scripts);
        state.scripts += 1;
        write_private(&script, &request.script)
            .map_err(|error| infrastructure("the step's script could not be written", error))?;
        create_working_directory(&request.working_directory)?;
        let (reader, output) = pipe()
            .map_err(|error| infrastructure("a pipe for the output could not be made", error))?;
        let launch = Launch {
            attempt: self.attempt,
            prefix: &self.prefix,
            request,
            script: &script,
            output,
            cgroup: self.containment.cgroup(),
        };
        Ok((
            launch.start()?,
            Relay {
                reader,
                ended: self.ended.clone(),
            },
        ))
    }

    async fn end(&self) -> io::Result<()> {
        self.containment.kill().await?;
        self.ended.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        child::forget(self.attempt);
        let mut phase = self.phase.write().await;
        *phase = Phase::Ended;
        if let Containment::Cgroup(cgroup) = &self.containment {
            cgroup.release();
        }
        Ok(())
    }

    async fn remove_directory(&self) -> io::Result<()> {
        self.homes.empty_scripts(self.slot, self.state().scripts);
        if self.keep_directory || self.homes.take_back(&self.directory, self.slot) {
            return Ok(());
        }
        let directory = self.directory.clone();
        spawn_blocking(move || remove_all(&directory))
            .await
            .map_err(io::Error::other)?
    }
}

#[async_trait]
impl Environment for ProcessEnvironment {
    fn handle(&self) -> Handle {
        let cgroup = match &self.containment {
            Containment::Cgroup(cgroup) => Some(cgroup.path().to_owned()),
            Containment::Sweep(_) => None,
        };
        let directory = self.directory.clone();
        Handle::Process(ProcessHandle {
            attempt: self.attempt,
            directory,
            cgroup,
        })
    }

    fn files(&self) -> Files<'_> {
        Files::Here(&self.directory)
    }

    fn resolve(&self, path: &str) -> PathBuf {
        crate::resolve(&self.directory, &self.working_directory, path)
    }

    async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        let (child, relay) = self.start(&request)?;
        drop(request);
        // In a task of its own, so that the process is waited for and its output taken even if
        // nobody waits for us any more.
        let follow = follow_script(child, relay, output, self.tasks.clone());
        match self.tasks.spawn(follow).await {
            Ok(result) => result
                .map_err(|error| infrastructure("the step's process could not be watched", error)),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(ExecutorError::infrastructure(
                    "the runner ended before the step",
                    io::Error::other(error),
                )),
            },
        }
    }

    async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        self.state().stopped = true;
        let phase = self.phase.read().await;
        if *phase != Phase::Alive {
            return Ok(());
        }
        let result = self.containment.terminate(grace).await;
        result.map_err(|error| infrastructure("the step's processes could not be ended", error))
    }

    async fn cleanup(&self) -> Result<(), ExecutorError> {
        let _one_at_a_time = self.cleaning.lock().await;
        self.state().stopped = true;
        if *self.phase.read().await == Phase::Alive {
            self.end().await.map_err(|error| {
                infrastructure("the step's processes could not be ended", error)
            })?;
        }
        if *self.phase.read().await == Phase::Ended {
            self.remove_directory().await.map_err(|error| {
                let shown = self.directory.display();
                infrastructure(
                    &format!("the directory `{shown}` could not be removed"),
                    error,
                )
            })?;
            *self.phase.write().await = Phase::Removed;
        }
        Ok(())
    }
}

fn create_working_directory(path: &Path) -> Result<(), ExecutorError> {
    create_all_private(path).map_err(|error| {
        let what = format!(
            "the working directory `{}` could not be created",
            path.display()
        );
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::EMFILE | libc::ENFILE) => {
                infrastructure(&what, error)
            }
            _ => ExecutorError::user(
                format!("{what}\nchoose one with `working_directory` where the runner may write"),
                error,
            ),
        }
    })
}
