//! From a script's pipe to its [`Output`].

use std::io;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::child::Child;
use super::pipe::{Now, PipeReader};
use crate::{ExecResult, Output};

/// The reading half of one script.
pub(crate) struct Relay {
    pub reader: PipeReader,
    pub ended: CancellationToken,
}

/// Hands over what a script writes until its process ends. If others have its pipe then, a task of
/// `tasks` goes on until they have ended too.
pub(crate) async fn follow_script(
    child: Child,
    mut relay: Relay,
    output: Arc<dyn Output>,
    tasks: TaskTracker,
) -> io::Result<ExecResult> {
    let result = loop {
        tokio::select! {
            // The end first: a child that lives on and never pauses must not hide it.
            biased;
            result = child.wait() => break result?,
            bytes = relay.reader.next() => match bytes? {
                Some(bytes) => output.write(bytes).await,
                None => return child.wait().await,
            },
        }
    };
    if relay.hand_over_pending(&*output).await? == Pipe::Open {
        tasks.spawn(async move { relay.follow_survivors(&*output).await });
    }
    Ok(result)
}

#[derive(PartialEq, Eq)]
enum Pipe {
    Open,
    Closed,
}

impl Relay {
    /// Hands over what is in the pipe now, and not what is added meanwhile: that may never end.
    async fn hand_over_pending(&mut self, output: &dyn Output) -> io::Result<Pipe> {
        let mut pending = self.reader.pending()?;
        loop {
            match self.reader.now()? {
                Now::End => return Ok(Pipe::Closed),
                Now::Nothing => return Ok(Pipe::Open),
                Now::Bytes(bytes) => {
                    let count = bytes.len() as u64;
                    output.write(bytes).await;
                    if count >= pending {
                        // Nobody may have the other end any more: then the next look says so.
                        pending = 1;
                        if self.reader.pending()? > 0 {
                            return Ok(Pipe::Open);
                        }
                    } else {
                        pending -= count;
                    }
                }
            }
        }
    }

    /// Until the last process has closed the pipe, or all processes have ended: someone outside
    /// may have been given the other end.
    async fn follow_survivors(mut self, output: &dyn Output) {
        loop {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => break,
                bytes = self.reader.next() => match bytes {
                    Ok(Some(bytes)) => output.write(bytes).await,
                    Ok(None) | Err(_) => return,
                },
            }
        }
        let _ = self.hand_over_pending(output).await;
    }
}
