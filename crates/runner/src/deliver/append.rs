//! Output on its way to the disk.

use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use bytes::Bytes;
use outrider_model::report::{LogChunk, LogSpan};

use super::{Arc, Delivery};
use crate::log::Placement;
use crate::spool::Entry;

/// Writes of this size or more do not hold up a thread that others need.
const LARGE_WRITE: usize = 32 * 1024;

/// How often a full disk is tried again.
const ROOM_CHECK: Duration = Duration::from_millis(500);

impl Delivery {
    /// Takes a step's output. Returns when it is on the disk: while the disk is full, the step
    /// that writes is held back. After the lease is lost the bytes go nowhere.
    pub async fn append(self: &Arc<Self>, step: u32, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let mut last_step = self.writing.lock().await;
        if self.is_closed() {
            return;
        }
        if *last_step != Some(step) {
            *last_step = Some(step);
            self.begin_span(LogSpan {
                offset: self.log.length(),
                step,
            });
        }
        let mut told = false;
        while let Err(error) = self.write(&bytes).await {
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(
                    attempt = %self.attempt,
                    "cannot write to the spool; the step is held back until it works: {error}"
                );
            }
            tokio::time::sleep(ROOM_CHECK).await;
            if self.is_closed() {
                return;
            }
        }
        if told {
            tracing::info!(attempt = %self.attempt, "can write to the spool again");
        }
        let bulk = self.parts().bulk;
        if !bulk {
            self.owe(|_| ());
        }
    }

    fn begin_span(self: &Arc<Self>, span: LogSpan) {
        // Written with the bytes that follow.
        self.kept().journal.note(&Entry::Span(span));
        self.owe(|parts| parts.spans.push(span));
    }

    async fn write(&self, bytes: &Bytes) -> io::Result<()> {
        let (file, at) = match self.log.placement(bytes.len()) {
            Placement::Head { offset } => {
                self.write_head(offset, bytes);
                return Ok(());
            }
            Placement::File { file, at } => (file, at),
            Placement::NewFile => {
                let file = self.kept().journal.log_file()?;
                self.log.set_file(file);
                return Box::pin(self.write(bytes)).await;
            }
        };
        // The head has to be in the journal before anything follows it.
        self.kept().journal.write()?;
        if bytes.len() < LARGE_WRITE {
            file.write_all_at(bytes, at)?;
        } else {
            let shared = bytes.clone();
            let written = tokio::task::spawn_blocking(move || file.write_all_at(&shared, at));
            written.await.map_err(io::Error::other)??;
        }
        self.log.wrote(bytes, false);
        Ok(())
    }

    fn write_head(&self, offset: u64, bytes: &Bytes) {
        self.keep(&Entry::Log(LogChunk {
            offset,
            bytes: bytes.to_vec(),
        }));
        self.log.wrote(bytes, true);
    }
}
