//! What goes wrong.

use std::io;
use std::path::PathBuf;

use outrider_model::blob::BlobHash;

use crate::place::Base;
use crate::store::BlobError;

/// Why an archive could not be saved or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody asked for it.
    #[error("the transfer was canceled")]
    Canceled,
    /// A file of this host gave trouble.
    #[error("could not {action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The disk of this host, or the user's quota on it, is used up.
    #[error("the disk is full: could not write `{}`", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The blob store gave trouble.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// What a manifest says cannot be.
    #[error("the manifest of the archive is not valid: {0}")]
    Manifest(#[from] InvalidManifest),
    /// It has more files than the caller allows.
    #[error("the archive has {entries} entries, more than the {limit} allowed")]
    TooManyEntries {
        /// So many.
        entries: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Its files are larger than the caller allows.
    #[error("the archive has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// So many bytes.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// It has files where the caller does not let it write.
    #[error("the archive has files outside of what may be restored: `{}` of {base}", path.display())]
    NotAllowed {
        /// Below this directory.
        base: Base,
        /// This one, for example.
        path: PathBuf,
    },
    /// A path that cannot be in an archive.
    #[error("`{}` cannot be in an archive: {reason}", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// There are too many small files for one archive.
    #[error("there are too many files for one archive")]
    ManifestTooLong,
    /// A file's chunks are all right, but together they are not the file that the manifest names.
    #[error("the contents of `{}` are not what the manifest says", path.display())]
    WrongContent {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidManifest {
    /// It is no manifest, or one of a later version.
    #[error("it is of an unknown kind or version")]
    Unknown,
    /// Its bytes make no sense.
    #[error("it is damaged")]
    Damaged,
    /// It is longer than any real one.
    #[error("it is too long")]
    TooLong,
    /// A path is absolute, or has `..`, NUL, or an empty part.
    #[error("a path is absolute, or has `.`, `..`, NUL or an empty part in it")]
    BadPath,
    /// The same path twice, or paths out of order.
    #[error("a path is there twice or out of order")]
    NotSorted,
    /// A file lies below something that is not a directory.
    #[error("a path lies below one that is not a directory")]
    NoDirectory,
    /// A hard link leads to something that is not an earlier file.
    #[error("a hard link leads to no file")]
    BadLink,
    /// Chunks and files do not fit together.
    #[error("chunks and files do not fit together")]
    BadChunks,
    /// Holes of a sparse file lie outside of it.
    #[error("the holes of a file lie outside of it")]
    BadHoles,
}

impl Error {
    /// A file that gave trouble; told apart is the full disk.
    pub(crate) fn file(action: &'static str, path: PathBuf, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path, source }
            }
            _ => Self::File {
                action,
                path,
                source,
            },
        }
    }

    /// A blob whose bytes are not those of its name.
    pub(crate) fn damaged(hash: BlobHash) -> Self {
        Self::Store(BlobError::Damaged(hash))
    }
}
