//! The tool that takes the code of a `checkout`: git runs on the runner's host, and what it makes is
//! sent here.
//!
//! The runner starts this program inside ([`VERB`]) with a path and what may be there. The tool looks
//! at it and says that it is ready, or why not; then it gets the tree through its stdin, unpacks it as
//! the steps' user, and says how that went. The image needs neither git nor tar.

mod index;
mod unpack;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWrite;

use super::protocol;
use crate::driver::Failure;
use unpack::Target;

/// The hidden verb of the program that takes code. A path follows, and what may be there.
pub const VERB: &str = "task-code";

/// Follows the archive: without it, one that was cut off between two files would look whole.
pub const WHOLE: &[u8] = b"whole";

/// What may be where the code goes to, besides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// An empty directory.
    Nothing,
    /// An empty directory, or a repository.
    Repository,
}

impl Accepts {
    /// As an argument of the tool.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Repository => "repository",
        }
    }
}

/// From the tool to the runner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The code can come.
    Ready,
    /// A line for the step's output.
    Said(String),
    /// All is there. Nothing follows.
    Done,
    /// It cannot be, and the job has to mend that. Nothing follows.
    Refused(String),
    /// It cannot be, and that is not the job's fault. Nothing follows.
    Failed(String),
}

/// Takes the code from `input`. The error is that the runner is gone, or speaks another language.
pub async fn run(
    arguments: &[OsString],
    input: impl Read + Send + 'static,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (path, accepts) = parse(arguments)?;
    let ended = match blocking(move || Target::look(path, accepts)).await {
        Ok(target) => {
            if let Some(text) = target.doubt() {
                send(&mut output, &Reply::Said(text)).await?;
            }
            send(&mut output, &Reply::Ready).await?;
            blocking(move || target.unpack(input)).await
        }
        Err(failure) => Err(failure),
    };
    let reply = match ended {
        Ok(()) => Reply::Done,
        Err(Failure::User(text)) => Reply::Refused(text),
        Err(Failure::Infrastructure(text)) => Reply::Failed(text),
    };
    send(&mut output, &reply).await
}

fn parse(arguments: &[OsString]) -> io::Result<(PathBuf, Accepts)> {
    let [path, word] = arguments else {
        return Err(protocol::nonsense("a path and what may be there is needed"));
    };
    let all = [Accepts::Nothing, Accepts::Repository];
    let accepts = all.into_iter().find(|accepts| accepts.word() == word);
    let accepts = accepts.ok_or_else(|| protocol::nonsense("nobody knows what may be there"))?;
    Ok((path.into(), accepts))
}

async fn send(output: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    protocol::write(output, reply, &[]).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::Infrastructure(error.to_string())))
}
