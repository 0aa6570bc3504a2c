//! The init itself.

mod accounts;
mod files;
mod launch;
mod memory;
mod network;
mod processes;
mod set_up;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::set_up::Prepared;
use super::link::{Inbox, Item, Link, Outlet, write_frames};
use super::protocol::{
    CHUNK, FileAction, Frame, Greeting, Kind, MAX_FILE, Request, VERSION, WireError, malformed,
    parse,
};
use super::{ProgramRequest, service};
use crate::process::child::Child;
use crate::process::orphans;
use crate::process::pipe::PipeReader;
use crate::process::proc::Identity;
use crate::process::relay::{Relay, follow_script};
use crate::{ExecRequest, ExecResult, ExecutorError, Output, ToolRequest};

/// What the verb `task-init` does with the arguments after it: without any it is the init, else it
/// may be that of a service.
pub fn main(arguments: &[OsString]) -> ExitCode {
    if let [action, rest @ ..] = arguments
        && action == service::ACTION
    {
        return service::main(rest);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = runtime.and_then(|runtime| {
        let served = runtime.block_on(serve());
        // A blocking read of stdin must not hold up the end.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outrider {}: {error}", super::VERB);
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> io::Result<()> {
    orphans::adopt()?;
    if processes::is_first() {
        // No process of the job may look into this one.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    }
    // Caught and not looked at: only the other end of the stream ends us.
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        let _ = signal(kind)?;
    }
    let mut child_ended = signal(SignalKind::child())?;
    let reap = async {
        while child_ended.recv().await.is_some() {
            orphans::reap();
        }
    };
    let (link, frames) = Link::new();
    link.send(Frame::message(
        Kind::Greeting,
        0,
        &Greeting { version: VERSION },
    )?);
    let server = Server::new(link);
    let written = write_frames(frames, output()?);
    let served = tokio::select! {
        () = reap => Ok(()),
        written = written => written,
        read = server.clone().read(BufReader::with_capacity(CHUNK, input()?)) => read,
    };
    let killed = processes::kill().await;
    if let Some(prepared) = server.prepared.get() {
        prepared.scripts.remove();
    }
    served.and(killed)
}

pub(super) fn input() -> io::Result<Box<dyn AsyncRead + Unpin>> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(match pipe::Receiver::from_file(stdin.try_clone()?) {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(tokio::fs::File::from_std(stdin)),
    })
}

fn output() -> io::Result<Box<dyn AsyncWrite + Unpin>> {
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Ok(match pipe::Sender::from_file(stdout.try_clone()?) {
        Ok(pipe) => Box::new(pipe),
        Err(_) => Box::new(tokio::fs::File::from_std(stdout)),
    })
}

struct Server {
    link: Arc<Link>,
    prepared: OnceLock<Prepared>,
    state: Mutex<State>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    set_up: bool,
    stopped: bool,
    /// The tools that run, by the channels of their requests.
    tools: HashMap<u32, Identity>,
}

impl Server {
    fn new(link: Arc<Link>) -> Arc<Self> {
        Arc::new(Self {
            link,
            prepared: OnceLock::new(),
            state: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the runner asks for, until it is gone.
    async fn read(self: Arc<Self>, mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
        while let Some(frame) = Frame::read(&mut reader).await? {
            match self.link.deliver(frame)? {
                None => {}
                Some(frame) if frame.kind == Kind::Request => {
                    self.request(frame.channel, parse(&frame.payload)?);
                }
                Some(frame) if frame.kind == Kind::Cancel => self.cancel(frame.channel),
                Some(frame) if frame.kind == Kind::End => return Ok(()),
                Some(frame) => return Err(malformed(format!("{:?} from the runner", frame.kind))),
            }
        }
        Ok(())
    }

    /// Channels and processes are made before the next frame is looked at.
    fn request(self: &Arc<Self>, channel: u32, request: Request) {
        let outlet = self.link.outlet(channel);
        match request {
            Request::SetUp(request) => {
                let again = std::mem::replace(&mut self.state().set_up, true);
                let server = self.clone();
                self.tasks.spawn(async move {
                    let done = if again {
                        let message = "the container was made ready for a task already";
                        Err(ExecutorError::infrastructure(message, None))
                    } else {
                        set_up::prepare(request).await
                    };
                    answer(
                        &outlet,
                        done.map(|(prepared, ready)| {
                            let _ = server.prepared.set(prepared);
                            ready
                        }),
                    );
                });
            }
            Request::Exec(request) => self.exec(request, outlet),
            Request::Tool { request, stream } => self.tool(channel, &request, stream, outlet),
            Request::File { action, path } => self.file(action, path, outlet),
            Request::Program { request, stream } => self.program(&request, stream, &outlet),
            Request::Stop { grace } => {
                self.state().stopped = true;
                self.tasks.spawn(async move {
                    let done = processes::stop(grace).await;
                    answer(&outlet, done.map_err(processes::describe));
                });
            }
            Request::Listening => answer(&outlet, network::listening()),
        }
    }

    fn prepared(&self) -> Result<&Prepared, ExecutorError> {
        if self.state().stopped {
            let message = "the environment was stopped, no step can start in it any more";
            return Err(ExecutorError::infrastructure(message, None));
        }
        self.prepared.get().ok_or_else(|| {
            ExecutorError::infrastructure("the container was not made ready for a task", None)
        })
    }

    fn exec(self: &Arc<Self>, request: ExecRequest, outlet: Outlet) {
        let server = self.clone();
        self.tasks.spawn(async move {
            let outlet = Arc::new(outlet);
            let result = server.run(&request, outlet.clone()).await;
            answer(&outlet, result);
        });
    }

    async fn run(
        &self,
        request: &ExecRequest,
        output: Arc<Outlet>,
    ) -> Result<ExecResult, ExecutorError> {
        let prepared = self.prepared()?;
        if !request.working_directory.is_dir() {
            launch::make_directory(prepared, &request.working_directory).await?;
            // It may have been stopped meanwhile.
            self.prepared()?;
        }
        let killed_before = memory::killed();
        let (child, reader) = launch::script(prepared, request)?;
        let mut result = self.follow(child, reader, output).await?;
        if memory::killed() > killed_before {
            result.out_of_memory = prepared.memory_limit;
        }
        Ok(result)
    }

    async fn follow(
        &self,
        child: Child,
        reader: PipeReader,
        output: Arc<Outlet>,
    ) -> Result<ExecResult, ExecutorError> {
        let relay = Relay {
            reader,
            // Nobody outside has the pipe: it closes with the last process.
            ended: CancellationToken::new(),
        };
        let followed = follow_script(child, relay, output, self.tasks.clone()).await;
        followed.map_err(|error| {
            let message = "the step's process could not be watched\n\
                look at the container's limits on open files and memory";
            ExecutorError::infrastructure(message, error)
        })
    }

    fn tool(self: &Arc<Self>, channel: u32, request: &ToolRequest, stream: u32, outlet: Outlet) {
        let input = self.link.inbox(stream);
        let to_runner = self.link.outlet(stream);
        let killed_before = memory::killed();
        let started = self.prepared().and_then(|prepared| {
            let tool = launch::tool(prepared, request)?;
            Ok((tool, prepared.memory_limit))
        });
        let (tool, memory_limit) = match started {
            Ok(started) => started,
            Err(error) => return answer::<ExecResult>(&outlet, Err(error)),
        };
        if let Some(identity) = Identity::of(tool.child.pid()) {
            self.state().tools.insert(channel, identity);
        }
        self.tasks.spawn(feed(input, tool.stdin));
        self.tasks.spawn(drain(tool.stdout, to_runner));
        let server = self.clone();
        self.tasks.spawn(async move {
            let outlet = Arc::new(outlet);
            let mut result = server.follow(tool.child, tool.stderr, outlet.clone()).await;
            server.state().tools.remove(&channel);
            if let Ok(result) = &mut result
                && memory::killed() > killed_before
            {
                result.out_of_memory = memory_limit;
            }
            answer(&outlet, result);
        });
    }

    fn file(self: &Arc<Self>, action: FileAction, path: String, outlet: Outlet) {
        let content = match action {
            FileAction::Write { stream, length, .. } => Some((self.link.inbox(stream), length)),
            FileAction::Exists | FileAction::Remove => None,
        };
        let server = self.clone();
        self.tasks.spawn(async move {
            let done = match server.prepared() {
                Ok(prepared) => {
                    // Nothing is written if the runner is gone.
                    let Some(bytes) = receive(content).await else {
                        return;
                    };
                    prepared.files.act(action, path, bytes).await
                }
                Err(error) => Err(error),
            };
            answer(&outlet, done);
        });
    }

    fn program(self: &Arc<Self>, request: &ProgramRequest, stream: u32, outlet: &Outlet) {
        let output = Arc::new(self.link.outlet(stream));
        let started = self
            .prepared()
            .and_then(|prepared| launch::program(prepared, request));
        let (child, reader) = match started {
            Ok(started) => started,
            Err(error) => return answer::<()>(outlet, Err(error)),
        };
        answer(outlet, Ok(()));
        let server = self.clone();
        self.tasks.spawn(async move {
            let result = server.follow(child, reader, output.clone()).await;
            answer(&output, result);
        });
    }

    fn cancel(&self, channel: u32) {
        if let Some(tool) = self.state().tools.remove(&channel) {
            processes::kill_session(tool);
        }
    }
}

/// Data goes to the runner; if it does not want it any more, it is dropped.
#[async_trait]
impl Output for Outlet {
    async fn write(&self, bytes: Bytes) {
        let _ = Self::write(self, bytes).await;
    }
}

fn answer<T: Serialize>(outlet: &Outlet, result: Result<T, ExecutorError>) {
    let result = result.map_err(WireError::from);
    // Plain data without maps of strange keys always becomes JSON.
    outlet.reply(serde_json::to_vec(&result).unwrap_or_default().into());
}

/// All that is to be written.
async fn receive(content: Option<(Inbox, usize)>) -> Option<Bytes> {
    let Some((mut input, length)) = content else {
        return Some(Bytes::new());
    };
    let mut whole = BytesMut::new();
    while whole.len() < length.min(MAX_FILE) {
        let Item::Data(bytes) = input.next().await? else {
            return None;
        };
        whole.extend_from_slice(&bytes);
        input.release(bytes.len());
    }
    Some(whole.freeze())
}

async fn feed(mut input: Inbox, mut stdin: pipe::Sender) {
    while let Some(Item::Data(bytes)) = input.next().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
        input.release(bytes.len());
    }
}

async fn drain(mut stdout: PipeReader, to_runner: Outlet) {
    while let Ok(Some(bytes)) = stdout.next().await {
        if to_runner.write(bytes).await.is_err() {
            return;
        }
    }
}
