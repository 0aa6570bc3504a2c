//! What is there already.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fd::BorrowedFd;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, fstat, openat,
    readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::{Errno, pread};

use super::{Known, Restore};
use crate::chunk::content;
use crate::error::Error;
use crate::manifest::{Entry, File, Kind};
use crate::place::split;
use crate::save::read::retried;
use crate::tree::directories::{Directories, Missing};
use crate::tree::extents::{extents, ranges};
use crate::tree::held::Held;
use crate::tree::temporary::Temporary;
use crate::tree::{Identity, Time, mode_of};

/// So many entries a thread looks at before it takes the next ones.
const RUN: usize = 256;

/// How much of a file is read at a time.
const STEP: usize = 256 * 1024;

/// What was found at the place of an entry.
#[derive(Clone, Copy)]
enum Verdict {
    /// What is wanted, and its identity if it is a file.
    Kept(Option<Identity>),
    /// Something else, or nothing.
    Wanted,
}

/// The verdicts on some entries.
struct Compared {
    run: Range<usize>,
    verdicts: Vec<Verdict>,
}

impl Restore<'_> {
    /// Compares what is there with what is wanted; restores symlinks, which are quickly made. Says
    /// of each entry whether it must be written, and of files that are kept the identity.
    pub(super) fn compare(
        &self,
        fresh: &[bool],
    ) -> Result<(Vec<bool>, Vec<Option<Identity>>), Error> {
        let parents = self.fresh_parents(fresh);
        let next = AtomicUsize::new(0);
        let parts = self
            .session
            .in_parallel(|| self.compare_runs(&next, &parents))?;
        let count = self.manifest.entries.len();
        let mut wanted = vec![true; count];
        let mut identities = vec![None; count];
        for Compared { run, verdicts } in parts.into_iter().flatten() {
            for (at, verdict) in run.zip(verdicts) {
                if let Verdict::Kept(identity) = verdict {
                    wanted[at] = false;
                    identities[at] = identity;
                }
            }
        }
        want_apart(&mut wanted, &identities);
        Ok((wanted, identities))
    }

    /// Of each entry whether the directory that it lies in was made just now.
    fn fresh_parents(&self, fresh: &[bool]) -> Vec<bool> {
        // The directories above, with whether they are fresh.
        let mut above: Vec<(&[u8], bool)> = Vec::new();
        let mut parents = Vec::with_capacity(fresh.len());
        for (entry, fresh) in self.manifest.entries.iter().zip(fresh) {
            if entry.is_root() {
                above.clear();
            }
            let (parent, _) = split(&entry.path);
            while above.last().is_some_and(|(path, _)| *path != parent) {
                above.pop();
            }
            parents.push(above.last().is_some_and(|(_, fresh)| *fresh));
            if entry.kind == Kind::Directory {
                above.push((&entry.path, *fresh));
            }
        }
        parents
    }

    /// Compares run after run until none is left.
    fn compare_runs(
        &self,
        next: &AtomicUsize,
        fresh_parents: &[bool],
    ) -> Result<Vec<Compared>, Error> {
        let mut directories = Directories::new(self.bases, Missing::Make);
        let mut buffer = vec![0; STEP];
        let mut all = Vec::new();
        loop {
            let start = next.fetch_add(RUN, Ordering::Relaxed);
            if start >= fresh_parents.len() {
                return Ok(all);
            }
            let run = start..fresh_parents.len().min(start + RUN);
            self.session.check()?;
            let verdict = |at| self.entry(at, fresh_parents[at], &mut directories, &mut buffer);
            let verdicts = run.clone().map(verdict).collect::<Result<_, _>>()?;
            all.push(Compared { run, verdicts });
        }
    }

    fn entry(
        &self,
        at: usize,
        is_fresh: bool,
        directories: &mut Directories<'_>,
        buffer: &mut [u8],
    ) -> Result<Verdict, Error> {
        let entry = &self.manifest.entries[at];
        let mut compare = || match &entry.kind {
            Kind::Directory | Kind::HardLink(_) => Ok(Verdict::Wanted),
            Kind::File(_) if is_fresh => Ok(Verdict::Wanted),
            Kind::File(file) => {
                let (parent, name) = directories.parent(entry.way())?;
                self.file(at, file, parent, name, buffer)
            }
            Kind::Symlink(target) => {
                let (parent, name) = directories.parent(entry.way())?;
                symlink(entry, target, parent, name)
            }
        };
        compare().map_err(|error| self.failed("write", entry)(error))
    }

    /// Compares what is at the place of a file.
    fn file(
        &self,
        number: usize,
        file: &File,
        parent: BorrowedFd<'_>,
        name: &[u8],
        buffer: &mut [u8],
    ) -> Result<Verdict, Errno> {
        let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Verdict::Wanted),
            Err(error) => return Err(error),
        };
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let identity = Identity::of(&stat);
        if !is_file || identity.size != file.size {
            return Ok(Verdict::Wanted);
        }
        let same = match self.known(number) {
            Known::Same(known) if known == identity => true,
            Known::Other(known) if known == identity => false,
            _ => {
                // One that cannot be read is replaced.
                has_content(file, identity, parent, name, buffer).unwrap_or(false)
            }
        };
        if !same {
            return Ok(Verdict::Wanted);
        }
        let Some(identity) = mend(&self.manifest.entries[number], &stat, parent, name)? else {
            return Ok(Verdict::Wanted);
        };
        self.session.advance(file.data());
        Ok(Verdict::Kept(Some(identity)))
    }
}

/// Files that are the same one on disk, but two in the archive, are written anew.
fn want_apart(wanted: &mut [bool], identities: &[Option<Identity>]) {
    let mut first = HashMap::new();
    for (at, identity) in identities.iter().enumerate() {
        let Some(identity) = identity else {
            continue;
        };
        let inode = (identity.device, identity.inode);
        let before = *first.entry(inode).or_insert(at);
        if before != at {
            wanted[before] = true;
            wanted[at] = true;
        }
    }
}

/// Gives a file the mode and the time of its entry, if it has others. Nothing if another file has
/// its name by now.
fn mend(
    entry: &Entry,
    stat: &Stat,
    parent: BorrowedFd<'_>,
    name: &[u8],
) -> Result<Option<Identity>, Errno> {
    let identity = Identity::of(stat);
    let mode = Restore::mode(entry);
    if mode_of(stat) == mode && identity.modified == entry.modified {
        return Ok(Some(identity));
    }
    let held = match Held::open(parent, name) {
        Err(Errno::NOENT) => return Ok(None),
        held => held?,
    };
    if Identity::of(&held.stat()?) != identity {
        return Ok(None);
    }
    if mode_of(stat) != mode {
        held.set_mode(mode)?;
    }
    held.set_times(&times(entry.modified))?;
    held.stat().map(|stat| Some(Identity::of(&stat)))
}

/// Makes a symlink, unless it is there.
fn symlink(
    entry: &Entry,
    target: &[u8],
    parent: BorrowedFd<'_>,
    name: &[u8],
) -> Result<Verdict, Errno> {
    match readlinkat(parent, name, Vec::new()) {
        Ok(there) if there.to_bytes() == target => set_time(parent, name, entry.modified)?,
        _ => {
            let make = |temporary: &str| symlinkat(target, parent, temporary);
            let (temporary, ()) = Temporary::make(parent, make)?;
            set_time(parent, temporary.name(), entry.modified)?;
            temporary.put(name)?;
        }
    }
    Ok(Verdict::Kept(None))
}

/// Sets when a file, a directory or a symlink was modified.
pub(super) fn set_time(parent: BorrowedFd<'_>, name: &[u8], time: Time) -> Result<(), Errno> {
    utimensat(parent, name, &times(time), AtFlags::SYMLINK_NOFOLLOW)
}

pub(super) fn times(modified: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanos.into(),
        },
    }
}

/// Whether a file has the wanted content. It is read for it. One that has not this identity is
/// another one.
fn has_content(
    file: &File,
    identity: Identity,
    parent: BorrowedFd<'_>,
    name: &[u8],
    buffer: &mut [u8],
) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = openat(parent, name, flags, Mode::empty())?;
    if Identity::of(&fstat(&open)?) != identity {
        return Ok(false);
    }
    if file.extents.is_some() && extents(&open, file.size)? != file.extents {
        return Ok(false);
    }
    let data = file.data();
    let hash_of = |at: u64, length: u64, buffer: &mut [u8]| {
        let mut hasher = blake3::Hasher::new();
        for range in ranges(file.extents.as_deref(), at, length) {
            let mut at = range.start;
            while at < range.end() {
                let step = buffer.len().min((range.end() - at) as usize);
                let got = retried(|| pread(&open, &mut buffer[..step], at))?;
                if got == 0 {
                    return Err(Errno::NODATA);
                }
                hasher.update(&buffer[..got]);
                at += got as u64;
            }
        }
        Ok(content::finish(&hasher))
    };
    let Some(pieces) = content::pieces(data) else {
        return Ok(hash_of(0, data, buffer)? == file.hash);
    };
    let mut hashes = Vec::new();
    for piece in 0..pieces {
        let at = u64::from(piece) * content::PIECE;
        hashes.push(hash_of(at, content::piece_length(data, piece), buffer)?);
    }
    Ok(content::of_pieces(hashes) == file.hash)
}
