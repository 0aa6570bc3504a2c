//! From a request to a running process, and from what goes wrong to words.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use outrider_model::AttemptId;

use super::child::{self, Child};
use super::clone::{self, Program, Stage};
use super::orphans;
use super::sweep::VARIABLE;
use crate::{ExecRequest, ExecutorError};

/// Where a program without a slash in its name is looked for if the step has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

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
        let words: Vec<_> = words.chain([self.script.as_os_str()]).collect();
        let path = find_program(words[0], &request.environment);
        let arguments = words.iter().map(|word| text(word, "the shell's arguments"));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let environment = environment(&request.environment, self.attempt)?;
        let null = std::fs::File::open("/dev/null").map_err(|e| self.describe(Stage::Clone, e))?;
        let program = Program {
            path: &text(path.as_os_str(), "the shell's path")?,
            arguments: &pointers(&arguments),
            environment: &pointers(&environment),
            directory: &text(
                request.working_directory.as_os_str(),
                "the working directory",
            )?,
            stdin: null.as_fd(),
            stdout: self.output.as_fd(),
            stderr: self.output.as_fd(),
            cgroup: self.cgroup,
            // Orphans are told by their session from other children of this process. Where none
            // come to us we can do without: with it the kernel's autogroup (see sched(7)) makes a
            // scheduling group for each script, which costs a tenth of a short one.
            new_session: self.cgroup.is_none() || orphans::come_to_us(),
            credentials: None,
            expendable: false,
        };
        let birth = child::announce_birth();
        let cloned =
            clone::start(&program).map_err(|(stage, error)| self.describe(stage, error))?;
        child::register(cloned.pid, self.attempt, &birth);
        drop(birth);
        Child::watch(cloned).map_err(|error| self.describe(Stage::Clone, error))
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

/// The variables of a process of this attempt.
pub(crate) fn environment(
    variables: &BTreeMap<String, String>,
    attempt: AttemptId,
) -> Result<Vec<CString>, ExecutorError> {
    let own = (VARIABLE, attempt.to_string());
    let others = variables.iter().filter(|(name, _)| *name != VARIABLE);
    let mut entries = Vec::with_capacity(variables.len() + 1);
    for (name, value) in others {
        let entry = format!("{name}={value}");
        entries.push(CString::new(entry).map_err(|_| {
            ExecutorError::user(
                format!(
                    "the environment variable `{}` contains a NUL byte\n\
                     no program can be given one: remove it from the value",
                    name.escape_debug()
                ),
                None,
            )
        })?);
    }
    entries.push(text(
        OsStr::new(&format!("{}={}", own.0, own.1)),
        "an attempt's id",
    )?);
    Ok(entries)
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

/// As a shell would find it. What is not found is returned as it is, so that executing it fails.
pub(crate) fn find_program(name: &OsStr, environment: &BTreeMap<String, String>) -> PathBuf {
    if name.as_bytes().contains(&b'/') {
        return name.into();
    }
    let path = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let candidates = std::env::split_paths(path).map(|directory| directory.join(name));
    let is_program = |path: &PathBuf| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    candidates
        .into_iter()
        .find(is_program)
        .unwrap_or_else(|| name.into())
}

pub(crate) fn text(word: &OsStr, what: &str) -> Result<CString, ExecutorError> {
    CString::new(word.as_bytes()).map_err(|_| {
        let message = format!("a NUL byte in {what}\nno program can be given one: remove it");
        ExecutorError::user(message, None)
    })
}

pub(crate) fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words
        .iter()
        .map(|word| word.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}
