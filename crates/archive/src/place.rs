//! Where files lie, in words that hold on every host.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Directories may be nested so deep, which bounds how many are open at a time.
pub(crate) const MAX_DEPTH: usize = 128;

/// A path may be so long, as on any Linux file system.
const MAX_PATH: usize = 4095;

/// A name may be so long.
const MAX_NAME: usize = 255;

/// A directory that paths of an archive start from. Each host, and each attempt, has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Base {
    /// The home directory, `~`.
    Home,
    /// The working directory of the job, or the directory a workspace is attached to.
    Work,
    /// The root of the file system.
    Root,
}

impl Base {
    /// All of them, each at its number.
    pub(crate) const ALL: [Self; 3] = [Self::Home, Self::Work, Self::Root];
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Home => "the home directory",
            Self::Work => "the working directory",
            Self::Root => "the root directory",
        })
    }
}

/// A file or directory below a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Below this directory.
    pub(crate) base: Base,
    /// Without a slash at either end. Nothing is the base itself.
    pub(crate) path: Box<[u8]>,
}

impl Place {
    /// The file at a relative path. `.` parts and slashes too many are dropped.
    ///
    /// # Errors
    /// The path is absolute, has `..` or NUL in it, or is too long or too deep.
    pub fn new(base: Base, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bad = |reason| Error::BadPath {
            path: path.to_owned(),
            reason,
        };
        if path.is_absolute() {
            return Err(bad("it must be relative to its base"));
        }
        let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
        let named: Vec<&[u8]> = parts
            .filter(|part| !part.is_empty() && *part != b".")
            .collect();
        let joined = named.join(&b'/');
        if !is_valid(&joined) {
            return Err(bad("it has `..` or NUL in it, or is too long"));
        }
        Ok(Self {
            base,
            path: joined.into(),
        })
    }
}

/// Which directories the bases are on this host.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    directories: [Option<PathBuf>; 3],
    allowed: Option<Vec<Place>>,
}

impl Bases {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This base is that directory. What is stored under a base without one is not restored.
    #[must_use]
    pub fn with(mut self, base: Base, directory: impl Into<PathBuf>) -> Self {
        self.directories[base as usize] = Some(directory.into());
        self
    }

    /// Nothing may be restored but these files and directories and what is below them.
    #[must_use]
    pub fn only(mut self, places: Vec<Place>) -> Self {
        self.allowed = Some(places);
        self
    }

    /// The directory of a base.
    pub(crate) fn directory(&self, base: Base) -> Option<&Path> {
        self.directories[base as usize].as_deref()
    }

    /// Whether this path may be written.
    pub(crate) fn allows(&self, base: Base, path: &[u8]) -> bool {
        let within = |place: &Place| place.base == base && is_within(path, &place.path);
        self.directory(base).is_some()
            && self
                .allowed
                .as_ref()
                .is_none_or(|places| places.iter().any(within))
    }

    /// Where a place is on this host.
    #[must_use]
    pub fn locate(&self, place: &Place) -> PathBuf {
        self.real(place.base, &place.path)
    }

    /// The path on this host, for messages.
    pub(crate) fn real(&self, base: Base, path: &[u8]) -> PathBuf {
        let directory = self.directory(base).unwrap_or(Path::new("/"));
        if path.is_empty() {
            return directory.to_owned();
        }
        directory.join(OsStr::from_bytes(path))
    }
}

/// Whether these bytes are a path without `.`, `..`, NUL or an empty part. Nothing is one, too.
pub(crate) fn is_valid(path: &[u8]) -> bool {
    let good =
        |part: &[u8]| !part.is_empty() && part.len() <= MAX_NAME && part != b"." && part != b"..";
    path.is_empty()
        || (path.len() <= MAX_PATH
            && !path.contains(&0)
            && path.split(|byte| *byte == b'/').all(good)
            && depth(path) <= MAX_DEPTH)
}

/// Of how many names a path consists.
pub(crate) fn depth(path: &[u8]) -> usize {
    if path.is_empty() {
        return 0;
    }
    1 + path.iter().filter(|byte| **byte == b'/').count()
}

/// Whether a path is another one or lies below it.
pub(crate) fn is_within(path: &[u8], above: &[u8]) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// The directory that a path lies in, and its name there.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// The order of paths: a directory comes right before all that is in it.
pub(crate) fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let shared = left.iter().zip(right).position(|(a, b)| a != b);
    match shared {
        None => left.len().cmp(&right.len()),
        // The slash sorts before every other byte, so that what is below stays together.
        Some(at) => {
            let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
            rank(left[at]).cmp(&rank(right[at]))
        }
    }
}
