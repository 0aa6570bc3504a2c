//! Hard links, and what must come last: modes and times of directories.

use std::fs::File;
use std::io;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::Restore;
use super::compare::set_time;
use super::write::Writer;
use crate::error::Error;
use crate::manifest::{Entry, Kind};
use crate::tree::directories::{Directories, Missing};
use crate::tree::held::Held;
use crate::tree::temporary::Temporary;
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
                Ok((before, after)) => {
                    // A file that another restore put there is linked, but not known.
                    let known = &mut identities[number as usize];
                    *known = known.filter(|known| *known == before).map(|_| after);
                }
                // The file system cannot: a copy has the same content.
                Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {
                    let open = open(from).map_err(&failed)?;
                    copy(open, entry, &mut writer)?;
                }
                Err(error) => return Err(failed(error)),
            }
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

/// Makes a hard link. Says which identity the file had before and has after.
fn link(from: Named<'_>, to: Named<'_>) -> Result<(Identity, Identity), Errno> {
    match link_held(from, to) {
        // It was replaced just now; the new one has the name.
        Err(Errno::NOENT) => link_held(from, to),
        done => done,
    }
}

fn link_held(from: Named<'_>, to: Named<'_>) -> Result<(Identity, Identity), Errno> {
    let held = Held::open(from.0, from.1)?;
    let identity = || held.stat().map(|stat| Identity::of(&stat));
    let before = identity()?;
    match held.link(to.0, to.1) {
        Err(Errno::EXIST) if is_same(before, to)? => {}
        Err(Errno::EXIST) => {
            let make = |name: &str| held.link(to.0, name.as_bytes());
            let (temporary, ()) = Temporary::make(to.0, make)?;
            temporary.put_link(to.1)?;
        }
        done => done?,
    }
    Ok((before, identity()?))
}

/// Whether a name is one of this file.
fn is_same(file: Identity, named: Named<'_>) -> Result<bool, Errno> {
    match statat(named.0, named.1, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            let there = Identity::of(&stat);
            Ok((there.device, there.inode) == (file.device, file.inode))
        }
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(named: Named<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(named.0, named.1, flags, Mode::empty())
}

fn copy(from: OwnedFd, entry: &Entry, writer: &mut Writer<'_>) -> Result<(), Error> {
    let new = writer.create(entry)?;
    let to = new.fd.try_clone().map(File::from);
    to.and_then(|mut to| io::copy(&mut File::from(from), &mut to))
        .map_err(|error| Error::file("write", writer.path(entry), error))?;
    writer.finish(new, entry).map(|_| ())
}

fn finish(entry: &Entry, directories: &mut Directories<'_>) -> Result<(), Errno> {
    let (parent, name) = directories.parent(entry.way())?;
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Restore::mode(entry);
    if mode_of(&stat) != mode {
        Held::open(parent, name)?.set_mode(mode)?;
    }
    if Identity::of(&stat).modified != entry.modified {
        set_time(parent, name, entry.modified)?;
    }
    Ok(())
}
