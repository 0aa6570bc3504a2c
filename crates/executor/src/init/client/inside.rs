//! The files of a container, and tools that run in it.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

use super::InitClient;
use crate::init::link::{Inbox, Item, Link, Outlet};
use crate::init::protocol::{CHUNK, FileAction, Frame, Kind, MAX_FILE, Request};
use crate::{ExecutorError, Inside, Output, Tool, ToolRequest};

impl InitClient {
    fn file(&self, action: FileAction, path: &Path) -> Result<Inbox, ExecutorError> {
        let Some(path) = path.to_str() else {
            let shown = path.display();
            let message = format!("the path `{shown}` is not UTF-8\nchoose another one");
            return Err(ExecutorError::user(message, None));
        };
        let path = path.to_owned();
        self.request(self.channel(), &Request::File { action, path })
    }
}

#[async_trait]
impl Inside for InitClient {
    async fn write_file(&self, path: &Path, mode: u32, bytes: Bytes) -> Result<(), ExecutorError> {
        let length = bytes.len();
        if length > MAX_FILE {
            let (shown, most) = (path.display(), MAX_FILE >> 20);
            let message = format!("the file `{shown}` is larger than {most} MiB");
            return Err(ExecutorError::infrastructure(message, None));
        }
        let stream = self.channel();
        let content = self.link.outlet(stream);
        let action = FileAction::Write {
            mode,
            length,
            stream,
        };
        let inbox = self.file(action, path)?;
        // If nobody wants it, the answer says why.
        let _ = content.write(bytes).await;
        self.answer::<bool>(inbox).await.map(drop)
    }

    async fn exists(&self, path: &Path) -> Result<bool, ExecutorError> {
        self.answer(self.file(FileAction::Exists, path)?).await
    }

    async fn remove(&self, path: &Path) -> Result<(), ExecutorError> {
        let inbox = self.file(FileAction::Remove, path)?;
        self.answer::<bool>(inbox).await.map(drop)
    }

    async fn start_tool(
        &self,
        request: ToolRequest,
        output: Arc<dyn Output>,
    ) -> Result<Tool, ExecutorError> {
        let (channel, stream) = (self.channel(), self.channel());
        let from_tool = self.link.inbox(stream);
        let to_tool = self.link.outlet(stream);
        let inbox = self.request(channel, &Request::Tool { request, stream })?;
        let (stdin, input) = duplex(CHUNK);
        let (stdout, taken) = duplex(CHUNK);
        self.carriers.spawn(send_input(input, to_tool));
        self.carriers.spawn(hand_over_output(from_tool, taken));
        let alive = Arc::new(Alive {
            link: self.link.clone(),
            channel,
        });
        let ended = self.follow(inbox, output);
        let last = alive.clone();
        Ok(Tool {
            stdin: Box::new(Held::new(stdin, alive.clone())),
            stdout: Box::new(Held::new(stdout, alive)),
            ended: Box::pin(async move {
                let ended = ended.await;
                drop(last);
                ended
            }),
        })
    }
}

/// As long as somebody has one, the tool may live.
struct Alive {
    link: Arc<Link>,
    channel: u32,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.link.send(Frame::empty(Kind::Cancel, self.channel));
    }
}

/// One part of a tool.
struct Held {
    stream: DuplexStream,
    _alive: Arc<Alive>,
}

impl Held {
    const fn new(stream: DuplexStream, alive: Arc<Alive>) -> Self {
        Self {
            stream,
            _alive: alive,
        }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Until either side has had enough: dropping what we have tells the other.
async fn send_input(mut input: DuplexStream, to_tool: Outlet) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match input.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) if to_tool.write(buffer.split().freeze()).await.is_err() => return,
            Ok(_) => {}
        }
    }
}

async fn hand_over_output(mut from_tool: Inbox, mut taken: DuplexStream) {
    while let Some(item) = from_tool.next().await {
        let Item::Data(bytes) = item else { return };
        if taken.write_all(&bytes).await.is_err() {
            return;
        }
        from_tool.release(bytes.len());
    }
}
