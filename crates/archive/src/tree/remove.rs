//! Removing what is in the way.

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, chmod, openat, statat, unlinkat};
use rustix::io::Errno;

use super::directories::PATH;
use crate::place::MAX_DEPTH;

/// Removes a file, a symlink (not what it leads to) or a directory with all that is in it. It is
/// no error if there is none.
pub(crate) fn remove(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    remove_at(parent.as_fd(), name, 0)
}

fn remove_at(parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // It is a directory; which error says so depends on the system.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    match unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) if depth < 2 * MAX_DEPTH => {}
        Err(Errno::NOENT) => return Ok(()),
        done => return done,
    }
    set_mode(parent, name, 0o700)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            remove_at(directory.as_fd(), name, depth + 1)?;
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Sets the mode of a file or directory, also one that may not be opened. A symlink is an error.
pub(crate) fn set_mode(parent: impl AsFd, name: &[u8], mode: u16) -> Result<(), Errno> {
    use rustix::fd::AsRawFd;
    let held = openat(parent, name, PATH | OFlags::NOFOLLOW, Mode::empty())?;
    let held_path = format!("/proc/self/fd/{}", held.as_raw_fd());
    if FileType::from_raw_mode(statat(&held, c"", AtFlags::EMPTY_PATH)?.st_mode)
        == FileType::Symlink
    {
        return Err(Errno::LOOP);
    }
    chmod(held_path, Mode::from_raw_mode(u32::from(mode)))
}
