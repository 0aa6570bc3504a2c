//! Unpacks the code, as `git checkout --force` would leave it in a directory where there was some
//! already: what was tracked and is not any more goes, what git does not know stays.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tar::{Archive, Entry, EntryType};

use super::{Accepts, WHOLE, index};
use crate::driver::Failure;

/// So many bytes are read at once.
const BLOCK: usize = 256 * 1024;
/// The end of an archive: zeros, of which its reader takes as many as it likes.
const END: usize = 1024;
/// Where a repository is.
const REPOSITORY: &str = ".git";

/// A directory that code can come to.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    found: Found,
}

/// What is there.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A repository, and the files that it has checked out.
    Repository(HashSet<PathBuf>),
    /// A repository, and nobody knows of which files.
    Unknown,
}

impl Target {
    /// Looks at what is there, and makes the directory if it is not.
    pub fn look(path: PathBuf, accepts: Accepts) -> Result<Self, Failure> {
        fs::create_dir_all(&path).map_err(|error| failed(&path, &error))?;
        let repository = path.join(REPOSITORY);
        let found = if accepts == Accepts::Repository && is_there(&repository) {
            tracked(&repository.join("index")).map_or(Found::Unknown, Found::Repository)
        } else {
            check_empty(&path, accepts)?;
            Found::Nothing
        };
        Ok(Self { path, found })
    }

    /// What the job should know of it.
    pub fn doubt(&self) -> Option<String> {
        (self.found == Found::Unknown).then(|| {
            format!(
                "The index of the repository in {} cannot be read: files that were checked out \
                 before and are in this commit no more stay there",
                self.path.display()
            )
        })
    }

    /// Unpacks what comes, over what is there.
    pub fn unpack(self, input: impl Read) -> Result<(), Failure> {
        let tracked = match self.found {
            Found::Repository(tracked) => tracked,
            Found::Nothing | Found::Unknown => HashSet::new(),
        };
        let mut unpacking = Unpacking {
            root: self.path,
            tracked,
            folders: Vec::new(),
        };
        let mut input = BufReader::with_capacity(BLOCK, input);
        let mut archive = Archive::new(&mut input);
        let mut begun = false;
        for entry in archive.entries().map_err(|error| cut_off(&error))? {
            let entry = entry.map_err(|error| cut_off(&error))?;
            // Not before something comes: the runner may have nothing to send.
            if !std::mem::replace(&mut begun, true) {
                clear(&unpacking.root.join(REPOSITORY))?;
            }
            unpacking.add(entry)?;
        }
        check_whole(input).map_err(|error| cut_off(&error))?;
        unpacking.finish()
    }
}

/// Reads what follows the archive: what is left of its end, and the word.
fn check_whole(rest: impl Read) -> io::Result<()> {
    let mut last = Vec::new();
    let most = END + WHOLE.len();
    rest.take(most as u64).read_to_end(&mut last)?;
    match last.ends_with(WHOLE) {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The files of an index. Without one nothing was checked out.
fn tracked(index: &Path) -> Option<HashSet<PathBuf>> {
    match index.symlink_metadata() {
        // A pipe would never end.
        Ok(meta) if meta.is_file() => index::tracked(&fs::read(index).ok()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(HashSet::new()),
        _ => None,
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn check_empty(path: &Path, accepts: Accepts) -> Result<(), Failure> {
    let entries = path.read_dir().map_err(|error| failed(path, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| failed(path, &error))?.file_name();
        // The runner's own files do not count.
        if name.as_bytes().starts_with(b".outrider-") {
            continue;
        }
        let what = match accepts {
            Accepts::Nothing => "is not empty",
            Accepts::Repository => "is not empty and not a git repository",
        };
        return Err(Failure::User(format!(
            "{} {what}.\nRemove what is in there, or give checkout another path.",
            path.display()
        )));
    }
    Ok(())
}

/// A tree that is coming.
struct Unpacking {
    root: PathBuf,
    /// Was checked out before, and has not come yet.
    tracked: HashSet<PathBuf>,
    /// Were made, with their mode and time: the last thing, so that files can come into them.
    folders: Vec<(PathBuf, u32, i64)>,
}

impl Unpacking {
    fn add(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), Failure> {
        let path = below(&entry.path_bytes())?;
        let full = self.root.join(&path);
        self.tracked.remove(&path);
        let header = entry.header();
        let (kind, mode) = (header.entry_type(), header.mode().unwrap_or(0o600));
        let time = header.mtime().unwrap_or(0).cast_signed();
        let made = match kind {
            EntryType::Directory => self.add_folder(&full, mode, time),
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                clear(&full)?;
                std::os::unix::fs::symlink(OsStr::from_bytes(&target), &full)
                    .and_then(|()| set_time(&full, time))
            }
            _ => {
                clear(&full)?;
                write(&full, &mut entry, mode).and_then(|()| set_time(&full, time))
            }
        };
        made.map_err(|error| failed(&full, &error))
    }

    /// One that is there is left as it is.
    fn add_folder(&mut self, path: &Path, mode: u32, time: i64) -> io::Result<()> {
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => return Ok(()),
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::create_dir(path)?;
        self.folders.push((path.to_owned(), mode, time));
        Ok(())
    }

    /// Everything has come.
    fn finish(self) -> Result<(), Failure> {
        for path in &self.tracked {
            self.remove_tracked(path);
        }
        for (path, mode, time) in self.folders.iter().rev() {
            fs::set_permissions(path, Permissions::from_mode(*mode))
                .and_then(|()| set_time(path, *time))
                .map_err(|error| failed(path, &error))?;
        }
        Ok(())
    }

    /// With the folders that are empty then. What cannot be removed stays, as with git.
    fn remove_tracked(&self, path: &Path) {
        let Ok(path) = below(path.as_os_str().as_bytes()) else {
            return;
        };
        let folders = path.ancestors().skip(1);
        // Not through a link, and no repository within this one.
        let real = |folder: &Path| {
            let meta = self.root.join(folder).symlink_metadata();
            meta.is_ok_and(|meta| meta.is_dir())
        };
        if folders.clone().all(real) && fs::remove_file(self.root.join(&path)).is_ok() {
            let named = folders.filter(|folder| !folder.as_os_str().is_empty());
            for folder in named {
                if fs::remove_dir(self.root.join(folder)).is_err() {
                    return;
                }
            }
        }
    }
}

/// A path that leads nowhere else.
fn below(path: &[u8]) -> Result<PathBuf, Failure> {
    let path = Path::new(OsStr::from_bytes(path));
    let mut parts = path.components();
    if parts.all(|part| matches!(part, Component::Normal(_))) && !path.as_os_str().is_empty() {
        return Ok(path.to_owned());
    }
    let text = format!("the code has an impossible path in it: {}", path.display());
    Err(Failure::Infrastructure(text))
}

/// Removes what is in the way.
fn clear(path: &Path) -> Result<(), Failure> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &mut impl Read, mode: u32) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode & 0o777))
}

/// Of a link its own.
fn set_time(path: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let text = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Infrastructure(
            format!("{text}\nThe disk of the job is full: give it more room, or remove files."),
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Failure::User(format!(
                "{text}\nGive checkout a path that the user of the steps may write to, or the image \
                 another user."
            ))
        }
        io::ErrorKind::UnexpectedEof => cut_off(error),
        _ => Failure::User(text),
    }
}

/// The stream, not the disk.
fn cut_off(error: &io::Error) -> Failure {
    Failure::Infrastructure(format!("the code did not arrive whole: {error}"))
}
