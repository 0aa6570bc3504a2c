//! The directory of an attempt: made for its owner alone, and removed whatever is in it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a directory that must not exist, and those above it that do not.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let create = || DirBuilder::new().mode(0o700).create(path);
    match (create(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            create()
        }
        (result, _) => result,
    }
}

/// Makes a directory and those above it that do not exist.
pub(crate) fn create_all_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// Writes a file that only its owner can read. One that is there is written anew: on disks that
/// costs far less than making a file. A link is not followed.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let open = || {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
    };
    let mut file = match (open(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            create_all_private(parent)?;
            open()?
        }
        (file, _) => file?,
    };
    file.write_all(text.as_bytes())
}

/// Removes a directory and all below it; links are removed, not followed. It may be gone already.
pub(crate) fn remove_all(path: &Path) -> io::Result<()> {
    match remove(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Tools make directories read-only, Go's module cache for one.
            make_writable(path)?;
            remove(path)
        }
        result => result,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_there(path) => Ok(()),
        result => result,
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Lets us remove what is in these directories, as far as they are ours. Nothing runs any more
/// that could put a link in the place of a directory.
fn make_writable(path: &Path) -> io::Result<()> {
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let mode = path.symlink_metadata()?.permissions().mode();
        if mode & 0o700 != 0o700 {
            fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        }
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_removed_and_what_they_point_to_stays() {
        let place = tempfile::tempdir().expect("a directory");
        let (outside, tree) = (place.path().join("outside"), place.path().join("root/tree"));
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("kept"), "").expect("written");
        create_private(&tree).expect("made with its parent");
        assert_eq!(
            tree.metadata().expect("there").permissions().mode() & 0o777,
            0o700
        );
        std::os::unix::fs::symlink(&outside, tree.join("link")).expect("linked");
        fs::create_dir_all(tree.join("a/b")).expect("made");
        fs::write(tree.join("a/b/file"), "").expect("written");
        fs::set_permissions(tree.join("a/b"), Permissions::from_mode(0o500)).expect("set");
        fs::set_permissions(tree.join("a"), Permissions::from_mode(0o000)).expect("set");
        make_writable(&tree).expect("made writable");
        remove_all(&tree).expect("removed");
        assert!(!tree.exists() && outside.join("kept").exists());
        remove_all(&tree).expect("nothing to do");
    }

    #[test]
    fn a_directory_is_never_made_twice() {
        let place = tempfile::tempdir().expect("a directory");
        let error = create_private(place.path()).expect_err("exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
