//! The files of a task that the runner itself makes and looks at. Their paths are below `~`.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use outrider_executor::{Environment, ExecutorError, Files};

/// Writes a file that only steps of this task may read, over an older one.
pub(crate) async fn write(
    environment: &dyn Environment,
    path: &str,
    bytes: impl Into<Bytes>,
) -> Result<(), ExecutorError> {
    match environment.files() {
        Files::Here(directory) => {
            let path = directory.join(path);
            write_here(&path, &bytes.into()).map_err(|error| failed("write", &path, error))
        }
        Files::Inside(inside) => {
            let path = seen(environment, path);
            inside.write_file(&path, 0o600, bytes.into()).await
        }
    }
}

/// Whether there is anything with this name.
pub(crate) async fn exists(
    environment: &dyn Environment,
    path: &str,
) -> Result<bool, ExecutorError> {
    match environment.files() {
        Files::Here(directory) => Ok(directory.join(path).symlink_metadata().is_ok()),
        Files::Inside(inside) => inside.exists(&seen(environment, path)).await,
    }
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) async fn remove(environment: &dyn Environment, path: &str) -> Result<(), ExecutorError> {
    match environment.files() {
        Files::Here(directory) => {
            let path = directory.join(path);
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(failed("remove", &path, error))
                }
                _ => Ok(()),
            }
        }
        Files::Inside(inside) => inside.remove(&seen(environment, path)).await,
    }
}

fn seen(environment: &dyn Environment, path: &str) -> PathBuf {
    environment.resolve(&format!("~/{path}"))
}

fn write_here(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let open = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(path)
    };
    let opened = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(path);
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700).create(folder)?;
            open()
        }
        opened => opened,
    };
    opened?.write_all(bytes)
}

fn failed(what: &str, path: &Path, error: io::Error) -> ExecutorError {
    ExecutorError::infrastructure(format!("cannot {what} {}", path.display()), error)
}
