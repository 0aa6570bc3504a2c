//! Files that are held: what is done to them is not done to another one that takes their name.

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, Timestamps, chmod, fstat, linkat, openat, utimensat,
};
use rustix::io::Errno;

use super::directories::PATH;

/// A file or directory, also one that may not be read.
pub(crate) struct Held(OwnedFd);

impl Held {
    /// Holds what has this name now. A symlink is held itself.
    pub fn open(parent: impl AsFd, name: &[u8]) -> Result<Self, Errno> {
        openat(parent, name, PATH | OFlags::NOFOLLOW, Mode::empty()).map(Self)
    }

    pub fn stat(&self) -> Result<Stat, Errno> {
        fstat(&self.0)
    }

    /// Sets the mode. A symlink is an error.
    pub fn set_mode(&self, mode: u16) -> Result<(), Errno> {
        if FileType::from_raw_mode(self.stat()?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
        chmod(self.path(), Mode::from_raw_mode(u32::from(mode)))
    }

    /// Sets the times of a file or directory.
    pub fn set_times(&self, times: &Timestamps) -> Result<(), Errno> {
        utimensat(CWD, self.path(), times, AtFlags::empty())
    }

    /// Gives the file one more name. It is an error if the name is taken, and `NOENT` if the file
    /// has lost all of its own.
    pub fn link(&self, parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
        linkat(CWD, self.path(), parent, name, AtFlags::SYMLINK_FOLLOW)
    }

    /// A way to it for calls that take no descriptor of this kind.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}
