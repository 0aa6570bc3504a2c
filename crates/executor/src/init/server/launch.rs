//! From a request to a running process, and from what goes wrong to words.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

use super::set_up::Prepared;
use crate::init::ProgramRequest;
use crate::process::child::Child;
use crate::process::clone::Stage;
use crate::process::pipe::PipeReader;
use crate::process::start::{NotStarted, Start};
use crate::{ExecRequest, ExecutorError, ToolRequest};

/// Starts a script: how it ends, and what it writes.
pub(super) fn script(
    prepared: &Prepared,
    request: &ExecRequest,
) -> Result<(Child, PipeReader), ExecutorError> {
    let script = prepared
        .scripts
        .write(&request.script, prepared.credentials.as_ref())
        .map_err(|error| infrastructure("the step's script could not be written", error))?;
    let null = null()?;
    let (reader, output) = crate::process::pipe::pipe()
        .map_err(|error| infrastructure("a pipe for the output could not be made", error))?;
    let words = request.shell.iter().map(OsStr::new);
    let launch = Launch {
        part: Part::Step,
        prepared,
        words: words.chain([script.as_os_str()]).collect(),
        variables: &request.environment,
        directory: &request.working_directory,
        streams: [null.as_fd(), output.as_fd(), output.as_fd()],
    };
    Ok((launch.start()?, reader))
}

/// Starts a program beside the steps: how it ends, and what it writes.
pub(super) fn program(
    prepared: &Prepared,
    request: &ProgramRequest,
) -> Result<(Child, PipeReader), ExecutorError> {
    let null = null()?;
    let (reader, output) = crate::process::pipe::pipe()
        .map_err(|error| infrastructure("a pipe for the output could not be made", error))?;
    let launch = Launch {
        part: Part::Program,
        prepared,
        words: request.words.iter().map(OsStr::new).collect(),
        variables: &request.environment,
        directory: &request.working_directory,
        streams: [null.as_fd(), output.as_fd(), output.as_fd()],
    };
    Ok((launch.start()?, reader))
}

/// A tool that runs, and what it is connected with.
pub(super) struct RunningTool {
    pub child: Child,
    pub stdin: pipe::Sender,
    pub stdout: PipeReader,
    pub stderr: PipeReader,
}

/// Starts this program as the steps' user.
pub(super) fn tool(
    prepared: &Prepared,
    request: &ToolRequest,
) -> Result<RunningTool, ExecutorError> {
    let failed = |error| infrastructure("a pipe for a tool could not be made", error);
    let (input, to_tool) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let stdin = pipe::Sender::from_owned_fd(to_tool).map_err(failed)?;
    let (stdout, output) = crate::process::pipe::pipe().map_err(failed)?;
    let (stderr, errors) = crate::process::pipe::pipe().map_err(failed)?;
    let words = prepared.tool.iter().chain(&request.arguments);
    let launch = Launch {
        part: Part::Step,
        prepared,
        words: words.map(OsStr::new).collect(),
        variables: &request.environment,
        directory: Path::new("/"),
        streams: [input.as_fd(), output.as_fd(), errors.as_fd()],
    };
    let child = launch.start()?;
    Ok(RunningTool {
        child,
        stdin,
        stdout,
        stderr,
    })
}

/// Makes a directory with the rights of the steps' user.
pub(super) async fn make_directory(prepared: &Prepared, path: &Path) -> Result<(), ExecutorError> {
    let directory = path.to_owned();
    let made = prepared
        .files
        .run(move || std::fs::create_dir_all(directory));
    made.await.map_err(|error| {
        let what = format!(
            "the working directory `{}` could not be created",
            path.display()
        );
        if is_of_the_host(&error) {
            return infrastructure(&what, error);
        }
        let advice = "choose one with `working_directory` where the steps' user may write";
        ExecutorError::user(format!("{what}\n{advice}"), error)
    })
}

/// Starts a shell with arguments, as the steps' user, whose output nobody wants.
pub(super) fn probe(
    prepared: &Prepared,
    words: &[&str],
    variables: &BTreeMap<String, String>,
) -> Result<Child, ExecutorError> {
    let null = null()?;
    let launch = Launch {
        part: Part::Step,
        prepared,
        words: words.iter().map(OsStr::new).collect(),
        variables,
        directory: Path::new("/"),
        streams: [null.as_fd(); 3],
    };
    launch.start()
}

fn null() -> Result<std::fs::File, ExecutorError> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.read(true).write(true).open("/dev/null");
    opened.map_err(|error| infrastructure("`/dev/null` could not be opened", error))
}

/// What a process is to the author of the config.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Step,
    /// What the image runs.
    Program,
}

struct Launch<'a> {
    part: Part,
    prepared: &'a Prepared,
    words: Vec<&'a OsStr>,
    variables: &'a BTreeMap<String, String>,
    directory: &'a Path,
    /// Its stdin, stdout and stderr.
    streams: [BorrowedFd<'a>; 3],
}

impl Launch<'_> {
    fn start(&self) -> Result<Child, ExecutorError> {
        let start = Start {
            attempt: self.prepared.attempt,
            words: self.words.clone(),
            variables: self.variables,
            directory: self.directory,
            streams: self.streams,
            cgroup: None,
            new_session: true,
            credentials: self.prepared.credentials.as_ref(),
            expendable: true,
        };
        start.start().map_err(|error| match error {
            NotStarted::Words(error) => error,
            NotStarted::At(stage, error) => self.describe(stage, error),
        })
    }

    fn describe(&self, stage: Stage, error: io::Error) -> ExecutorError {
        let directory = self.directory.display();
        match stage {
            Stage::Clone | Stage::Streams => {
                infrastructure("a process for the step could not be started", error)
            }
            Stage::Credentials => infrastructure(
                "the process for the step could not become the steps' user",
                error,
            ),
            Stage::Directory if self.part == Part::Program => ExecutorError::user(
                format!(
                    "the working directory `{directory}` of the image cannot be entered\n\
                     mend the image, or set its `user` to one that may use it"
                ),
                error,
            ),
            Stage::Directory => ExecutorError::user(
                format!(
                    "the working directory `{directory}` cannot be entered\n\
                     check `working_directory`, and that the steps' user may use it"
                ),
                error,
            ),
            Stage::Execute if self.part == Part::Program => self.describe_program(error),
            Stage::Execute => self.describe_execute(error),
        }
    }

    fn describe_program(&self, error: io::Error) -> ExecutorError {
        let program = self.words.first().copied().unwrap_or_default().display();
        let message = format!("the primary container's program `{program}` cannot be started");
        match is_of_the_host(&error) {
            true => infrastructure(&message, error),
            false => {
                let advice = "look at the image's `entrypoint`, `command` and `user`";
                ExecutorError::user(format!("{message}\n{advice}"), error)
            }
        }
    }

    fn describe_execute(&self, error: io::Error) -> ExecutorError {
        let shell = self.words.first().copied().unwrap_or_default().display();
        let message = match error.raw_os_error() {
            Some(libc::E2BIG) => "the step's environment variables are too long\n\
                put long values into files"
                .to_owned(),
            _ if is_of_the_host(&error) => {
                return infrastructure("the step's shell could not be started", error);
            }
            Some(libc::ENOENT) => format!(
                "the shell `{shell}` does not exist in the image\n\
                 use an image that has it, or name another one with `shell`"
            ),
            _ => format!(
                "the shell `{shell}` cannot be executed in the image\n\
                 name a program that the steps' user may execute with `shell`"
            ),
        };
        ExecutorError::user(message, error)
    }
}

fn is_of_the_host(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOSPC
                | libc::EDQUOT
                | libc::EIO
                | libc::EMFILE
                | libc::ENFILE
                | libc::ENOMEM
                | libc::EAGAIN
        )
    )
}

/// An error of the container, with what helps against the usual causes.
pub(super) fn infrastructure(what: &str, error: io::Error) -> ExecutorError {
    let advice = match error.raw_os_error() {
        Some(libc::EAGAIN) => "the container's limit on processes is reached",
        Some(libc::EMFILE | libc::ENFILE) => "the container's limit on open files is reached",
        Some(libc::ENOMEM) => "the container is out of memory: choose a larger `resource_class`",
        Some(libc::ENOSPC | libc::EDQUOT) => "the container's disk is full: free some space",
        _ => "look at the runner's host: `outrider doctor` says what it lacks",
    };
    ExecutorError::infrastructure(format!("{what}\n{advice}"), error)
}
