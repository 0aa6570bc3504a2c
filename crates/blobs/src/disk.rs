//! Blobs in a folder.
//!
//! A blob is written to a file of its own in `.partial`, verified, synced, and renamed to its place;
//! then the folder is synced. So a blob is there whole or not at all, also after a power failure, and
//! [`Disk::put`] returns when it is on the disk. Puts at the same time share the commits of the file
//! system's journal.
//!
//! Who writes a partial file holds a lock on it. One that nobody holds is left over from a process
//! that died, on this host or in another container.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use outrider_model::Timestamp;
use rustix::fs::{FlockOperation, flock, statvfs};
use tempfile::NamedTempFile;

use crate::body::{BadBody, Verifier};
use crate::error::{BlobsError, StoreError};
use crate::{DiskSpace, Object};

/// Where files are written before they are whole.
const PARTIAL: &str = ".partial";

/// So much is gathered before it is written: it bounds the memory of a transfer.
const PIECE_IN: usize = 512 * 1024;

/// So much is read at a time. Many tasks restore at once, and each of their transfers holds a piece
/// or two, so these are small.
const PIECE_OUT: u64 = 64 * 1024;

/// A folder of blobs.
pub struct Disk {
    root: PathBuf,
    /// Folders that are on the disk for certain, with all folders above them.
    settled: Mutex<HashSet<PathBuf>>,
}

impl Disk {
    /// Makes the folder if it is not there, and clears what crashes have left in it.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join(PARTIAL))?;
        sync(root)?;
        remove_leftovers(&root.join(PARTIAL))?;
        Ok(Self {
            root: root.canonicalize()?,
            settled: Mutex::default(),
        })
    }

    /// Writes a blob. `Ok` means verified and synced.
    pub async fn put(
        self: &Arc<Self>,
        key: &str,
        verifier: Verifier,
        body: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<(), BlobsError> {
        let mut body = std::pin::pin!(body);
        let disk = Arc::clone(self);
        let mut partial =
            blocking(move || Ok(Partial::new(&disk.root.join(PARTIAL), verifier)?)).await?;
        loop {
            let pieces = gather(&mut body).await?;
            if pieces.is_empty() {
                break;
            }
            partial = blocking(move || partial.write(&pieces)).await?;
        }
        let (disk, path) = (Arc::clone(self), self.root.join(key));
        blocking(move || disk.publish(partial, &path)).await
    }

    /// The bytes in a range.
    pub async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobsError>>, BlobsError> {
        let (path, owned, end) = (self.root.join(key), key.to_owned(), range.end);
        let file = blocking(move || {
            let file = File::open(path).map_err(|error| missing(error, &owned))?;
            if file.metadata()?.len() < end {
                return Err(BlobsError::OutOfRange(owned));
            }
            Ok(Arc::new(file))
        })
        .await?;
        let pieces = stream::try_unfold((file, range), |(file, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + PIECE_OUT);
            let (source, piece) = (Arc::clone(&file), range.start..end);
            let bytes = blocking(move || Ok(read(&source, piece)?)).await?;
            Ok(Some((bytes, (file, end..range.end))))
        });
        Ok(pieces.boxed())
    }

    /// How large a blob is, if it is there.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, BlobsError> {
        let path = self.root.join(key);
        blocking(move || match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// Removes blobs that are there. What a power failure brings back is found by the next look.
    pub async fn delete(&self, keys: Vec<String>) -> Result<(), BlobsError> {
        let root = self.root.clone();
        blocking(move || {
            let removed = keys
                .iter()
                .map(|key| match fs::remove_file(root.join(key)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                });
            // All are tried, and the first that fails is told.
            let results: Vec<io::Result<()>> = removed.collect();
            Ok(results.into_iter().collect::<io::Result<()>>()?)
        })
        .await
    }

    /// All files that are whole, folder by folder.
    pub fn list(&self) -> BoxStream<'static, Result<Object, BlobsError>> {
        let root = self.root.clone();
        let start = vec![root.clone()];
        stream::try_unfold((root, start), |(root, mut left)| async move {
            let Some(folder) = left.pop() else {
                return Ok::<_, BlobsError>(None);
            };
            blocking(move || {
                let objects = walk(&root, &folder, &mut left)?;
                Ok(Some((
                    stream::iter(objects.into_iter().map(Ok)),
                    (root, left),
                )))
            })
            .await
        })
        .try_flatten()
        .boxed()
    }

    /// The room on its disk.
    pub fn space(&self) -> io::Result<DiskSpace> {
        let found = statvfs(&self.root)?;
        Ok(DiskSpace {
            free: found.f_bavail * found.f_frsize,
            total: found.f_blocks * found.f_frsize,
        })
    }

    /// Gives a whole file its place.
    fn publish(&self, partial: Partial, path: &Path) -> Result<(), BlobsError> {
        partial.verifier.finish()?;
        partial.file.as_file().sync_data()?;
        let folder = path.parent().unwrap_or(&self.root);
        self.settle(folder)?;
        partial.file.persist(path).map_err(|error| error.error)?;
        Ok(sync(folder)?)
    }

    /// Makes a folder and all above it, and syncs them. Somebody else may have made it and not yet
    /// have synced it, so that it is there says nothing.
    fn settle(&self, folder: &Path) -> io::Result<()> {
        if self.settled().contains(folder) {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        let above = folder.ancestors().skip(1);
        above
            .take_while(|above| above.starts_with(&self.root))
            .try_for_each(sync)?;
        self.settled().insert(folder.to_owned());
        Ok(())
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is not whole yet. Dropping it removes it.
struct Partial {
    file: NamedTempFile,
    verifier: Verifier,
}

impl Partial {
    fn new(folder: &Path, verifier: Verifier) -> io::Result<Self> {
        loop {
            let file = tempfile::Builder::new().tempfile_in(folder)?;
            // Somebody who starts now may have taken it for a leftover before it was locked.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if locked && file.as_file().metadata()?.nlink() > 0 {
                return Ok(Self { file, verifier });
            }
        }
    }

    fn write(mut self, pieces: &[Bytes]) -> Result<Self, BlobsError> {
        for piece in pieces {
            self.verifier.take(piece)?;
            self.file.write_all(piece)?;
        }
        Ok(self)
    }
}

/// The next pieces of a body; none at its end.
async fn gather(
    body: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
) -> Result<Vec<Bytes>, BadBody> {
    let (mut pieces, mut length) = (Vec::new(), 0);
    while length < PIECE_IN
        && let Some(piece) = body.next().await
    {
        let piece = piece.map_err(BadBody::BrokeOff)?;
        length += piece.len();
        if !piece.is_empty() {
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

fn read(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, range.start)?;
    Ok(buffer.into())
}

/// The files in a folder. Folders in it are added to those that are left.
fn walk(root: &Path, folder: &Path, left: &mut Vec<PathBuf>) -> io::Result<Vec<Object>> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?,
        };
        let key = path.strip_prefix(root).ok().and_then(Path::to_str);
        match key {
            Some(PARTIAL) | None => {}
            Some(_) if metadata.is_dir() => left.push(path),
            Some(key) => objects.push(Object {
                key: key.to_owned(),
                size: metadata.len(),
                stored_at: Timestamp::from_millis(
                    metadata.mtime() * 1_000 + metadata.mtime_nsec() / 1_000_000,
                ),
            }),
        }
    }
    Ok(objects)
}

/// Removes partial files that nobody writes any more.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(file) = OpenOptions::new().write(true).open(&path) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            tracing::info!(file = %path.display(), "removing what a crash has left");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Writes a folder's entries to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn missing(error: io::Error, key: &str) -> BlobsError {
    match error.kind() {
        ErrorKind::NotFound => BlobsError::Missing(key.to_owned()),
        _ => error.into(),
    }
}

/// Runs what waits for the disk on a thread for that.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobsError> + Send + 'static,
) -> Result<T, BlobsError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| StoreError::from(io::Error::other(error)))?
}
