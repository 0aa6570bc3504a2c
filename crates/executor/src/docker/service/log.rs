//! What services write: the Engine keeps it.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptions;
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _};
use tokio::time::timeout;

use crate::Output;

/// How many of its last lines tell why a service could not be started.
const LAST_LINES: &str = "20";

/// How many lines of a log are handed on at once, if so many are there.
const LINES_AT_ONCE: usize = 256;

/// Hands on all that a container writes, until it ends or is removed.
pub(super) async fn follow_log(engine: &Docker, container: &str, output: &dyn Output) {
    let followed = hand_over(log(engine, container, true, "all"), output).await;
    // Docker before 23 forgets the last lines when a container ends while it is followed.
    hand_over(log(engine, container, false, "all").skip(followed), output).await;
}

/// What a container that has ended wrote at last.
pub(super) async fn last_lines(engine: &Docker, container: &str) -> String {
    let mut log = log(engine, container, false, LAST_LINES);
    let mut said = Vec::new();
    let reading = async {
        while let Some(Ok(bytes)) = log.next().await {
            said.extend_from_slice(&bytes);
        }
    };
    // What it has said until then is better than nothing.
    let _ = timeout(engine.timeout(), reading).await;
    String::from_utf8_lossy(&said).trim_end().to_owned()
}

fn log(
    engine: &Docker,
    container: &str,
    follow: bool,
    tail: &str,
) -> impl Stream<Item = Result<Bytes, Error>> + Unpin + use<> {
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        tail: tail.to_owned(),
        ..LogsOptions::default()
    };
    let lines = engine.logs(container, Some(options));
    Box::pin(lines.map(|line| line.map(LogOutput::into_bytes)))
}

/// Hands on what a log says to its end; how many lines.
async fn hand_over(
    log: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    output: &dyn Output,
) -> usize {
    let mut chunks = log.ready_chunks(LINES_AT_ONCE);
    let mut count = 0;
    while let Some(lines) = chunks.next().await {
        // The log has ended where there is no next line.
        let lines: Vec<Bytes> = lines.into_iter().map_while(Result::ok).collect();
        count += lines.len();
        output.write(lines.concat().into()).await;
    }
    count
}
