//! What a runner keeps on its disk until the server has it.
//!
//! Every attempt has a [`Journal`], and a file with the part of its log that is too long for the
//! journal. The spool outlives the process: the next one reads what the last one left
//! ([`Leftover`]) and delivers it. Nothing is synced: it has to survive the end of the process,
//! not of the host; what a host forgets, the server learns from leases that run out.
//!
//! Journal files are used again and again, overwritten in place: making and removing a file for
//! each task costs nine times as much (25 µs against 3 µs, measured on ext4).

mod entry;
mod journal;
mod leftover;

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use outrider_model::AttemptId;
use outrider_model::claim::ClaimedTask;

pub use entry::Entry;
pub use journal::Journal;
pub use leftover::Leftover;

use crate::RunnerError;

/// A spool directory that this process alone uses.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    pool: Mutex<Pool>,
    /// Locked for as long as it is open.
    _lock: File,
}

/// Journal files that no attempt uses now.
#[derive(Debug, Default)]
struct Pool {
    free: Vec<(u32, File)>,
    next: u32,
}

impl Spool {
    /// Locks the directory, making it if it is not there, and reads what is in it.
    pub fn open(directory: &Path) -> Result<(Arc<Self>, Vec<Leftover>), RunnerError> {
        let failed = |source| RunnerError::Spool {
            path: directory.to_owned(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let lock = private_file(&directory.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => RunnerError::SpoolLocked {
                path: directory.to_owned(),
            },
            TryLockError::Error(source) => failed(source),
        })?;
        let spool = Arc::new(Self {
            directory: directory.to_owned(),
            pool: Mutex::new(Pool::default()),
            _lock: lock,
        });
        let leftovers = spool.read().map_err(failed)?;
        Ok((spool, leftovers))
    }

    /// Begins the journal of an attempt. On error nothing is kept, and the attempt must not start.
    pub fn begin(self: &Arc<Self>, task: &ClaimedTask, runner: &str) -> io::Result<Journal> {
        let (index, file) = self.take_file()?;
        let mut journal = Journal::new(Arc::clone(self), index, file, task.attempt);
        journal.note(&Entry::Claimed {
            task: std::borrow::Cow::Borrowed(task),
            runner: runner.into(),
        });
        match journal.write() {
            Ok(()) => Ok(journal),
            Err(error) => {
                journal.forget();
                Err(error)
            }
        }
    }

    /// Opens the file for the part of a log that is too long for the journal.
    pub fn log_file(&self, attempt: AttemptId) -> io::Result<File> {
        private_file(&self.log_path(attempt))
    }

    /// The same, if there is one.
    pub fn log_file_if_there(&self, attempt: AttemptId) -> io::Result<Option<File>> {
        match File::options()
            .read(true)
            .write(true)
            .open(self.log_path(attempt))
        {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes that file, if there is one.
    pub fn remove_log(&self, attempt: AttemptId) {
        if let Err(error) = std::fs::remove_file(self.log_path(attempt))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%attempt, "cannot remove a log from the spool: {error}");
        }
    }

    fn log_path(&self, attempt: AttemptId) -> PathBuf {
        self.directory.join(format!("{attempt}.log"))
    }

    fn take_file(&self) -> io::Result<(u32, File)> {
        let index = {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = pool.free.pop() {
                return Ok(known);
            }
            pool.next += 1;
            pool.next
        };
        let path = self.directory.join(format!("{index:05}.task"));
        private_file(&path).map(|file| (index, file))
    }

    fn give_back(&self, index: u32, file: File) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.free.push((index, file));
    }

    /// Reads the journals of an earlier process, and clears away what belongs to nobody.
    fn read(self: &Arc<Self>) -> io::Result<Vec<Leftover>> {
        let mut leftovers = Vec::new();
        let mut logs = Vec::new();
        for item in std::fs::read_dir(&self.directory)? {
            let path = item?.path();
            let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
                continue;
            };
            let stem = stem.to_string_lossy();
            match extension.to_str() {
                Some("task") => {
                    let Ok(index) = stem.parse() else { continue };
                    leftovers.extend(self.read_journal(index, &path)?);
                }
                Some("log") => logs.extend(stem.parse::<AttemptId>().ok()),
                _ => {}
            }
        }
        for attempt in logs {
            if !leftovers
                .iter()
                .any(|leftover| leftover.task.attempt == attempt)
            {
                self.remove_log(attempt);
            }
        }
        leftovers.sort_by_key(|leftover| leftover.task.attempt);
        Ok(leftovers)
    }

    fn read_journal(self: &Arc<Self>, index: u32, path: &Path) -> io::Result<Option<Leftover>> {
        let file = private_file(path)?;
        let content = std::fs::read(path)?;
        {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.next = pool.next.max(index);
        }
        let Some((leftover, end)) = leftover::parse(&content) else {
            std::fs::remove_file(path)?;
            return Ok(None);
        };
        let journal = Journal::resume(Arc::clone(self), index, file, leftover.task.attempt, end);
        Ok(Some(leftover.with(journal)))
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
