//! Directories, opened one name at a time.
//!
//! Inside what an archive holds no symlink is ever followed: a directory is opened by its name in
//! its parent, which is open already. On the way from a base to there, symlinks that the user made
//! are followed, as any program would.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use crate::error::Error;
use crate::place::{Base, Bases, split};

/// The directories of the bases, open.
pub(crate) struct OpenBases {
    pub names: Bases,
    open: [Option<OwnedFd>; 3],
}

impl OpenBases {
    /// Opens those that there are.
    pub fn open(names: Bases) -> Result<Self, Error> {
        let mut open = [None, None, None];
        for base in Base::ALL {
            let Some(directory) = names.directory(base) else {
                continue;
            };
            match openat(CWD, directory, PATH | OFlags::DIRECTORY, Mode::empty()) {
                Ok(fd) => open[base as usize] = Some(fd),
                Err(Errno::NOENT) => {}
                Err(error) => {
                    return Err(Error::file("open", directory.to_owned(), error));
                }
            }
        }
        Ok(Self { names, open })
    }

    pub fn base(&self, base: Base) -> Result<BorrowedFd<'_>, Errno> {
        let open = &self.open[base as usize];
        open.as_ref().map(AsFd::as_fd).ok_or(Errno::NOENT)
    }
}

/// For walking only: neither reading nor writing needs to be permitted.
pub(crate) const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// What to do about directories that are missing on the way to what an archive holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    Fail,
}

/// A path in an archive, with what is needed to go there.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub base: Base,
    pub path: &'a [u8],
    /// So many names of the path lie outside of what the archive holds.
    pub outside: usize,
}

/// The directory used last and those above it, open. Paths that come in order share most of it.
pub(crate) struct Directories<'a> {
    bases: &'a OpenBases,
    missing: Missing,
    base: Base,
    path: Vec<u8>,
    /// Each directory of the path, with how long the path up to it is.
    open: Vec<(usize, OwnedFd)>,
}

impl<'a> Directories<'a> {
    pub fn new(bases: &'a OpenBases, missing: Missing) -> Self {
        Self {
            bases,
            missing,
            base: Base::Home,
            path: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The directory that a path lies in, and its name there; `.` for the base itself.
    pub fn parent<'p>(&mut self, way: Way<'p>) -> Result<(BorrowedFd<'_>, &'p [u8]), Errno> {
        if way.path.is_empty() {
            return Ok((self.bases.base(way.base)?, b"."));
        }
        let (above, name) = split(way.path);
        Ok((self.directory(Way { path: above, ..way })?, name))
    }

    /// The directory at a path.
    pub fn directory(&mut self, way: Way<'_>) -> Result<BorrowedFd<'_>, Errno> {
        self.go_up(way);
        while self.path.len() < way.path.len() {
            self.go_down(way)?;
        }
        match self.open.last() {
            Some((_, fd)) => Ok(fd.as_fd()),
            None => self.bases.base(way.base),
        }
    }

    /// Closes what is not on the way.
    fn go_up(&mut self, way: Way<'_>) {
        if way.base != self.base {
            self.open.clear();
            self.base = way.base;
        }
        let on_the_way = |path: &[u8]| {
            way.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        while let Some((length, _)) = self.open.last()
            && !on_the_way(&self.path[..*length])
        {
            self.open.pop();
        }
        self.path.truncate(self.open.last().map_or(0, |top| top.0));
    }

    /// Opens the next directory on the way.
    fn go_down(&mut self, way: Way<'_>) -> Result<(), Errno> {
        let from = self.path.len() + usize::from(!self.path.is_empty());
        let rest = &way.path[from..];
        let end = rest.iter().position(|byte| *byte == b'/');
        let name = &rest[..end.unwrap_or(rest.len())];
        let parent = match self.open.last() {
            Some((_, fd)) => fd.as_fd(),
            None => self.bases.base(way.base)?,
        };
        let outside = self.open.len() < way.outside;
        let fd = open_directory(parent, name, outside, self.missing)?;
        self.path.clear();
        self.path.extend(&way.path[..from + name.len()]);
        self.open.push((self.path.len(), fd));
        Ok(())
    }
}

fn open_directory(
    parent: BorrowedFd<'_>,
    name: &[u8],
    outside: bool,
    missing: Missing,
) -> Result<OwnedFd, Errno> {
    let mut flags = PATH | OFlags::DIRECTORY;
    if !outside {
        flags |= OFlags::NOFOLLOW;
    }
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) if outside && missing == Missing::Make => {
            match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => openat(parent, name, flags, Mode::empty()),
                Err(error) => Err(error),
            }
        }
        opened => opened,
    }
}
