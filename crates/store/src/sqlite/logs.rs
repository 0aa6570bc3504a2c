//! The part of logs that the store holds.

use outrider_model::report::{LogChunk, ReportAnswer};
use outrider_model::{AttemptId, TaskId, TaskState};
use rusqlite::{Connection, OptionalExtension};

use super::fault::{Fault, Res};
use super::reports::{no_longer_held, stale};
use super::rows::{AttemptRow, Held};
use super::tx::Tx;
use crate::{INLINE_LOG_MAX, LogPosition, LogRead};

impl Tx<'_> {
    /// Appends what is new of a chunk that does not start past the end; whether there was anything.
    pub fn append(&self, row: &mut AttemptRow, chunk: &LogChunk) -> Res<bool> {
        let known = usize::try_from(row.log_length - chunk.offset).unwrap_or(usize::MAX);
        let Some(new) = chunk.bytes.get(known..).filter(|new| !new.is_empty()) else {
            return Ok(false);
        };
        let length = row.log_length + new.len() as u64;
        if length > INLINE_LOG_MAX {
            return Err(Fault::conflict(format!(
                "a log of {length} bytes does not fit into the store, which holds {INLINE_LOG_MAX} at most"
            )));
        }
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO log (attempt, offset, bytes) VALUES (?1, ?2, ?3)")?;
        insert.execute((row.id.as_bytes(), row.log_length, new))?;
        row.log_length = length;
        Ok(true)
    }

    /// BLAKE3 of a log that is wholly here. `last` is a chunk that is known to be in it.
    pub fn hash_log(&self, row: &AttemptRow, last: Option<&LogChunk>) -> Res<[u8; 32]> {
        // Short tasks send their whole log in one piece: no need to read it back.
        if let Some(whole) =
            last.filter(|chunk| chunk.offset == 0 && chunk.bytes.len() as u64 == row.log_length)
            && self.is_one_piece(row)?
        {
            return Ok(blake3::hash(&whole.bytes).into());
        }
        let mut hasher = blake3::Hasher::new();
        each_piece(self.db, row.id, |_, bytes| {
            hasher.update(bytes);
        })?;
        Ok(hasher.finalize().into())
    }

    /// Drops the log, so that it can be sent again from 0.
    pub fn forget_log(&self, row: &mut AttemptRow) -> Res<()> {
        self.drop_pieces(row.id)?;
        (row.log_length, row.file_length) = (0, 0);
        Ok(())
    }

    fn drop_pieces(&self, attempt: AttemptId) -> Res<()> {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM log WHERE attempt = ?1")?;
        delete.execute([attempt.as_bytes()])?;
        Ok(())
    }

    /// The log up to `length` lies in a file now.
    pub fn log_written(
        &mut self,
        task: TaskId,
        lease: &[u8; 16],
        length: u64,
    ) -> Res<ReportAnswer> {
        let (mut held, state) = match self.writable(task, lease)? {
            Ok(found) => found,
            Err(refused) => return Ok(refused),
        };
        let Some(row) = &mut held.attempt else {
            return Err(Fault::damaged("no attempt"));
        };
        let stop = matches!(state, TaskState::Stopping(_));
        let grows =
            length > row.log_length || (length == row.log_length && row.file_length < length);
        if grows && matches!(state, TaskState::Finished { .. }) {
            return Ok(no_longer_held(state));
        }
        if grows {
            (row.log_length, row.file_length) = (length, length);
            row.save(self.db)?;
            self.drop_pieces(row.id)?;
        }
        Ok(ReportAnswer::Accepted {
            log_length: row.log_length,
            stop,
        })
    }

    /// Forgets the log of a leased attempt.
    pub fn log_reset(&mut self, task: TaskId, lease: &[u8; 16]) -> Res<ReportAnswer> {
        let (mut held, state) = match self.writable(task, lease)? {
            Ok(found) => found,
            Err(refused) => return Ok(refused),
        };
        if matches!(state, TaskState::Finished { .. }) {
            return Ok(no_longer_held(state));
        }
        let Some(row) = &mut held.attempt else {
            return Err(Fault::damaged("no attempt"));
        };
        self.forget_log(row)?;
        row.save(self.db)?;
        Ok(ReportAnswer::Accepted {
            log_length: 0,
            stop: matches!(state, TaskState::Stopping(_)),
        })
    }

    /// The task, if this lease is its newest and either held or the one that ended it.
    fn writable(
        &self,
        task: TaskId,
        lease: &[u8; 16],
    ) -> Res<Result<(Held, TaskState), ReportAnswer>> {
        let Some(held) = Held::load(self.db, task)? else {
            return Ok(Err(stale(format!("there is no task {task}"))));
        };
        let state = held.state()?;
        let leased = held.attempt.as_ref().is_some_and(|row| row.lease == *lease);
        let ended_by_server = matches!(state, TaskState::Finished { attempt: None, .. });
        let queued = matches!(state, TaskState::Queued | TaskState::Blocked);
        if !leased || ended_by_server || queued {
            return Ok(Err(no_longer_held(state)));
        }
        Ok(Ok((held, state)))
    }

    fn is_one_piece(&self, row: &AttemptRow) -> Res<bool> {
        let mut find = self
            .db
            .prepare_cached("SELECT length(bytes) FROM log WHERE attempt = ?1 AND offset = 0")?;
        let first: Option<u64> = find
            .query_row([row.id.as_bytes()], |row| row.get(0))
            .optional()?;
        Ok(first == Some(row.log_length))
    }
}

/// Where the log of a leased attempt stands.
pub fn position(db: &Connection, task: TaskId, lease: &[u8; 16]) -> Res<LogPosition> {
    let held = Held::load(db, task)?.ok_or_else(|| Fault::not_found("task", task))?;
    let state = held.state()?;
    let leased = held.attempt.as_ref().filter(|row| row.lease == *lease);
    let held_or_ended_it = match state {
        TaskState::Finished { attempt, .. } => attempt.is_some(),
        _ => state.lease().is_some(),
    };
    match leased.filter(|_| held_or_ended_it) {
        Some(row) => Ok(LogPosition {
            attempt: row.id,
            file_length: row.file_length,
            length: row.log_length,
        }),
        None => Err(outrider_model::IllegalTransition::StaleLease {
            now: state.status(),
        }
        .into()),
    }
}

/// Reads what the store holds of a log.
pub fn read(db: &Connection, attempt: AttemptId, offset: u64, max: u32) -> Res<LogRead> {
    let mut find = db.prepare_cached(
        "SELECT file_length, log_length, ended_at IS NOT NULL, mark FROM attempt WHERE id = ?1",
    )?;
    let mut log = find
        .query_row([attempt.as_bytes()], |row| {
            Ok(LogRead {
                file_length: row.get(0)?,
                length: row.get(1)?,
                bytes: Vec::new(),
                ended: row.get(2)?,
                mark: row.get(3)?,
            })
        })
        .optional()?
        .ok_or_else(|| Fault::not_found("attempt", attempt))?;
    let from = offset.max(log.file_length);
    each_piece(db, attempt, |at, bytes| {
        let skip = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
        let room = max as usize - log.bytes.len();
        log.bytes.extend(bytes.iter().skip(skip).take(room));
    })?;
    if !log.ended {
        log.mark = None;
    }
    Ok(log)
}

/// The pieces of a log, in order.
fn each_piece(db: &Connection, attempt: AttemptId, mut act: impl FnMut(u64, &[u8])) -> Res<()> {
    let mut statement =
        db.prepare_cached("SELECT offset, bytes FROM log WHERE attempt = ?1 ORDER BY offset")?;
    let mut rows = statement.query([attempt.as_bytes()])?;
    while let Some(row) = rows.next()? {
        act(
            row.get(0)?,
            row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?,
        );
    }
    Ok(())
}
