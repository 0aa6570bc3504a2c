//! Code for a job whose files the host does not see: git makes the tree on the host, and a tool inside
//! takes it. First the tool looks whether the code can go where it is to go; nothing is fetched for
//! nothing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use outrider_executor::{BoxFuture, ExecResult, ExecutorError, Inside, Tool, ToolRequest};
use outrider_model::plan::Source;
use outrider_model::report::Exit;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::directory::Objects;
use super::host::Host;
use super::host_git::HostGit;
use super::mirror::SAY;
use super::{Code, pack};
use crate::attempt::{StepContext, ended_as, failure};
use crate::driver::Failure;
use crate::inside::code::{Accepts, Reply, VERB};
use crate::inside::{protocol, serve};

/// How the step ends.
type Ended = Result<ExecResult, Failure>;

/// Where the host makes the tree.
const TREE: &str = "~/code";
/// How a step ends that was stopped.
const STOPPED: ExecResult = ended_as(Exit::Signal(15), None);

/// Makes the code on the host, and sends it inside.
pub async fn run(code: &Code<'_>, inside: &dyn Inside) -> Ended {
    let stop = code.context.stop.clone();
    let receiver = match Receiver::start(code, inside).await? {
        Started::Ready(receiver) => receiver,
        Started::Ended(result) => return Ok(result),
    };
    let host = Host::open(code.context).await?;
    let ended = match stop.is_cancelled() {
        true => Ok(STOPPED),
        false => make_and_send(code, &host.context, receiver).await,
    };
    host.close().await;
    ended
}

async fn make_and_send(code: &Code<'_>, host: &StepContext, receiver: Receiver<'_>) -> Ended {
    let Some(home) = host.environment.files().here() else {
        let text = "the runner does not see the files of its own host".to_owned();
        return Err(Failure::Infrastructure(text));
    };
    let (exit, usage) = code.obtain(host, home, TREE, Objects::Own).await?;
    if !exit.success() {
        return Ok(ended_as(exit, usage));
    }
    let tree = host.environment.resolve(TREE);
    prepare(host, &tree).await?;
    let taken = receiver.take(&tree).await?;
    Ok(ExecResult { usage, ..taken })
}

/// Inside, files have other numbers than the index knows from here. Git would read them all to find
/// that nothing has changed, and its plumbing would say that all of them have.
async fn prepare(host: &StepContext, tree: &Path) -> Result<(), Failure> {
    if !tree.join(".git").is_dir() {
        return Ok(());
    }
    let git = HostGit::new(&host.variables);
    let arguments = ["config", "core.checkStat", "minimal"];
    git.run(tree, &arguments).await.map(drop)
}

/// The tool inside.
struct Receiver<'a> {
    context: &'a StepContext,
    stdin: Box<dyn AsyncWrite + Send + Unpin>,
    replies: Replies<'a>,
}

/// What came of starting it.
enum Started<'a> {
    /// The code can come.
    Ready(Receiver<'a>),
    /// It cannot.
    Ended(ExecResult),
}

impl<'a> Receiver<'a> {
    async fn start(code: &'a Code<'_>, inside: &dyn Inside) -> Result<Started<'a>, Failure> {
        let context = code.context;
        let accepts = match code.source() {
            Source::Directory { .. } => Accepts::Nothing,
            Source::Git { .. } | Source::None => Accepts::Repository,
        };
        let path = code.called.to_string_lossy().into_owned();
        let request = ToolRequest {
            arguments: vec![VERB.to_owned(), path, accepts.word().to_owned()],
            environment: BTreeMap::new(),
        };
        let started = inside.start_tool(request, context.output.clone()).await;
        let Tool {
            stdin,
            stdout,
            ended,
        } = started.map_err(|error| failure(&error))?;
        let mut replies = Replies {
            context,
            stdout,
            ended,
        };
        let first = context.stop.run_until_cancelled(replies.next()).await;
        Ok(match first {
            None => Started::Ended(STOPPED),
            Some(Ok(Some(Reply::Ready))) => Started::Ready(Self {
                context,
                stdin,
                replies,
            }),
            Some(other) => {
                drop(stdin);
                Started::Ended(replies.close(other).await?)
            }
        })
    }

    /// Sends it a directory. It may end before it has all, and says why.
    async fn take(self, directory: &Path) -> Ended {
        let Self {
            context,
            stdin,
            mut replies,
        } = self;
        let sending = async {
            match send(context, directory, stdin).await {
                Ok(()) => std::future::pending().await,
                Err(failure) => failure,
            }
        };
        let reply = tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(STOPPED),
            reply = replies.next() => reply,
            failure = sending => return Err(failure),
        };
        replies.close(reply).await
    }
}

/// Says now and then how much is sent: a large tree takes longer than a step may be silent.
async fn send(
    context: &StepContext,
    directory: &Path,
    mut stdin: Box<dyn AsyncWrite + Send + Unpin>,
) -> Result<(), Failure> {
    let mut blocks = pack::start(directory.to_owned());
    let (mut sent, mut said) = (0, Instant::now());
    while let Some(block) = blocks.recv().await {
        let block = block.map_err(|error| {
            Failure::Infrastructure(format!("cannot read the code on the host: {error}"))
        })?;
        if stdin.write_all(&block).await.is_err() {
            // It has ended, and says why.
            return Ok(());
        }
        sent += block.len();
        if said.elapsed() >= SAY {
            said = Instant::now();
            let text = format!("{} MB of the code are inside now", sent / 1_000_000);
            context.say(&text).await;
        }
    }
    let _ = stdin.shutdown().await;
    Ok(())
}

/// What the tool says.
struct Replies<'a> {
    context: &'a StepContext,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    ended: BoxFuture<Result<ExecResult, ExecutorError>>,
}

impl Replies<'_> {
    /// The next thing that matters. Nothing if it is gone.
    async fn next(&mut self) -> io::Result<Option<Reply>> {
        loop {
            match protocol::read(&mut self.stdout).await? {
                Some((Reply::Said(text), _)) => self.context.say(&text).await,
                other => return Ok(other.map(|(reply, _)| reply)),
            }
        }
    }

    /// How the step ends whose tool says this last.
    async fn close(self, reply: io::Result<Option<Reply>>) -> Ended {
        let said = match reply {
            Ok(Some(Reply::Done)) => Ok(Some(Ok(Exit::Code(0)))),
            Ok(Some(Reply::Refused(text))) => {
                self.context.say(&text).await;
                Ok(Some(Ok(Exit::Code(1))))
            }
            Ok(Some(Reply::Failed(text))) => Ok(Some(Err(text))),
            Ok(Some(Reply::Ready | Reply::Said(_))) => Err(protocol::nonsense("out of turn")),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        serve::closing(self.context, said, self.ended).await
    }
}
