//! Writing files.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fchmod, fstat, ftruncate, futimens, openat};
use rustix::io::{Errno, pwrite};

use super::Restore;
use super::compare::times;
use crate::error::Error;
use crate::manifest::{Entry, File, Kind};
use crate::place::split;
use crate::save::read::retried;
use crate::tree::Identity;
use crate::tree::directories::{Directories, Missing};
use crate::tree::extents::ranges;
use crate::tree::temporary::Temporary;

/// A file that is being written. If it is not finished, it is removed.
pub(super) struct NewFile {
    temporary: Temporary,
    pub fd: OwnedFd,
}

/// Makes files at the places of entries.
pub(super) struct Writer<'a> {
    restore: &'a Restore<'a>,
    directories: Directories<'a>,
}

impl<'a> Writer<'a> {
    pub fn new(restore: &'a Restore<'a>) -> Self {
        Self {
            restore,
            directories: Directories::new(restore.bases, Missing::Make),
        }
    }

    /// Begins a file. What is in its place stays there until it is finished.
    pub fn create(&mut self, entry: &Entry) -> Result<NewFile, Error> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let created = self
            .directories
            .parent(entry.way())
            .and_then(|(parent, _)| {
                let mode = Mode::RUSR | Mode::WUSR;
                Temporary::make(parent, |name| openat(parent, name, flags, mode))
            });
        let (temporary, fd) = created.map_err(self.restore.failed("create", entry))?;
        Ok(NewFile { temporary, fd })
    }

    /// Writes bytes of the data of a file.
    pub fn write(
        &self,
        new: &NewFile,
        entry: &Entry,
        file: &File,
        at: u64,
        mut bytes: &[u8],
    ) -> Result<(), Error> {
        for range in ranges(file.extents.as_deref(), at, bytes.len() as u64) {
            let (here, rest) = bytes.split_at(range.length as usize);
            write_all(&new.fd, here, range.start).map_err(self.restore.failed("write", entry))?;
            bytes = rest;
        }
        Ok(())
    }

    /// Gives a file that has all its data its length, mode and time, and puts it in its place.
    pub fn finish(&self, new: NewFile, entry: &Entry) -> Result<Identity, Error> {
        finish(new, entry).map_err(self.restore.failed("write", entry))
    }

    /// The path of an entry, for messages.
    pub fn path(&self, entry: &Entry) -> std::path::PathBuf {
        self.restore.bases.names.real(entry.base, &entry.path)
    }
}

fn write_all(open: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = retried(|| pwrite(open, bytes, at))?;
        if written == 0 {
            return Err(Errno::IO);
        }
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}

fn finish(new: NewFile, entry: &Entry) -> Result<Identity, Errno> {
    let NewFile { temporary, fd } = new;
    if let Kind::File(file) = &entry.kind
        && file.extents.is_some()
    {
        ftruncate(&fd, file.size)?;
    }
    fchmod(&fd, Mode::from_raw_mode(u32::from(Restore::mode(entry))))?;
    futimens(&fd, &times(entry.modified))?;
    let (_, name) = split(&entry.path);
    temporary.put(name)?;
    // That it got its name is a change, too. By now another file may have the name, but not this
    // identity.
    fstat(&fd).map(|stat| Identity::of(&stat))
}
