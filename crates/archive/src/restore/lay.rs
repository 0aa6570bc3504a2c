//! Directories come first, so that files have a place.

use rustix::fs::{AtFlags, FileType, Mode, mkdirat, statat, unlinkat};
use rustix::io::Errno;

use super::Restore;
use crate::error::Error;
use crate::manifest::{Entry, Kind};
use crate::tree::directories::{Directories, Missing};
use crate::tree::held::Held;
use crate::tree::mode_of;

/// While files are written below it, the owner may do everything in a directory.
const OWNER: u16 = 0o700;

impl Restore<'_> {
    /// Makes all directories. Says of each entry whether it is a directory that was not there
    /// before: nothing can be in it.
    pub(super) fn lay_directories(&self) -> Result<Vec<bool>, Error> {
        let mut directories = Directories::new(self.bases, Missing::Make);
        let lay = |entry: &Entry| match entry.kind {
            Kind::Directory => {
                self.session.check()?;
                lay(entry, &mut directories).map_err(self.failed("create", entry))
            }
            _ => Ok(false),
        };
        self.manifest.entries.iter().map(lay).collect()
    }
}

fn lay(entry: &Entry, directories: &mut Directories<'_>) -> Result<bool, Errno> {
    let (parent, name) = directories.parent(entry.way())?;
    let mode = Mode::from_raw_mode(u32::from(entry.mode & 0o777 | OWNER));
    match mkdirat(parent, name, mode) {
        Err(Errno::EXIST) => {}
        done => return done.map(|()| true),
    }
    let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return match unlinkat(parent, name, AtFlags::empty()) {
            // Another restore was faster, and its directory stays.
            Err(Errno::ISDIR) => Ok(false),
            Ok(()) | Err(Errno::NOENT) => match mkdirat(parent, name, mode) {
                Err(Errno::EXIST) => Ok(false),
                done => done.map(|()| true),
            },
            Err(error) => Err(error),
        };
    }
    let current = mode_of(&stat);
    if current & OWNER != OWNER {
        Held::open(parent, name)?.set_mode(current | OWNER)?;
    }
    Ok(false)
}
