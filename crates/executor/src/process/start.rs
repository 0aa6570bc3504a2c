//! From words to a running process.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use outrider_model::AttemptId;

use super::child::{self, Child};
use super::clone::{self, Credentials, Program, Stage};
use super::sweep::VARIABLE;
use crate::ExecutorError;

/// Where a program without a slash in its name is looked for if the step has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A process of an attempt that is to be.
pub(crate) struct Start<'a> {
    pub attempt: AttemptId,
    /// The program as a shell would find it, and its arguments.
    pub words: Vec<&'a OsStr>,
    pub variables: &'a BTreeMap<String, String>,
    pub directory: &'a Path,
    /// Its stdin, stdout and stderr.
    pub streams: [BorrowedFd<'a>; 3],
    pub cgroup: Option<BorrowedFd<'a>>,
    pub new_session: bool,
    pub credentials: Option<&'a Credentials>,
    pub expendable: bool,
}

/// Why there is no process.
pub(crate) enum NotStarted {
    /// It is not to be said in a way that the kernel takes.
    Words(ExecutorError),
    At(Stage, io::Error),
}

impl From<ExecutorError> for NotStarted {
    fn from(error: ExecutorError) -> Self {
        Self::Words(error)
    }
}

impl Start<'_> {
    /// Returns when the program runs.
    pub fn start(&self) -> Result<Child, NotStarted> {
        let name = self.words.first().copied().unwrap_or_default();
        let path = find_program(name, self.variables);
        let arguments = self.words.iter();
        let arguments = arguments.map(|word| text(word, "the program's arguments"));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let environment = environment(self.variables, self.attempt)?;
        let [stdin, stdout, stderr] = self.streams;
        let program = Program {
            path: &text(path.as_os_str(), "the program's path")?,
            arguments: &pointers(&arguments),
            environment: &pointers(&environment),
            directory: &text(self.directory.as_os_str(), "the working directory")?,
            stdin,
            stdout,
            stderr,
            cgroup: self.cgroup,
            new_session: self.new_session,
            credentials: self.credentials,
            expendable: self.expendable,
        };
        let birth = child::announce_birth();
        let cloned =
            clone::start(&program).map_err(|(stage, error)| NotStarted::At(stage, error))?;
        child::register(cloned.pid, self.attempt, &birth);
        drop(birth);
        Child::watch(cloned).map_err(|error| NotStarted::At(Stage::Clone, error))
    }
}

/// The variables of a process of this attempt.
fn environment(
    variables: &BTreeMap<String, String>,
    attempt: AttemptId,
) -> Result<Vec<CString>, ExecutorError> {
    let own = format!("{VARIABLE}={attempt}");
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
    entries.push(text(OsStr::new(&own), "an attempt's id")?);
    Ok(entries)
}

/// As a shell would find it. What is not found is returned as it is, so that executing it fails.
fn find_program(name: &OsStr, environment: &BTreeMap<String, String>) -> PathBuf {
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

fn text(word: &OsStr, what: &str) -> Result<CString, ExecutorError> {
    CString::new(word.as_bytes()).map_err(|_| {
        let message = format!("a NUL byte in {what}\nno program can be given one: remove it");
        ExecutorError::user(message, None)
    })
}

fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words
        .iter()
        .map(|word| word.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}
