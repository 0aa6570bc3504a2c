//! Logs that are too long for the store: one file per attempt, appended to as bytes come.
//!
//! The store's length is the truth. Bytes are written and synced here first and counted there
//! afterwards, so a crash in between leaves bytes in the file that are not counted: the next write
//! goes over them.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use outrider_model::AttemptId;
use outrider_model::report::LogHash;

/// How much is read at once.
const READ_SIZE: usize = 256 * 1024;

/// All log files.
pub struct LogFiles {
    directory: PathBuf,
    open: Mutex<HashMap<AttemptId, Arc<tokio::sync::Mutex<OpenLog>>>>,
}

/// A log that is being written.
#[derive(Default)]
pub struct OpenLog {
    file: Option<Arc<File>>,
    /// How many bytes went through the hasher: always the first ones of the file.
    length: u64,
    hasher: blake3::Hasher,
}

/// Bytes to write at the end of a file that is `length` long.
pub struct Append {
    /// How many bytes of the file are counted.
    pub length: u64,
    /// What comes next.
    pub pieces: Vec<Bytes>,
}

impl LogFiles {
    /// The files in a directory, which is made when it is needed.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            open: Mutex::default(),
        }
    }

    /// The log of an attempt. Its lock is held from the look at its length to the count of what
    /// was added.
    pub fn open(&self, attempt: AttemptId) -> Arc<tokio::sync::Mutex<OpenLog>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.entry(attempt).or_default())
    }

    /// Forgets what is kept in memory of a log.
    pub fn close(&self, attempt: AttemptId) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&attempt);
    }

    /// Writes, syncs, and tells the new length.
    pub async fn append(
        &self,
        attempt: AttemptId,
        log: &mut OpenLog,
        append: Append,
    ) -> std::io::Result<u64> {
        let path = self.path(attempt);
        let state = std::mem::take(log);
        let (state, result) = tokio::task::spawn_blocking(move || {
            let mut state = state;
            let result = state.append(&path, &append);
            (state, result)
        })
        .await
        .map_err(std::io::Error::other)?;
        *log = state;
        if result.is_err() {
            // What the hasher saw is not certain any more: it is read again next time.
            *log = OpenLog::default();
        }
        result
    }

    /// BLAKE3 of the first `length` bytes.
    pub async fn hash(
        &self,
        attempt: AttemptId,
        log: &mut OpenLog,
        length: u64,
    ) -> std::io::Result<LogHash> {
        if log.length != length {
            let path = self.path(attempt);
            *log = tokio::task::spawn_blocking(move || OpenLog::read(&path, length))
                .await
                .map_err(std::io::Error::other)??;
        }
        Ok(LogHash(*log.hasher.finalize().as_bytes()))
    }

    /// Reads from `offset` on, up to `end`, some bytes at once.
    pub async fn read(&self, attempt: AttemptId, offset: u64, end: u64) -> std::io::Result<Bytes> {
        let path = self.path(attempt);
        let size = usize::try_from(end.saturating_sub(offset))
            .unwrap_or(usize::MAX)
            .min(READ_SIZE);
        tokio::task::spawn_blocking(move || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut buffer = vec![0; size];
            file.read_exact(&mut buffer)?;
            Ok(Bytes::from(buffer))
        })
        .await
        .map_err(std::io::Error::other)?
    }

    /// Spread over folders by the random end of the id: the start is the time.
    fn path(&self, attempt: AttemptId) -> PathBuf {
        let name = attempt.to_string();
        let folder = &name[name.len() - 2..];
        self.directory.join(folder).join(format!("{name}.log"))
    }
}

impl OpenLog {
    fn append(&mut self, path: &Path, append: &Append) -> std::io::Result<u64> {
        if self.file.is_none() || self.length != append.length {
            *self = Self::read(path, append.length)?;
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = Arc::new(create(path)?);
                self.file = Some(Arc::clone(&file));
                file
            }
        };
        let mut writer = &*file;
        writer.seek(SeekFrom::Start(append.length))?;
        for piece in &append.pieces {
            writer.write_all(piece)?;
            self.hasher.update(piece);
            self.length += piece.len() as u64;
        }
        file.sync_data()?;
        Ok(self.length)
    }

    /// What is known of the first `length` bytes of a file, by reading them.
    fn read(path: &Path, length: u64) -> std::io::Result<Self> {
        if length == 0 {
            return Ok(Self::default());
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut hasher = blake3::Hasher::new();
        let copied = std::io::copy(&mut Read::by_ref(&mut file).take(length), &mut hasher)?;
        if copied != length {
            return Err(std::io::Error::other(format!(
                "{} has {copied} bytes where {length} were synced",
                path.display()
            )));
        }
        Ok(Self {
            file: Some(Arc::new(file)),
            length,
            hasher,
        })
    }
}

/// Makes a file whose name survives a crash too.
fn create(path: &Path) -> std::io::Result<File> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    File::open(folder)?.sync_all()?;
    if let Some(parent) = folder.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(file)
}
