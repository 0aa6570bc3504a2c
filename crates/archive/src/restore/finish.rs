//! Hard links, and what must come last: modes and times of directories.

use std::fs::File;
use std::io;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, statat};
use rustix::io::Errno;

use super::Restore;
use super::compare::set_time;
use super::write::Writer;
use crate::error::Error;
use crate::manifest::{Entry, Kind};
use crate::tree::directories::{Directories, Missing};
use crate::tree::remove::{remove, set_mode};
use crate::tree::{Identity, mode_of};

/// A name in an open directory.
type Named<'a> = (BorrowedFd<'a>, &'a [u8]);

impl Restore<'_> {
    /// Makes hard links. That changes the files, so `identities` gets theirs anew.
    pub(super) fn link(&self, identities: &mut [Option<Identity>]) -> Result<(), Error> {
        let mut of_files = Directories::new(self.bases, Missing::Fail);
        let mut of_links = Directories::new(self.bases, Missing::Make);
        let mut writer = Writer::new(self);
        for entry in &self.manifest.entries {
            let Kind::HardLink(number) = entry.kind else {
                continue;
            };
            self.session.check()?;
            let file = &self.manifest.entries[number as usize];
            let failed = self.failed("link", entry);
            let from = of_files.parent(file.way()).map_err(&failed)?;
            let to = of_links.parent(entry.way()).map_err(&failed)?;
            match link(from, to) {
                // The file system cannot: a copy has the same content.
                Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {
                    let open = open(from).map_err(&failed)?;
                    copy(open, entry, &mut writer)?;
                }
                done => done.map_err(&failed)?,
            }
            identities[number as usize] = Some(identity(from).map_err(&failed)?);
        }
        Ok(())
    }

    /// Gives directories their modes and times, those below others first.
    pub(super) fn finish_directories(&self) -> Result<(), Error> {
        let mut directories = Directories::new(self.bases, Missing::Fail);
        for entry in self.manifest.entries.iter().rev() {
            if entry.kind == Kind::Directory {
                finish(entry, &mut directories).map_err(self.failed("write", entry))?;
            }
        }
        Ok(())
    }
}

fn link(from: Named<'_>, to: Named<'_>) -> Result<(), Errno> {
    match linkat(from.0, from.1, to.0, to.1, AtFlags::empty()) {
        Err(Errno::EXIST) => {}
        done => return done,
    }
    let inode = |named| identity(named).map(|file| (file.device, file.inode));
    if inode(from)? == inode(to)? {
        return Ok(());
    }
    remove(to.0, to.1)?;
    linkat(from.0, from.1, to.0, to.1, AtFlags::empty())
}

fn identity(named: Named<'_>) -> Result<Identity, Errno> {
    let stat = statat(named.0, named.1, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Identity::of(&stat))
}

fn open(named: Named<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(named.0, named.1, flags, Mode::empty())
}

fn copy(from: OwnedFd, entry: &Entry, writer: &mut Writer<'_>) -> Result<(), Error> {
    let to = File::from(writer.create(entry)?);
    let copied = io::copy(&mut File::from(from), &mut &to)
        .map_err(|error| Error::file("write", writer.path(entry), error));
    let finished = copied.and_then(|_| writer.finish(&to.into(), entry));
    finished.map(|_| ()).inspect_err(|_| writer.discard(entry))
}

fn finish(entry: &Entry, directories: &mut Directories<'_>) -> Result<(), Errno> {
    let (parent, name) = directories.parent(entry.way())?;
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Restore::mode(entry);
    if mode_of(&stat) != mode {
        set_mode(parent, name, mode)?;
    }
    if Identity::of(&stat).modified != entry.modified {
        set_time(parent, name, entry.modified)?;
    }
    Ok(())
}
