//! The stream between the runner and a container's init: its stdin and stdout, by `attach`.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::AttachContainerOptionsBuilder;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

/// How much of what the init has complained about last is kept.
const COMPLAINTS: usize = 4096;

/// A container's stdin and stdout.
pub(super) struct Attached {
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    pub writer: Pin<Box<dyn AsyncWrite + Send>>,
    pub complaints: Complaints,
}

/// To be done before the container is started, so that nothing is missed.
pub(super) async fn attach(docker: &Docker, container: &str) -> Result<Attached, Error> {
    let options = AttachContainerOptionsBuilder::new()
        .stream(true)
        .stdin(true)
        .stdout(true)
        .stderr(true)
        .build();
    let attached = docker.attach_container(container, Some(options)).await?;
    let complaints = Complaints::default();
    Ok(Attached {
        reader: Box::new(StreamReader::new(stdout(
            attached.output,
            complaints.clone(),
        ))),
        writer: attached.input,
        complaints,
    })
}

/// What the init has written to stderr: why it could not start, usually.
#[derive(Clone, Default)]
pub(super) struct Complaints(Arc<Mutex<VecDeque<u8>>>);

impl Complaints {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(COMPLAINTS);
        kept.drain(..excess);
    }

    /// The last of it, if there was anything.
    pub fn text(&self) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(kept.make_contiguous());
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

fn stdout(
    output: Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>,
    complaints: Complaints,
) -> Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> {
    let stdout = output.filter_map(move |item| {
        let bytes = match item {
            Ok(LogOutput::StdOut { message }) => Some(Ok(message)),
            Ok(LogOutput::StdErr { message }) => {
                complaints.add(&message);
                None
            }
            // The end of a frame that was cut off.
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        };
        std::future::ready(bytes)
    });
    Box::pin(stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_complaints_are_kept() {
        let complaints = Complaints::default();
        assert_eq!(complaints.text(), None);
        complaints.add(&[b'x'; 10_000]);
        complaints.add(b"the end\n");
        let text = complaints.text().expect("something was said");
        assert!(text.ends_with("xthe end") && text.len() == COMPLAINTS - 1);
    }
}
