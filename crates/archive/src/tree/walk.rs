//! Listing what is to be saved.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::directories::{Directories, Missing, OpenBases, Way};
use super::extents::{Extent, extents};
use super::temporary::is_temporary;
use super::{Identity, Time, mode_of};
use crate::error::Error;
use crate::notes::Notes;
use crate::place::{Base, Place, compare, depth, is_valid, is_within};
use crate::session::Session;

/// So many places are listed at a time: each holds a directory open.
const ROOTS: usize = 128;

/// A file, directory or symlink that was found.
pub(crate) struct Found {
    pub base: Base,
    pub root: u8,
    pub path: Box<[u8]>,
    pub mode: u16,
    pub identity: Identity,
    pub kind: FoundKind,
}

pub(crate) enum FoundKind {
    File {
        links: u64,
        extents: Option<Box<[Extent]>>,
    },
    Directory,
    Symlink(Box<[u8]>),
}

impl Found {
    pub fn way(&self) -> Way<'_> {
        Way {
            base: self.base,
            path: &self.path,
            outside: usize::from(self.root.saturating_sub(1)),
        }
    }

    pub fn modified(&self) -> Time {
        self.identity.modified
    }
}

/// A directory whose contents are still to be listed.
struct Pending {
    parent: Arc<OwnedFd>,
    /// In the parent.
    name: Box<[u8]>,
    base: Base,
    root: u8,
    path: Box<[u8]>,
}

/// What is still to do, and how many threads are busy finding more of it.
#[derive(Default)]
struct Queue {
    pending: Vec<Pending>,
    busy: usize,
}

struct Walk<'a> {
    session: &'a Session,
    bases: &'a OpenBases,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// What one thread found.
#[derive(Default)]
struct Part {
    found: Vec<Found>,
    notes: Notes,
}

/// Lists these places and all that is below them, in the order of archives.
pub(crate) fn walk(
    places: &[Place],
    bases: &OpenBases,
    session: &Session,
) -> Result<(Vec<Found>, Notes), Error> {
    let walk = Walk {
        session,
        bases,
        queue: Mutex::default(),
        changed: Condvar::new(),
    };
    let mut all = Part::default();
    let mut directories = Directories::new(bases, Missing::Fail);
    for places in roots(places).chunks(ROOTS) {
        for place in places {
            walk.root(place, &mut directories, &mut all)?;
        }
        if walk.lock().pending.is_empty() {
            continue;
        }
        for part in session.in_parallel(|| walk.work())? {
            all.found.extend(part.found);
            all.notes.append(part.notes);
        }
    }
    all.found.sort_unstable_by(|left, right| {
        (left.base.cmp(&right.base)).then_with(|| compare(&left.path, &right.path))
    });
    Ok((all.found, all.notes))
}

/// The places without those that lie in another one.
fn roots(places: &[Place]) -> Vec<&Place> {
    let mut sorted: Vec<&Place> = places.iter().collect();
    sorted.sort_by(|left, right| {
        (left.base.cmp(&right.base)).then_with(|| compare(&left.path, &right.path))
    });
    sorted.dedup_by(|later, earlier| {
        later.base == earlier.base && is_within(&later.path, &earlier.path)
    });
    sorted
}

impl Walk<'_> {
    fn root(
        &self,
        place: &Place,
        directories: &mut Directories<'_>,
        part: &mut Part,
    ) -> Result<(), Error> {
        let root = depth(&place.path);
        let way = Way {
            base: place.base,
            path: &place.path,
            outside: root.saturating_sub(1),
        };
        let real = || self.bases.names.real(place.base, &place.path);
        let (parent, name) = match directories.parent(way) {
            Ok(parent) => parent,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                part.notes.missing.add(real());
                return Ok(());
            }
            Err(error) => return Err(Error::file("open", real(), error)),
        };
        let parent = parent
            .try_clone_to_owned()
            .map_err(|error| Error::file("open", real(), error))?;
        let pending = Pending {
            parent: Arc::new(parent),
            name: name.into(),
            base: place.base,
            root: root as u8,
            path: place.path.clone(),
        };
        match self.look(&pending, part)? {
            Seen::Directory => self.lock().pending.push(pending),
            Seen::Nothing => part.notes.missing.add(real()),
            Seen::Other => {}
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists directories until there are no more.
    fn work(&self) -> Result<Part, Error> {
        let mut part = Part::default();
        let mut buffer = Vec::with_capacity(64 * 1024);
        while let Some(directory) = self.next() {
            let listed = self
                .session
                .check()
                .and_then(|()| self.list(directory, &mut buffer, &mut part));
            self.lock().busy -= 1;
            self.changed.notify_all();
            listed?;
        }
        Ok(part)
    }

    /// The next directory. Waits while others may still find some; nothing at the end.
    fn next(&self) -> Option<Pending> {
        let mut queue = self.lock();
        loop {
            // The one found last: so few are open at a time.
            if let Some(next) = queue.pending.pop() {
                queue.busy += 1;
                return Some(next);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn list(&self, directory: Pending, buffer: &mut Vec<u8>, part: &mut Part) -> Result<(), Error> {
        let Pending {
            parent,
            name,
            base,
            root,
            path,
        } = directory;
        let real = || self.bases.names.real(base, &path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = match openat(&parent, &*name, flags, Mode::empty()) {
            Ok(open) => Arc::new(open),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                part.notes.unsteady.add(real());
                return Ok(());
            }
            Err(error) => return Err(Error::file("read", real(), error)),
        };
        let mut below = Vec::new();
        let mut names = RawDir::new(&open, buffer.spare_capacity_mut());
        while let Some(entry) = names.next() {
            let entry = entry.map_err(|error| Error::file("read", real(), error))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || is_temporary(name) {
                continue;
            }
            let child = Pending {
                parent: Arc::clone(&open),
                name: name.into(),
                base,
                root,
                path: join(&path, name),
            };
            if matches!(self.look(&child, part)?, Seen::Directory) {
                below.push(child);
            }
        }
        if !below.is_empty() {
            self.lock().pending.append(&mut below);
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Notes what is at a path.
    fn look(&self, at: &Pending, part: &mut Part) -> Result<Seen, Error> {
        let real = || self.bases.names.real(at.base, &at.path);
        if !is_valid(&at.path) {
            return Err(Error::BadPath {
                path: real(),
                reason: "it is too long or too deep",
            });
        }
        let stat = match statat(&at.parent, &*at.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Seen::Nothing),
            Err(error) => return Err(Error::file("read", real(), error)),
        };
        let (seen, kind) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => (Seen::Other, file(&at.parent, &at.name, &stat)),
            FileType::Directory => (Seen::Directory, Ok(FoundKind::Directory)),
            FileType::Symlink => (Seen::Other, symlink(at.parent.as_fd(), &at.name)),
            _ => {
                part.notes.special.add(real());
                return Ok(Seen::Other);
            }
        };
        match kind {
            Ok(kind) => part.found.push(Found {
                base: at.base,
                root: at.root,
                path: at.path.clone(),
                mode: mode_of(&stat),
                identity: Identity::of(&stat),
                kind,
            }),
            Err(Errno::NOENT | Errno::INVAL | Errno::LOOP) => part.notes.unsteady.add(real()),
            Err(error) => return Err(Error::file("read", real(), error)),
        }
        Ok(seen)
    }
}

enum Seen {
    Directory,
    Other,
    Nothing,
}

fn join(path: &[u8], name: &[u8]) -> Box<[u8]> {
    if path.is_empty() {
        return name.into();
    }
    [path, name].join(&b'/').into()
}

fn symlink(parent: BorrowedFd<'_>, name: &[u8]) -> Result<FoundKind, Errno> {
    let target = readlinkat(parent, name, Vec::new())?;
    Ok(FoundKind::Symlink(target.into_bytes().into()))
}

#[expect(
    clippy::unnecessary_cast,
    reason = "the widths of these fields differ between architectures"
)]
fn file(parent: &OwnedFd, name: &[u8], stat: &Stat) -> Result<FoundKind, Errno> {
    let links = stat.st_nlink as u64;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let on_disk = (stat.st_blocks as u64).saturating_mul(512);
    if size < crate::save::LARGE || on_disk >= size {
        return Ok(FoundKind::File {
            links,
            extents: None,
        });
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = openat(parent, name, flags, Mode::empty())?;
    Ok(FoundKind::File {
        links,
        extents: extents(open, size)?,
    })
}

/// The path of what was found, for messages.
pub(crate) fn real_path(bases: &OpenBases, found: &Found) -> PathBuf {
    bases.names.real(found.base, &found.path)
}
