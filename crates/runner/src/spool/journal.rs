//! The journal of one attempt: appended to as things happen, read by the next process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use outrider_model::AttemptId;

use super::Spool;
use super::entry::{Entry, FORGOTTEN, append_line};

/// A journal file longer than this is cut when its attempt is forgotten.
const KEEP: u64 = 256 * 1024;

/// Lines about one attempt. They are collected and written together; what cannot be written for
/// lack of room is written with the next ones.
#[derive(Debug)]
pub struct Journal {
    spool: Arc<Spool>,
    index: u32,
    /// None once it is forgotten.
    file: Option<File>,
    attempt: AttemptId,
    prefix: String,
    end: u64,
    unwritten: Vec<u8>,
}

impl Journal {
    pub(super) fn new(spool: Arc<Spool>, index: u32, file: File, attempt: AttemptId) -> Self {
        Self::resume(spool, index, file, attempt, 0)
    }

    pub(super) fn resume(
        spool: Arc<Spool>,
        index: u32,
        file: File,
        attempt: AttemptId,
        end: u64,
    ) -> Self {
        let prefix = attempt.to_string();
        Self {
            spool,
            index,
            file: Some(file),
            attempt,
            prefix,
            end,
            unwritten: Vec::new(),
        }
    }

    /// Adds a line, to be written with the next [`Journal::write`].
    pub fn note(&mut self, entry: &Entry<'_>) {
        if self.file.is_some() {
            append_line(&mut self.unwritten, &self.prefix, entry);
        }
    }

    /// Writes what was noted.
    pub fn write(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if !self.unwritten.is_empty() {
            file.write_all_at(&self.unwritten, self.end)?;
            self.end += self.unwritten.len() as u64;
            self.unwritten = Vec::new();
        }
        Ok(())
    }

    /// Opens the file for the rest of the log.
    pub fn log_file(&self) -> io::Result<File> {
        self.spool.log_file(self.attempt)
    }

    /// The attempt is done with: its files are free for others. Nothing is written any more.
    pub fn forget(&mut self) {
        let Some(file) = self.file.take() else { return };
        self.unwritten = Vec::new();
        let cleared = if self.end > KEEP {
            file.set_len(0)
        } else {
            file.write_all_at(FORGOTTEN, 0)
        };
        match cleared {
            Ok(()) => self.spool.give_back(self.index, file),
            Err(error) => {
                let attempt = self.attempt;
                tracing::warn!(%attempt, "cannot clear a journal in the spool: {error}");
            }
        }
    }

    /// Removes the file of the rest of the log.
    pub fn remove_log(&self) {
        self.spool.remove_log(self.attempt);
    }
}
