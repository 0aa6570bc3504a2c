//! Where the directories of attempts come from and go to.
//!
//! On disks a directory takes longer to make and remove than a short script takes to run. So one
//! that its steps have left as they found it is renamed and kept for the next attempt of the slot.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use outrider_model::AttemptId;

use super::directory::{create_private, remove_all, write_private};
use crate::SHELL_ENV;

/// What a spare directory may have in it, empty: the usual working directory, and the file that
/// carries exports from step to step.
const PROJECT: &str = "project";
const SCRIPTS: &str = ".outrider-scripts";

/// The directories of one runner.
#[derive(Debug)]
pub(super) struct Homes {
    root: PathBuf,
    runner_name: String,
    spare_prefix: String,
}

impl Homes {
    pub fn new(root: PathBuf, runner_name: &str) -> Self {
        Self {
            root,
            runner_name: runner_name.to_owned(),
            spare_prefix: format!(".outrider-spare-{runner_name}-"),
        }
    }

    /// Gives an attempt its directory.
    pub fn take(&self, attempt: AttemptId, slot: usize) -> io::Result<PathBuf> {
        let home = self.root.join(attempt.to_string());
        // A directory may only be renamed to one that exists if that is empty: never to a used one.
        if fs::rename(self.spare(slot), &home).is_err() {
            create_private(&home)?;
        }
        Ok(home)
    }

    /// Takes a directory back if nobody can tell that it has been used. Says whether it was so.
    pub fn take_back(&self, home: &Path, slot: usize) -> bool {
        is_as_new(home) && fs::rename(home, self.spare(slot)).is_ok()
    }

    fn spare(&self, slot: usize) -> PathBuf {
        self.root.join(format!("{}{slot}", self.spare_prefix))
    }

    /// Removes what is kept for later attempts.
    pub fn remove_spares(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(self.spare_prefix.as_bytes())
            {
                let _ = remove_all(&entry.path());
            }
        }
        self.remove_scripts();
    }

    /// Where the n-th script of a slot is written: beside the attempts' directories, not in them,
    /// where a checkout would find it. The files of a slot are used again.
    pub fn script(&self, slot: usize, number: usize) -> PathBuf {
        self.root
            .join(SCRIPTS)
            .join(format!("{}-{slot}-{number}", self.runner_name))
    }

    /// Takes back what the scripts of an attempt say: nobody is to read them later.
    pub fn empty_scripts(&self, slot: usize, count: usize) {
        for number in 0..count {
            let _ = write_private(&self.script(slot, number), "");
        }
    }

    /// Removes the scripts of this runner, also those of a process of it that was killed.
    pub fn remove_scripts(&self) {
        let scripts = self.root.join(SCRIPTS);
        let prefix = format!("{}-", self.runner_name);
        for entry in fs::read_dir(&scripts).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(prefix.as_bytes())
            {
                let _ = fs::remove_file(entry.path());
            }
        }
        let _ = fs::remove_dir(scripts);
    }
}

/// Our mode, our user, no attributes, and nothing inside but an empty `project` of the same kind,
/// and perhaps an empty file for exports.
fn is_as_new(home: &Path) -> bool {
    let project = home.join(PROJECT);
    let shell_env = home.join(SHELL_ENV);
    let Some(names) = entries(home) else {
        return false;
    };
    let has = |name: &str| names.iter().any(|found| found == name);
    let known = has(PROJECT) && names.len() == 1 + usize::from(has(SHELL_ENV));
    known
        && is_plain(home, DIRECTORY | 0o700)
        && entries(&project).is_some_and(|names| names.is_empty())
        && is_plain(&project, DIRECTORY | 0o700)
        && (!has(SHELL_ENV)
            || is_plain(&shell_env, FILE | 0o600) && is_single_and_empty(&shell_env))
}

fn is_single_and_empty(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.len() == 0 && found.nlink() == 1)
}

/// Bits of a mode that say what a thing is (`inode(7)`).
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

fn entries(path: &Path) -> Option<Vec<std::ffi::OsString>> {
    // More than three are too many anyway.
    fs::read_dir(path)
        .ok()?
        .take(3)
        .map(|entry| Some(entry.ok()?.file_name()))
        .collect()
}

fn is_plain(path: &Path, mode: u32) -> bool {
    let own = rustix::process::geteuid().as_raw();
    let as_made = path
        .symlink_metadata()
        .is_ok_and(|found| found.mode() == mode && found.uid() == own);
    // Access control lists are attributes too; the labels of SELinux are the system's.
    let mut names = [0; 256];
    let attributes = rustix::fs::llistxattr(path, &mut names).map(|length| &names[..length]);
    as_made
        && match attributes {
            Ok(names) => names
                .split(|&byte| byte == 0)
                .all(|name| name.is_empty() || name == b"security.selinux"),
            Err(error) => error == rustix::io::Errno::NOTSUP,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn attempt(number: u8) -> AttemptId {
        AttemptId::from_bytes([number; 16])
    }

    #[test]
    fn only_a_directory_that_is_as_new_is_used_again() {
        type Change = fn(&Path);
        let changes: [(bool, Change); 8] = [
            (true, |_| ()),
            (true, |home| {
                write_private(&home.join(SHELL_ENV), "").expect("written");
            }),
            (false, |home| {
                write_private(&home.join(SHELL_ENV), "export A=1").expect("written");
            }),
            (false, |home| {
                fs::write(home.join("file"), "").expect("written");
            }),
            (false, |home| {
                fs::write(home.join("project/.hidden"), "").expect("written");
            }),
            (false, |home| {
                fs::remove_dir(home.join("project")).expect("removed");
            }),
            (false, |home| {
                fs::set_permissions(home, fs::Permissions::from_mode(0o755)).expect("set");
            }),
            (false, |home| {
                fs::remove_dir(home.join("project")).expect("removed");
                std::os::unix::fs::symlink("/", home.join("project")).expect("linked");
            }),
        ];
        for (number, (expected, change)) in (0..).zip(changes) {
            let place = tempfile::tempdir().expect("a directory");
            let homes = Homes::new(place.path().join("root"), "r");
            let home = homes.take(attempt(number), 3).expect("made");
            create_private(&home.join("project")).expect("made");
            change(&home);
            assert_eq!(homes.take_back(&home, 3), expected, "change {number}");
            assert_eq!(home.exists(), !expected);
            let next = homes.take(attempt(200), 3).expect("made");
            assert_eq!(next.join("project").exists(), expected);
            homes.remove_spares();
        }
    }

    #[test]
    fn an_attempt_gets_no_directory_that_has_something_in_it() {
        let place = tempfile::tempdir().expect("a directory");
        let homes = Homes::new(place.path().to_owned(), "r");
        let home = homes.take(attempt(1), 0).expect("made");
        create_private(&home.join("project")).expect("made");
        assert!(homes.take_back(&home, 0));
        fs::create_dir_all(home.join("old")).expect("made");
        homes.take(attempt(1), 0).expect_err("exists");
    }
}
