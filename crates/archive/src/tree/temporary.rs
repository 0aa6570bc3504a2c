//! Temporary names: what is being made gets its own name last, all at once.
//!
//! So nobody ever sees half a file, what is replaced stays until then, and whoever else writes to
//! the same place at the same time never writes into the same file.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, renameat, unlinkat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::remove::remove;

const PREFIX: &str = ".outrider-";
const SUFFIX: &str = ".part";

/// Whether this is the name of something that is being made, or that a killed process left behind.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

/// A name that is nobody else's. If it is not put in its place, it is removed.
pub(crate) struct Temporary {
    parent: OwnedFd,
    name: String,
    is_placed: bool,
}

impl Temporary {
    /// Makes something under a new name. To make it must fail if the name is taken.
    pub fn make<T>(
        parent: BorrowedFd<'_>,
        mut make: impl FnMut(&str) -> Result<T, Errno>,
    ) -> Result<(Self, T), Errno> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let directory = fcntl_dupfd_cloexec(parent, 0)?;
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}{SUFFIX}", std::process::id());
            match make(&name) {
                // Left behind, or of a process in another container.
                Err(Errno::EXIST) => {}
                made => {
                    let made = made?;
                    let temporary = Self {
                        parent: directory,
                        name,
                        is_placed: false,
                    };
                    return Ok((temporary, made));
                }
            }
        }
    }

    pub fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Puts it in its place, instead of whatever is there.
    pub fn put(mut self, name: &[u8]) -> Result<(), Errno> {
        self.rename(name)?;
        self.is_placed = true;
        Ok(())
    }

    /// Puts a hard link in its place. If the same file is there already, to rename does nothing,
    /// and the temporary name must go.
    pub fn put_link(self, name: &[u8]) -> Result<(), Errno> {
        self.rename(name)
    }

    fn rename(&self, name: &[u8]) -> Result<(), Errno> {
        let rename = || renameat(&self.parent, &*self.name, &self.parent, name);
        match rename() {
            Err(Errno::ISDIR) => {
                remove(&self.parent, name)?;
                rename()
            }
            done => done,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_placed {
            // There is an error already that says more, or nothing left to remove.
            let _ = unlinkat(&self.parent, &*self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fd::AsFd;
    use rustix::fs::{Mode, OFlags, openat};

    use super::*;

    fn make(directory: &fs::File) -> Temporary {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let make = |name: &str| openat(directory, name, flags, Mode::RWXU);
        Temporary::make(directory.as_fd(), make).unwrap().0
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let open = fs::File::open(directory.path()).unwrap();
        let mut taken = Vec::new();
        let make = |name: &str| {
            if taken.len() < 3 {
                let path = directory.path().join(name);
                fs::write(&path, "somebody's").unwrap();
                taken.push(path);
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            openat(&open, name, flags, Mode::RWXU)
        };
        let (temporary, _) = Temporary::make(open.as_fd(), make).unwrap();
        assert!(is_temporary(temporary.name()));
        temporary.put(b"mine").unwrap();
        assert_eq!(fs::read(directory.path().join("mine")).unwrap(), b"");
        for path in taken {
            assert_eq!(fs::read(path).unwrap(), b"somebody's");
        }
    }

    #[test]
    fn what_is_not_put_in_its_place_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let open = fs::File::open(directory.path()).unwrap();
        drop(make(&open));
        assert!(make(&open).put(b"no/such/directory").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        // A directory in the way goes, with all that is in it.
        fs::create_dir_all(directory.path().join("way/deep")).unwrap();
        make(&open).put(b"way").unwrap();
        assert!(directory.path().join("way").is_file());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_to_what_is_there_leaves_no_second_name() {
        let directory = tempfile::tempdir().unwrap();
        let open = fs::File::open(directory.path()).unwrap();
        fs::write(directory.path().join("file"), "it").unwrap();
        let link = |name: &str| rustix::fs::linkat(&open, "file", &open, name, AtFlags::empty());
        let (temporary, ()) = Temporary::make(open.as_fd(), link).unwrap();
        temporary.put_link(b"file").unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
