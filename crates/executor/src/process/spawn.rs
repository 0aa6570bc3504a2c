//! From a request to a running script, and from what goes wrong to words.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use outrider_model::AttemptId;

use super::child::Child;
use super::clone::Stage;
use super::orphans;
use super::start::{NotStarted, Start};
use crate::{ExecRequest, ExecutorError};

/// A script that is ready to be started.
pub(crate) struct Launch<'a> {
    pub attempt: AttemptId,
    pub prefix: &'a [String],
    pub request: &'a ExecRequest,
    pub script: &'a Path,
    pub output: OwnedFd,
    pub cgroup: Option<BorrowedFd<'a>>,
}

impl Launch<'_> {
    /// Starts it. Returns when the program runs.
    pub fn start(self) -> Result<Child, ExecutorError> {
        let request = self.request;
        let words = self.prefix.iter().chain(&request.shell).map(OsStr::new);
        let null = std::fs::File::open("/dev/null").map_err(|e| self.describe(Stage::Clone, e))?;
        let start = Start {
            attempt: self.attempt,
            words: words.chain([self.script.as_os_str()]).collect(),
            variables: &request.environment,
            directory: &request.working_directory,
            streams: [null.as_fd(), self.output.as_fd(), self.output.as_fd()],
            cgroup: self.cgroup,
            // Orphans are told by their session from other children of this process. Where none
            // come to us we can do without: with it the kernel's autogroup (see sched(7)) makes a
            // scheduling group for each script, which costs a tenth of a short one.
            new_session: self.cgroup.is_none() || orphans::come_to_us(),
            credentials: None,
            expendable: false,
        };
        start.start().map_err(|error| match error {
            NotStarted::Words(error) => error,
            NotStarted::At(stage, error) => self.describe(stage, error),
        })
    }

    fn describe(&self, stage: Stage, error: io::Error) -> ExecutorError {
        let directory = self.request.working_directory.display();
        match stage {
            Stage::Clone | Stage::Streams | Stage::Credentials => {
                infrastructure("a process for the step could not be started", error)
            }
            Stage::Directory => ExecutorError::user(
                format!(
                    "the working directory `{directory}` cannot be entered\n\
                     check `working_directory`, and that the runner's user may use it"
                ),
                error,
            ),
            Stage::Execute => self.describe_execute(error),
        }
    }

    fn describe_execute(&self, error: io::Error) -> ExecutorError {
        if let Some(prefix) = self.prefix.first() {
            return ExecutorError::infrastructure(
                format!(
                    "the runner's command prefix `{prefix}` cannot be executed\n\
                     install it on the runner's host, or change the setting `command_prefix`"
                ),
                error,
            );
        }
        let shell = self.request.shell.first().map_or("", String::as_str);
        let message = match error.raw_os_error() {
            Some(libc::E2BIG) => "the step's environment variables are too long\n\
                put long values into files"
                .to_owned(),
            Some(libc::ENOMEM | libc::EAGAIN | libc::EIO | libc::ENFILE | libc::EMFILE) => {
                return infrastructure("the step's shell could not be started", error);
            }
            Some(libc::ENOENT) => format!(
                "the shell `{shell}` does not exist on this runner\n\
                 install it on the runner's host, or name another one with `shell`"
            ),
            _ => format!(
                "the shell `{shell}` cannot be executed on this runner\n\
                 name a program that the runner's user may execute with `shell`"
            ),
        };
        ExecutorError::user(message, error)
    }
}

/// An error of the host, with what helps against the usual causes.
pub(crate) fn infrastructure(what: &str, error: io::Error) -> ExecutorError {
    let advice = match error.raw_os_error() {
        Some(libc::EAGAIN) => "raise the limit on processes: `ulimit -u`, or `TasksMax` in systemd",
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit on open files: `ulimit -n`",
        Some(libc::ENOMEM) => "the runner's host is out of memory: run fewer tasks on it at once",
        Some(libc::ENOSPC | libc::EDQUOT) => "the runner's disk is full: free some space",
        Some(libc::EROFS | libc::EACCES | libc::EPERM) => {
            "let the runner's user write there, or choose another directory for its work"
        }
        _ => "look at the runner's host: `outrider doctor` says what it lacks",
    };
    ExecutorError::infrastructure(format!("{what}\n{advice}"), error)
}
