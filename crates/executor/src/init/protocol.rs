//! What travels between the runner and the init: frames, each with a kind and a channel.

use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{ProgramRequest, SetUp};
use crate::{ExecRequest, ExecutorError, Fault, ToolRequest};

/// Both sides are the same program, unless a container has outlived an update of the runner.
pub(super) const VERSION: u32 = 3;
/// How much may be under way in one direction of one channel.
pub(super) const WINDOW: usize = 256 << 10;
/// How much of a channel's data one frame holds, so that the channels take turns.
pub(super) const CHUNK: usize = 64 << 10;
/// What no frame exceeds. Scripts travel in one frame.
pub(super) const MAX_FRAME: usize = 16 << 20;
/// How large a file may be that is written in one piece.
pub(super) const MAX_FILE: usize = 64 << 20;
/// Length, kind and channel.
const HEADER: usize = 9;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The init's first word: a [`Greeting`].
    Greeting = 1,
    /// A [`Request`] of the runner, which opens a channel.
    Request,
    /// The answer to a request: a `Result` of what it asked for.
    Reply,
    /// The next bytes of a channel.
    Data,
    /// The sender has no more data for a channel.
    Close,
    /// The receiver has taken data of a channel, as many bytes as this says.
    Credit,
    /// The receiver takes no more data of a channel.
    Abandon,
    /// The runner has lost interest in a request.
    Cancel,
    /// The init shall end.
    End,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Greeting,
        Self::Request,
        Self::Reply,
        Self::Data,
        Self::Close,
        Self::Credit,
        Self::Abandon,
        Self::Cancel,
        Self::End,
    ];

    fn parse(byte: u8) -> io::Result<Self> {
        let found = Self::ALL.into_iter().find(|&kind| kind as u8 == byte);
        found.ok_or_else(|| malformed(format!("there is no frame of kind {byte}")))
    }
}

/// What travels in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub kind: Kind,
    pub channel: u32,
    pub payload: Bytes,
}

impl Frame {
    pub const fn empty(kind: Kind, channel: u32) -> Self {
        Self {
            kind,
            channel,
            payload: Bytes::new(),
        }
    }

    /// A frame that holds `value` as JSON.
    pub fn message(kind: Kind, channel: u32, value: &impl Serialize) -> io::Result<Self> {
        let payload = Bytes::from(serde_json::to_vec(value)?);
        if payload.len() > MAX_FRAME {
            let text = format!("more than {} MiB at once", MAX_FRAME >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(Self {
            kind,
            channel,
            payload,
        })
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER];
        if reader.read(&mut header[..1]).await? == 0 {
            return Ok(None);
        }
        reader.read_exact(&mut header[1..]).await?;
        let [l0, l1, l2, l3, kind, c0, c1, c2, c3] = header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if length > MAX_FRAME {
            return Err(malformed(format!("a frame of {length} bytes")));
        }
        let kind = Kind::parse(kind)?;
        let channel = u32::from_be_bytes([c0, c1, c2, c3]);
        // The memory grows with what arrives, not with what is promised.
        let mut payload = BytesMut::with_capacity(length.min(CHUNK));
        let mut rest = reader.take(length as u64);
        // To read on into a full buffer would make it grow.
        while payload.len() < length && rest.read_buf(&mut payload).await? > 0 {}
        if payload.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self {
            kind,
            channel,
            payload: payload.freeze(),
        }))
    }

    pub async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let length = u32::try_from(self.payload.len()).map_err(io::Error::other)?;
        let mut header = [0; HEADER];
        let mut at = &mut header[..];
        at.put_u32(length);
        at.put_u8(self.kind as u8);
        at.put_u32(self.channel);
        writer.write_all(&header).await?;
        writer.write_all(&self.payload).await
    }
}

/// Reads what [`Frame::message`] wrote.
pub(super) fn parse<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))
}

pub(super) fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The init's first word.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Greeting {
    pub version: u32,
}

/// What the runner asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    SetUp(SetUp),
    /// Its output comes on the request's channel, before the reply and after it.
    Exec(ExecRequest),
    /// Its stderr comes on the request's channel. `stream` is a channel for its stdin and stdout.
    Tool {
        request: ToolRequest,
        stream: u32,
    },
    /// Answered with whether there is something, or was.
    File {
        action: FileAction,
        path: String,
    },
    /// The reply comes when it runs. `stream` is a channel for its output, with a reply at its end.
    Program {
        request: ProgramRequest,
        stream: u32,
    },
    Stop {
        grace: Duration,
    },
    Listening,
}

/// What is to be done to a file, as [`crate::Inside`] says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum FileAction {
    /// `stream` is a channel for its content.
    Write {
        mode: u32,
        length: usize,
        stream: u32,
    },
    Exists,
    Remove,
}

/// An [`ExecutorError`] on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireError {
    fault: Fault,
    message: String,
    source: Option<WireSource>,
}

#[derive(Debug, Serialize, Deserialize)]
enum WireSource {
    Number(i32),
    Text(String),
}

impl From<ExecutorError> for WireError {
    fn from(error: ExecutorError) -> Self {
        Self {
            fault: error.fault,
            message: error.message,
            source: error.source.map(|source| match source.raw_os_error() {
                Some(number) => WireSource::Number(number),
                None => WireSource::Text(source.to_string()),
            }),
        }
    }
}

impl From<WireError> for ExecutorError {
    fn from(error: WireError) -> Self {
        Self {
            fault: error.fault,
            message: error.message,
            source: error.source.map(|source| match source {
                WireSource::Number(number) => io::Error::from_raw_os_error(number),
                WireSource::Text(text) => io::Error::other(text),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_frame_arrives_as_it_was_sent() {
        let frame = Frame {
            kind: Kind::Data,
            channel: 7,
            payload: Bytes::from(vec![b'x'; 3 * CHUNK]),
        };
        let mut bytes = Vec::new();
        frame.write(&mut bytes).await.expect("is written");
        let mut reader = &bytes[..];
        assert_eq!(Frame::read(&mut reader).await.expect("reads"), Some(frame));
        assert_eq!(Frame::read(&mut reader).await.expect("reads"), None);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_an_error() {
        for (bytes, kind) in [
            (&b"\0\0"[..], io::ErrorKind::UnexpectedEof),
            (b"\0\0\0\x05\x04\0\0\0\0abc", io::ErrorKind::UnexpectedEof),
            (b"\0\0\0\0\x63\0\0\0\0", io::ErrorKind::InvalidData),
            (b"\xff\xff\xff\xff\x04\0\0\0\0", io::ErrorKind::InvalidData),
        ] {
            let mut reader = bytes;
            let error = Frame::read(&mut reader).await.expect_err("is no frame");
            assert_eq!(error.kind(), kind, "{bytes:?}");
        }
    }
}
