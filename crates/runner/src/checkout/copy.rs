//! Copying files as they are: contents, modes, symbolic links.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

/// Copies from one directory to another.
#[derive(Debug)]
pub struct Copier {
    from: PathBuf,
    to: PathBuf,
    stop: CancellationToken,
    /// What was copied.
    pub files: u64,
    /// Sockets, pipes and devices that were passed over.
    pub skipped: u64,
}

impl Copier {
    /// Nothing copied yet.
    pub const fn new(from: PathBuf, to: PathBuf, stop: CancellationToken) -> Self {
        Self {
            from,
            to,
            stop,
            files: 0,
            skipped: 0,
        }
    }

    /// The source.
    pub fn from(&self) -> &Path {
        &self.from
    }

    /// The target.
    pub fn to(&self) -> &Path {
        &self.to
    }

    /// Copies what is at this path below the source; a directory with all that is in it, except
    /// repositories' own data. What is not there is passed over.
    pub fn copy(&mut self, path: &Path) -> io::Result<()> {
        if self.stop.is_cancelled() {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                "the step was stopped",
            ));
        }
        let source = self.from.join(path);
        match source.symlink_metadata() {
            Ok(meta) if meta.is_dir() => self.copy_directory(path, &meta),
            Ok(meta) => self.copy_file(&source, path, &meta),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(named(&source, &error)),
        }
    }

    fn copy_directory(&mut self, path: &Path, meta: &Metadata) -> io::Result<()> {
        let source = self.from.join(path);
        // The job's own directory may lie below the source.
        if self.to.starts_with(&source) {
            if path.as_os_str().is_empty() {
                std::fs::create_dir_all(&self.to)?;
            } else {
                return Ok(());
            }
        }
        let target = self.to.join(path);
        std::fs::create_dir_all(&target).map_err(|error| named(&target, &error))?;
        for item in std::fs::read_dir(&source).map_err(|error| named(&source, &error))? {
            let name = item?.file_name();
            self.copy(&path.join(name))?;
        }
        if !path.as_os_str().is_empty() {
            // At the end: it may be one that nobody may write to.
            std::fs::set_permissions(&target, meta.permissions())?;
        }
        Ok(())
    }

    fn copy_file(&mut self, source: &Path, path: &Path, meta: &Metadata) -> io::Result<()> {
        let target = self.to.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(|error| named(parent, &error))?;
        }
        if meta.is_symlink() {
            let points_to = std::fs::read_link(source).map_err(|error| named(source, &error))?;
            std::os::unix::fs::symlink(points_to, &target)
                .map_err(|error| named(&target, &error))?;
        } else if meta.is_file() {
            std::fs::copy(source, &target).map_err(|error| named(source, &error))?;
        } else {
            self.skipped += 1;
            return Ok(());
        }
        self.files += 1;
        Ok(())
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
