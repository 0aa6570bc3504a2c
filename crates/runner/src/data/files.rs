//! The files that `store_artifacts` takes, and what they are called.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A file to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// What it is called: relative, with `/` between the parts.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ArtifactFiles {
    /// In the order of their names.
    pub files: Vec<ArtifactFile>,
    /// How many were passed over: links to directories or to nothing, sockets, pipes, devices.
    pub skipped: u64,
}

/// Finds the file or all files of the directory `found`, which the config names `path`. A file is
/// called `destination`, those of a directory lie below it; without it the path of the config counts.
pub fn artifact_files(
    found: &Path,
    path: &str,
    destination: Option<&str>,
) -> io::Result<ArtifactFiles> {
    let called = destination.unwrap_or(path);
    let mut files = ArtifactFiles::default();
    if found.metadata()?.is_dir() {
        files.add_directory(found, &parts(called).join("/"))?;
        files.files.sort_by(|a, b| a.name.cmp(&b.name));
    } else {
        let mut name = parts(called);
        if called.ends_with('/') || name.is_empty() {
            name.push(
                found
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        files.add_file(found.to_owned(), name.join("/"))?;
    }
    Ok(files)
}

impl ArtifactFiles {
    fn add_directory(&mut self, directory: &Path, name: &str) -> io::Result<()> {
        for entry in directory.read_dir()? {
            let entry = entry?;
            let below = entry.file_name().to_string_lossy().into_owned();
            let name = if name.is_empty() {
                below
            } else {
                format!("{name}/{below}")
            };
            if entry.file_type()?.is_dir() {
                self.add_directory(&entry.path(), &name)?;
            } else {
                self.add_file(entry.path(), name)?;
            }
        }
        Ok(())
    }

    /// A link counts as the file that it leads to.
    fn add_file(&mut self, path: PathBuf, name: String) -> io::Result<()> {
        match path.metadata() {
            Ok(found) if found.is_file() => self.files.push(ArtifactFile { name, path }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => self.skipped += 1,
        }
        Ok(())
    }
}

/// Opens a file to read it. A pipe or a device would never end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// The parts of a name: what would lead elsewhere is left out.
fn parts(name: &str) -> Vec<String> {
    let parts = name.split('/');
    let meant = parts.filter(|part| !matches!(*part, "" | "." | ".." | "~"));
    meant.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, destination: Option<&str>) -> (Vec<String>, u64) {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        std::fs::create_dir_all(root.join("out/deep")).unwrap();
        std::fs::write(root.join("out/b.txt"), "").unwrap();
        std::fs::write(root.join("out/deep/a.txt"), "").unwrap();
        std::os::unix::fs::symlink("b.txt", root.join("out/link")).unwrap();
        std::os::unix::fs::symlink(".", root.join("out/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("out/dangling")).unwrap();
        let found = artifact_files(&root.join(path), path, destination).unwrap();
        let names = found.files.into_iter().map(|file| file.name);
        (names.collect(), found.skipped)
    }

    #[test]
    fn files_are_called_as_the_config_says() {
        let all = |prefix: &str| {
            let names = ["b.txt", "deep/a.txt", "link"];
            (names.map(|name| format!("{prefix}{name}")).to_vec(), 2)
        };
        assert_eq!(names("out", None), all("out/"));
        assert_eq!(names("./out/", None), all("out/"));
        assert_eq!(names("out", Some("reports")), all("reports/"));
        assert_eq!(names("out", Some("/../reports/./x/")), all("reports/x/"));
        assert_eq!(names("out", Some(".")), all(""));
        let one = |name: &str| (vec![name.to_owned()], 0);
        assert_eq!(names("out/b.txt", None), one("out/b.txt"));
        assert_eq!(names("out/b.txt", Some("c.txt")), one("c.txt"));
        assert_eq!(names("out/b.txt", Some("dir/")), one("dir/b.txt"));
        assert_eq!(names("out/b.txt", Some("..")), one("b.txt"));
    }

    #[test]
    fn only_regular_files_are_read() {
        assert!(open_regular(Path::new("/dev/zero")).is_err());
        assert!(open_regular(Path::new("/")).is_err());
        assert!(open_regular(Path::new("/proc/self/status")).is_ok());
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let error = artifact_files(Path::new("/nowhere/at/all"), "x", None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
