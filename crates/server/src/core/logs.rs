//! Logs: taken from runners, given to readers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use outrider_api::ErrorCode;
use outrider_model::report::{Finished, LogChunk, Report, ReportAnswer};
use outrider_model::secret::LeaseToken;
use outrider_model::{AttemptId, IllegalTransition, TaskId};
use outrider_store::{INLINE_LOG_MAX, LogPosition, LogRead, StoreError};

use super::Core;
use crate::ApiError;
use crate::error::chain;
use crate::logs::Append;
use crate::watch::{Follower, Topic};

/// A task that nobody has claimed tells nobody that it ended: whoever waits looks again this often.
const UNCLAIMED_POLL: Duration = Duration::from_secs(1);

/// How much of a log is read at once.
const READ_SIZE: u32 = 256 * 1024;

impl Core {
    /// Appends to a log: to the store while it is short, to its file once it is long.
    pub async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        pieces: Vec<Bytes>,
    ) -> Result<ReportAnswer, ApiError> {
        let size: usize = pieces.iter().map(Bytes::len).sum();
        if offset + size as u64 > INLINE_LOG_MAX {
            return self.write_log(task, lease, offset, pieces).await;
        }
        let log = Some(LogChunk {
            offset,
            bytes: pieces.concat(),
        });
        let report = Report {
            log,
            ..Report::empty(task, lease)
        };
        let answers = self.report_plain(vec![report]).await?;
        answers
            .into_iter()
            .next()
            .ok_or_else(|| ApiError::new(ErrorCode::Internal, "no answer"))
    }

    /// Appends to a log's file.
    pub(super) async fn write_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        pieces: Vec<Bytes>,
    ) -> Result<ReportAnswer, ApiError> {
        let Some(LogPosition { attempt, .. }) = self.position(task, lease).await? else {
            return Ok(stale());
        };
        let log = self.logs.open(attempt);
        let mut log = log.lock().await;
        // Once more under the lock: another piece may have been written in between.
        let Some(position) = self.position(task, lease).await? else {
            return Ok(stale());
        };
        if offset > position.length {
            return Ok(ReportAnswer::LogGap {
                log_length: position.length,
            });
        }
        let mut append = Append {
            length: position.file_length,
            pieces: self.not_in_file(&position).await?,
        };
        append.pieces.extend(skip(pieces, position.length - offset));
        let added: usize = append.pieces.iter().map(Bytes::len).sum();
        let length = self
            .logs
            .append(attempt, &mut log, append)
            .await
            .map_err(|error| log_file_error(&error))?;
        self.pass("log.written");
        let answer = self
            .store
            .log_written(task, lease, length, self.clock.now())
            .await;
        let answer = match answer {
            Err(StoreError::Illegal(_)) => return Ok(stale()),
            answer => answer?,
        };
        self.metrics.log_bytes.inc_by(added as u64);
        self.watchers.touch(Topic::Attempt(attempt));
        Ok(answer)
    }

    /// Whether the file of a long log is what its runner hashed. Answers if that ends the matter.
    pub(super) async fn check_long_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        finished: &Finished,
    ) -> Result<Option<ReportAnswer>, ApiError> {
        let Some(LogPosition { attempt, .. }) = self.position(task, lease).await? else {
            return Ok(Some(stale()));
        };
        let log = self.logs.open(attempt);
        let mut log = log.lock().await;
        let Some(position) = self.position(task, lease).await? else {
            return Ok(Some(stale()));
        };
        if position.length != finished.log_length {
            return Ok(Some(ReportAnswer::LogGap {
                log_length: position.length,
            }));
        }
        let hash = self
            .logs
            .hash(attempt, &mut log, position.length)
            .await
            .map_err(|error| log_file_error(&error))?;
        self.logs.close(attempt);
        if hash == finished.log_hash {
            return Ok(None);
        }
        tracing::warn!(%task, %attempt, "the log is not what the runner hashed: it is sent again");
        Ok(Some(match self.store.log_reset(task, lease).await? {
            ReportAnswer::Accepted { .. } => ReportAnswer::LogMismatch {},
            refusal => refusal,
        }))
    }

    async fn position(
        &self,
        task: TaskId,
        lease: LeaseToken,
    ) -> Result<Option<LogPosition>, ApiError> {
        match self.store.log_position(task, lease).await {
            Ok(position) => Ok(Some(position)),
            Err(
                StoreError::Illegal(
                    IllegalTransition::StaleLease { .. } | IllegalTransition::AlreadyFinished(_),
                )
                | StoreError::NotFound { .. },
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What the store holds of a log that moves into its file.
    async fn not_in_file(&self, position: &LogPosition) -> Result<Vec<Bytes>, ApiError> {
        if position.length == position.file_length {
            return Ok(Vec::new());
        }
        let max = u32::try_from(INLINE_LOG_MAX).unwrap_or(u32::MAX);
        let read = self
            .store
            .read_log(position.attempt, position.file_length, max)
            .await?;
        Ok(vec![Bytes::from(read.bytes)])
    }

    /// The log of an attempt, or of the newest one.
    pub async fn open_log(
        self: &Arc<Self>,
        task: TaskId,
        attempt: Option<AttemptId>,
        offset: u64,
    ) -> Result<FollowedLog, ApiError> {
        let detail = self.store.task(task).await?;
        if let Some(wanted) = attempt
            && !detail.attempts.iter().any(|known| known.id == wanted)
        {
            return Err(ApiError::new(
                ErrorCode::NotFound,
                format!("task {task} has no attempt {wanted}"),
            ));
        }
        let attempt = attempt.or(detail.summary.attempt);
        let topic = attempt.map_or(Topic::Task(task), Topic::Attempt);
        let follower = self.watchers.follow(topic);
        Ok(FollowedLog {
            core: Arc::clone(self),
            task,
            attempt,
            offset,
            follower,
        })
    }

    async fn read(&self, attempt: AttemptId, offset: u64) -> Result<(LogRead, Bytes), ApiError> {
        let mut read = self.store.read_log(attempt, offset, READ_SIZE).await?;
        if offset >= read.file_length {
            let bytes = std::mem::take(&mut read.bytes);
            return Ok((read, bytes.into()));
        }
        let bytes = self
            .logs
            .read(attempt, offset, read.file_length)
            .await
            .map_err(|error| log_file_error(&error))?;
        Ok((read, bytes))
    }
}

/// A log that is read, from some offset on, up to its end.
pub struct FollowedLog {
    core: Arc<Core>,
    task: TaskId,
    attempt: Option<AttemptId>,
    offset: u64,
    follower: Follower,
}

/// The next of a log.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Bytes.
    Bytes(Bytes),
    /// There is nothing more now.
    Nothing,
    /// There will be nothing more. The text says what happened where the server ended the log.
    End(Option<String>),
}

impl FollowedLog {
    /// Where the next byte stands.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// What is there now.
    pub async fn next_now(&mut self) -> Result<Next, ApiError> {
        let Some(attempt) = self.attempt else {
            return self.first_attempt().await;
        };
        let (read, bytes) = self.core.read(attempt, self.offset).await?;
        self.offset += bytes.len() as u64;
        Ok(match bytes.is_empty() {
            false => Next::Bytes(bytes),
            true if read.ended && self.offset >= read.length => Next::End(read.mark),
            true => Next::Nothing,
        })
    }

    /// What is there now, or comes next: never [`Next::Nothing`].
    pub async fn next(&mut self) -> Result<Next, ApiError> {
        loop {
            match self.next_now().await? {
                Next::Nothing if self.attempt.is_some() => self.follower.changed().await,
                Next::Nothing => {
                    let _ = tokio::time::timeout(UNCLAIMED_POLL, self.follower.changed()).await;
                }
                next => return Ok(next),
            }
        }
    }

    /// Looks whether the task has been claimed by now, or has ended without.
    async fn first_attempt(&mut self) -> Result<Next, ApiError> {
        let task = self.core.store.task(self.task).await?.summary;
        self.attempt = task.attempt;
        match task.attempt {
            Some(attempt) => {
                self.follower = self.core.watchers.follow(Topic::Attempt(attempt));
                Box::pin(self.next_now()).await
            }
            None if task.status.outcome().is_some() => Ok(Next::End(None)),
            None => Ok(Next::Nothing),
        }
    }
}

/// Drops the first bytes of a sequence of pieces.
fn skip(pieces: Vec<Bytes>, mut bytes: u64) -> impl Iterator<Item = Bytes> {
    pieces.into_iter().filter_map(move |mut piece| {
        let drop = usize::try_from(bytes)
            .unwrap_or(usize::MAX)
            .min(piece.len());
        bytes -= drop as u64;
        let rest = piece.split_off(drop);
        (!rest.is_empty()).then_some(rest)
    })
}

fn stale() -> ReportAnswer {
    ReportAnswer::Stale {
        message: "the lease is no longer held".to_owned(),
    }
}

fn log_file_error(error: &std::io::Error) -> ApiError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::DiskFull.into();
    }
    tracing::error!(error = chain(error), "could not use a log file");
    ApiError::new(
        ErrorCode::Unavailable,
        "the server could not use a log file",
    )
    .advise("The server's log says why. Runners try again by themselves.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_what_was_sent_before() {
        let pieces = vec![Bytes::from("abc"), Bytes::from("de"), Bytes::from("f")];
        let rest: Vec<_> = skip(pieces.clone(), 4).collect();
        assert_eq!(rest, [Bytes::from("e"), Bytes::from("f")]);
        assert_eq!(skip(pieces, 100).count(), 0);
    }
}
