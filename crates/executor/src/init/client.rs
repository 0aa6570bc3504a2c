//! The runner's side of the connection.

mod inside;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::link::{Inbox, Item, Link, write_frames};
use super::protocol::{
    CHUNK, Frame, Greeting, Kind, Request, VERSION, WireError, malformed, parse,
};
use super::{ProgramRequest, Ready, SetUp};
use crate::{ExecRequest, ExecResult, ExecutorError, Output};

/// A program that was started. If it is dropped, what the program writes is.
pub struct Program(Inbox);

/// How long a container may take to end once the init was told to.
const ENDING: Duration = Duration::from_secs(10);

/// A connection to an init. Dropping it ends the init.
pub struct InitClient {
    link: Arc<Link>,
    next_channel: AtomicU32,
    lost: watch::Receiver<Option<Arc<io::Error>>>,
    connection: CancellationToken,
    _ends_when_dropped: DropGuard,
    /// One task for each output that is written to.
    outputs: TaskTracker,
    /// Those that move frames and the data of tools.
    carriers: TaskTracker,
}

impl InitClient {
    /// Waits for the init's greeting and checks its version.
    pub async fn connect(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, ExecutorError> {
        let mut reader = BufReader::with_capacity(CHUNK, reader);
        greet(&mut reader).await?;
        let (link, frames) = Link::new();
        let (tell, lost) = watch::channel(None);
        let connection = CancellationToken::new();
        let carriers = TaskTracker::new();
        let (ended, receiving) = (connection.clone(), link.clone());
        carriers.spawn(async move {
            let why = tokio::select! {
                why = receive(&receiving, reader) => why,
                () = ended.cancelled() => io::ErrorKind::ConnectionAborted.into(),
            };
            // First the cause: who sees the end asks for it.
            tell.send_replace(Some(Arc::new(why)));
            receiving.end();
            ended.cancel();
        });
        let ended = connection.clone();
        carriers.spawn(async move {
            tokio::select! {
                // If the stream cannot be written, its reader ends as well, and says why.
                _ = write_frames(frames, writer) => {}
                () = ended.cancelled() => {}
            }
            ended.cancel();
        });
        Ok(Self {
            link,
            next_channel: AtomicU32::new(1),
            lost,
            _ends_when_dropped: connection.clone().drop_guard(),
            connection,
            outputs: TaskTracker::new(),
            carriers,
        })
    }

    /// Makes the container ready for a task; once.
    pub async fn set_up(&self, set_up: SetUp) -> Result<Ready, ExecutorError> {
        self.call(&Request::SetUp(set_up)).await
    }

    /// Runs one script to its end, as [`crate::Environment::exec`] says.
    pub async fn exec(
        &self,
        request: ExecRequest,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        let channel = self.channel();
        let inbox = self.request(channel, &Request::Exec(request))?;
        self.follow(inbox, output).await
    }

    /// Starts a program, and returns when it runs. Of its output a little waits to be followed.
    pub async fn start_program(&self, request: ProgramRequest) -> Result<Program, ExecutorError> {
        let stream = self.channel();
        let inbox = self.link.inbox(stream);
        let () = self.call(&Request::Program { request, stream }).await?;
        Ok(Program(inbox))
    }

    /// Hands over what a program has written and writes, until it has ended.
    pub async fn follow_program(
        &self,
        program: Program,
        output: Arc<dyn Output>,
    ) -> Result<ExecResult, ExecutorError> {
        self.follow(program.0, output).await
    }

    /// TERM to all processes but the init, after `grace` KILL until none is left.
    pub async fn stop(&self, grace: Duration) -> Result<(), ExecutorError> {
        self.call(&Request::Stop { grace }).await
    }

    /// TCP ports on which something in the network namespace listens.
    pub async fn listening(&self) -> Result<Vec<u16>, ExecutorError> {
        self.call(&Request::Listening).await
    }

    /// Resolves when the connection has ended: why.
    pub async fn lost(&self) -> ExecutorError {
        lost(self.lost.clone()).await
    }

    /// Ends the init, and with it the container. When it returns the connection has ended, and no
    /// [`Output`] will be written any more.
    pub async fn close(&self) {
        self.link.send(Frame::empty(Kind::End, 0));
        let _ = tokio::time::timeout(ENDING, self.lost()).await;
        self.connection.cancel();
        self.lost().await;
        self.drained().await;
    }

    /// Waits until all is handed over that was written by processes which have ended.
    pub async fn drained(&self) {
        self.outputs.close();
        self.outputs.wait().await;
    }

    fn channel(&self) -> u32 {
        self.next_channel.fetch_add(1, Ordering::Relaxed)
    }

    fn request(&self, channel: u32, request: &Request) -> Result<Inbox, ExecutorError> {
        let frame = Frame::message(Kind::Request, channel, request).map_err(|error| {
            let message = "the request cannot be sent into the container\n\
                put long scripts into files of their own";
            ExecutorError::user(message, error)
        })?;
        let inbox = self.link.inbox(channel);
        self.link.send(frame);
        Ok(inbox)
    }

    /// Sends a request that has an answer and nothing else.
    async fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ExecutorError> {
        let inbox = self.request(self.channel(), request)?;
        self.answer(inbox).await
    }

    async fn answer<T: DeserializeOwned>(&self, mut inbox: Inbox) -> Result<T, ExecutorError> {
        match inbox.next().await {
            Some(Item::Reply(payload)) => answer(&payload),
            Some(Item::Data(_)) => Err(unreadable(malformed("data instead of a reply"))),
            None => Err(self.lost().await),
        }
    }

    /// Hands over a channel's data until the reply comes. A task goes on to the end of the data,
    /// also if nobody waits for us any more.
    fn follow<T: DeserializeOwned + Send + 'static>(
        &self,
        mut inbox: Inbox,
        output: Arc<dyn Output>,
    ) -> impl Future<Output = Result<T, ExecutorError>> + Send + use<T> {
        let (tell, told) = oneshot::channel();
        self.outputs.spawn(async move {
            let mut tell = Some(tell);
            while let Some(item) = inbox.next().await {
                match item {
                    Item::Data(bytes) => {
                        let length = bytes.len();
                        output.write(bytes).await;
                        inbox.release(length);
                    }
                    Item::Reply(payload) => {
                        if let Some(tell) = tell.take() {
                            let _ = tell.send(answer(&payload));
                        }
                    }
                }
            }
        });
        let connection = self.lost.clone();
        async move {
            match told.await {
                Ok(answer) => answer,
                Err(_) => Err(lost(connection).await),
            }
        }
    }
}

async fn lost(mut lost: watch::Receiver<Option<Arc<io::Error>>>) -> ExecutorError {
    let why = match lost.wait_for(Option::is_some).await {
        Ok(why) => why.clone(),
        Err(_) => None,
    };
    let source = why.map(|why| io::Error::new(why.kind(), why));
    let message = "the connection to the container was lost\n\
        look at the container engine's log: the container may have been removed, or its host may \
        be out of memory";
    ExecutorError::infrastructure(message, source)
}

async fn greet(reader: &mut (impl AsyncRead + Unpin)) -> Result<(), ExecutorError> {
    let read = async {
        match Frame::read(reader).await? {
            Some(frame) if frame.kind == Kind::Greeting => parse::<Greeting>(&frame.payload),
            Some(frame) => Err(malformed(format!("{:?} as the first word", frame.kind))),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    let greeting = read.await.map_err(|error| {
        let message = "the container's first process does not answer\n\
            look at the container engine's log";
        ExecutorError::infrastructure(message, error)
    })?;
    if greeting.version == VERSION {
        return Ok(());
    }
    let message = format!(
        "the container's first process speaks version {} of the protocol, and the runner version \
         {VERSION}\n\
         restart the runner: another build of it has started the container",
        greeting.version
    );
    Err(ExecutorError::infrastructure(message, None))
}

/// Takes what arrives until the connection ends, and says why.
async fn receive(link: &Link, mut reader: impl AsyncRead + Unpin) -> io::Error {
    loop {
        let frame = match Frame::read(&mut reader).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return io::ErrorKind::UnexpectedEof.into(),
            Err(error) => return error,
        };
        match link.deliver(frame) {
            Ok(None) => {}
            Ok(Some(frame)) => return malformed(format!("{:?} from the init", frame.kind)),
            Err(error) => return error,
        }
    }
}

fn answer<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ExecutorError> {
    match parse::<Result<T, WireError>>(payload) {
        Ok(answer) => answer.map_err(Into::into),
        Err(error) => Err(unreadable(error)),
    }
}

fn unreadable(error: io::Error) -> ExecutorError {
    let message = "the container's first process answers what cannot be understood\n\
        a step may have tampered with it";
    ExecutorError::infrastructure(message, error)
}
