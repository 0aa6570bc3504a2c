//! What the runner and its tool say to each other: frames of a JSON header and a body of raw bytes.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use outrider_api::ErrorDetail;
use outrider_api::client::ClientError;
use outrider_api::data::{
    AddLayer, AnnounceBlobs, FindCache, FindChunks, IndexPacks, LocateBlobs, NamedBlob,
    ReportDamage, SaveCache, StoreArtifacts, StoreTestResults,
};
use outrider_model::BlobHash;
use outrider_model::blob::LARGEST_BLOB;
use outrider_model::plan::Step;
use outrider_model::report::Exit;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::backoff::chain;
use crate::data::DataTask;

/// The longest header: a commit names some 20 000 chunks at most.
const LONGEST_HEADER: u64 = 8 * 1024 * 1024;

/// From the runner to the tool.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    /// Always the first.
    Start(Box<Order>),
    /// Of a call, with the bytes of a blob if it asked for one.
    Answer {
        /// The number of the call.
        call: u64,
        /// What came of it.
        answer: Result<Value, CallError>,
    },
    /// End in order, soon.
    Stop,
}

/// What the tool is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// What it knows of its task.
    pub task: DataTask,
    /// The step.
    pub step: Step,
    /// Values of the job's variables that are masked in what others see.
    pub masked: Vec<String>,
}

/// From the tool to the runner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The body is output of the step.
    Say,
    /// Wants an answer. The body is the bytes of a blob that is sent.
    Call {
        /// Its number.
        call: u64,
        /// What is asked.
        request: Box<Call>,
    },
    /// Always the last: how the step exited, or what the host has to mend.
    Ended(Result<Exit, String>),
}

/// A call of the server, for the task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    AnnounceBlobs(AnnounceBlobs),
    PutBlob(NamedBlob),
    LocateBlobs(LocateBlobs),
    GetBlob(BlobHash, Option<Range<u64>>),
    ReportDamage(ReportDamage),
    FindChunks(FindChunks),
    IndexPacks(IndexPacks),
    FindCache(FindCache),
    SaveCache(SaveCache),
    AddLayer(AddLayer),
    Workspace,
    StoreArtifacts(StoreArtifacts),
    StoreTestResults(StoreTestResults),
}

/// Why a call failed: all that tells whether another try is worth it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallError {
    Settings {
        url: String,
        problem: String,
    },
    Unreachable {
        url: String,
        why: String,
    },
    Refused {
        status: u16,
        detail: Box<ErrorDetail>,
    },
    Protocol {
        url: String,
        problem: String,
    },
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Settings { url, problem } => Self::Settings { url, problem },
            ClientError::Unreachable { url, source } => Self::Unreachable {
                url,
                why: chain(&*source),
            },
            ClientError::Refused { status, detail } => Self::Refused { status, detail },
            ClientError::Protocol { url, problem } => Self::Protocol { url, problem },
        }
    }
}

impl From<CallError> for ClientError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Settings { url, problem } => Self::Settings { url, problem },
            CallError::Unreachable { url, why } => Self::Unreachable {
                url,
                source: why.into(),
            },
            CallError::Refused { status, detail } => Self::Refused { status, detail },
            CallError::Protocol { url, problem } => Self::Protocol { url, problem },
        }
    }
}

/// Writes a frame: the lengths of both parts, then the parts.
pub async fn write<H: Serialize>(
    writer: &mut (impl AsyncWrite + Unpin),
    header: &H,
    body: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    writer.write_u32(length(&header, LONGEST_HEADER)?).await?;
    writer.write_u32(length(body, LARGEST_BLOB)?).await?;
    writer.write_all(&header).await?;
    writer.write_all(body).await?;
    writer.flush().await
}

fn length(part: &[u8], longest: u64) -> io::Result<u32> {
    let length = u32::try_from(part.len()).ok();
    let length = length.filter(|length| u64::from(*length) <= longest);
    length.ok_or_else(|| nonsense("a frame is too long"))
}

/// Reads a frame. Nothing at the end.
pub async fn read<H: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(H, Bytes)>> {
    let header = match reader.read_u32().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        length => u64::from(length?),
    };
    let body = u64::from(reader.read_u32().await?);
    if header > LONGEST_HEADER || body > LARGEST_BLOB {
        return Err(nonsense("a frame is too long"));
    }
    let header = part(reader, header).await?;
    let header = serde_json::from_slice(&header)?;
    let body = part(reader, body).await?;
    Ok(Some((header, body.into())))
}

/// Takes memory as the bytes come, not as they are promised.
async fn part(reader: &mut (impl AsyncRead + Unpin), length: u64) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    reader.take(length).read_to_end(&mut part).await?;
    match part.len() as u64 == length {
        true => Ok(part),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The other side says what it should not.
pub fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8]) -> Result<Vec<(Value, Bytes)>, io::ErrorKind> {
        let (mut rest, mut frames) = (bytes, Vec::new());
        while let Some(frame) = read(&mut rest).await.map_err(|error| error.kind())? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[tokio::test]
    async fn frames_come_as_they_were_written_and_cut_ones_are_none() {
        let mut bytes = Vec::new();
        let frames = [("first", Bytes::new()), ("second", vec![7; 70_000].into())];
        for (header, body) in &frames {
            write(&mut bytes, header, body).await.unwrap();
        }
        let expected = frames.map(|(header, body)| (Value::from(header), body));
        assert_eq!(read_all(&bytes).await.unwrap(), expected);
        let cut = read_all(&bytes[..bytes.len() - 1]).await;
        assert_eq!(cut, Err(io::ErrorKind::UnexpectedEof));
    }

    #[tokio::test]
    async fn garbage_and_huge_lengths_are_refused() {
        for bytes in [
            &[0xff; 64][..],
            &[0, 0x80, 0, 1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 0, 0, 1],
            b"\0\0\0\x04\0\0\0\0oops",
        ] {
            let read = read_all(bytes).await;
            assert_eq!(read, Err(io::ErrorKind::InvalidData), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn nothing_too_long_is_written() {
        let body = vec![0; LARGEST_BLOB as usize + 1];
        let mut bytes = Vec::new();
        let error = write(&mut bytes, &"", &body).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn errors_keep_what_tells_whether_to_try_again() {
        let refused: ErrorDetail =
            serde_json::from_value(serde_json::json!({"code": "storage_full", "message": "full"}))
                .unwrap();
        let (url, problem) = ("http://x".to_owned(), "odd".to_owned());
        for error in [
            ClientError::Unreachable {
                url: url.clone(),
                source: "away".into(),
            },
            ClientError::Refused {
                status: 507,
                detail: Box::new(refused),
            },
            ClientError::Protocol { url, problem },
        ] {
            let (transient, code, text) = (error.is_transient(), error.code(), chain(&error));
            let wire = serde_json::to_string(&CallError::from(error)).unwrap();
            let back: CallError = serde_json::from_str(&wire).unwrap();
            let back = ClientError::from(back);
            assert_eq!(
                (back.is_transient(), back.code(), chain(&back)),
                (transient, code, text)
            );
        }
    }
}
