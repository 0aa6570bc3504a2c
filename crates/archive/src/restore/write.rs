//! Writing files.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fchmod, fstat, ftruncate, futimens, openat};
use rustix::io::{Errno, pwrite};

use super::Restore;
use super::compare::times;
use crate::error::Error;
use crate::manifest::{Entry, File, Kind};
use crate::save::read::retried;
use crate::tree::directories::{Directories, Missing};
use crate::tree::extents::ranges;
use crate::tree::remove::remove;
use crate::tree::{Identity, mode_of};

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

    /// Makes a file without data, in place of whatever is there.
    pub fn create(&mut self, entry: &Entry) -> Result<OwnedFd, Error> {
        let create = |directories: &mut Directories<'_>| {
            let (parent, name) = directories.parent(entry.way())?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(u32::from(entry.mode & 0o777 | 0o600));
            match openat(parent, name, flags, mode) {
                Err(Errno::EXIST) => {
                    remove(parent, name)?;
                    openat(parent, name, flags, mode)
                }
                opened => opened,
            }
        };
        let created = create(&mut self.directories);
        created.map_err(self.restore.failed("create", entry))
    }

    /// Opens a file that was made before.
    pub fn open(&mut self, entry: &Entry) -> Result<OwnedFd, Error> {
        let opened = self.directories.parent(entry.way());
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        opened
            .and_then(|(parent, name)| openat(parent, name, flags, Mode::empty()))
            .map_err(self.restore.failed("write", entry))
    }

    /// Writes bytes of the data of a file.
    pub fn write(
        &self,
        open: &OwnedFd,
        entry: &Entry,
        file: &File,
        at: u64,
        mut bytes: &[u8],
    ) -> Result<(), Error> {
        for range in ranges(file.extents.as_deref(), at, bytes.len() as u64) {
            let (here, rest) = bytes.split_at(range.length as usize);
            write_all(open, here, range.start).map_err(self.restore.failed("write", entry))?;
            bytes = rest;
        }
        Ok(())
    }

    /// Gives a file that has all its data its length, mode and time.
    pub fn finish(&self, open: &OwnedFd, entry: &Entry) -> Result<Identity, Error> {
        finish(open, entry).map_err(self.restore.failed("write", entry))
    }

    /// The path of an entry, for messages.
    pub fn path(&self, entry: &Entry) -> std::path::PathBuf {
        self.restore.bases.names.real(entry.base, &entry.path)
    }

    /// Removes a file that has not all its data.
    pub fn discard(&mut self, entry: &Entry) {
        // There is an error already that says more.
        let _ = self
            .directories
            .parent(entry.way())
            .and_then(|(parent, name)| remove(parent, name));
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

fn finish(open: &OwnedFd, entry: &Entry) -> Result<Identity, Errno> {
    if let Kind::File(file) = &entry.kind
        && file.extents.is_some()
    {
        ftruncate(open, file.size)?;
    }
    futimens(open, &times(entry.modified))?;
    let stat = fstat(open)?;
    let mode = Restore::mode(entry);
    if mode_of(&stat) == mode {
        return Ok(Identity::of(&stat));
    }
    fchmod(open, Mode::from_raw_mode(u32::from(mode)))?;
    fstat(open).map(|stat| Identity::of(&stat))
}
