//! What `tar` and `cp` need for the same tree on the same disk.

use std::path::Path;
use std::process::{Command, Stdio};

use tokio::time::Instant;

use crate::failure::{Failure, code};

/// Seconds that the floors took.
pub struct Floors {
    /// `tar --zstd -cf`
    pub pack: f64,
    /// `tar --zstd -xf`
    pub unpack: f64,
    /// `cp -a`, once.
    pub copy: f64,
}

/// Packs the folder `tree`, unpacks it elsewhere, and copies it.
pub fn measure(folder: &Path) -> Result<Floors, Failure> {
    let pack = timed(folder, "tar", &["--zstd", "-cf", "tree.tar.zst", "tree"])?;
    make(&folder.join("from-tar"))?;
    let unpack = ["--zstd", "-xf", "tree.tar.zst", "-C", "from-tar"];
    let unpack = timed(folder, "tar", &unpack)?;
    remove(&folder.join("from-tar"))?;
    remove(&folder.join("tree.tar.zst"))?;
    let copy = timed(folder, "cp", &["-a", "tree", "copy"])?;
    remove(&folder.join("copy"))?;
    Ok(Floors { pack, unpack, copy })
}

/// The floors need programs that not every host has.
pub fn check() -> Result<(), Failure> {
    for program in ["tar", "zstd"] {
        let mut version = Command::new(program);
        let found = version.arg("--version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            let text = format!("there is no {program} here to measure against");
            return Err(Failure::new(code::NOT_FOUND, text)
                .advise("Install the packages tar and zstd of your system."));
        }
    }
    Ok(())
}

/// Makes a folder.
pub fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir(folder).map_err(|error| Failure::cannot_write(folder.display(), error))
}

/// Removes a file or a folder, and writes to the disk whatever waits for it, so that the next
/// measurement does not pay for this one.
pub fn remove(path: &Path) -> Result<(), Failure> {
    let removed = match path.is_dir() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    removed.map_err(|error| Failure::cannot_write(path.display(), error))?;
    rustix::fs::sync();
    Ok(())
}

fn timed(folder: &Path, program: &str, arguments: &[&str]) -> Result<f64, Failure> {
    rustix::fs::sync();
    let started = Instant::now();
    let mut command = Command::new(program);
    let status = command.args(arguments).current_dir(folder).status();
    let status = status.map_err(|error| Failure::internal("start a floor", error))?;
    if !status.success() {
        let text = format!("`{program} {}` failed", arguments.join(" "));
        return Err(Failure::new(code::FAILED, text));
    }
    Ok(started.elapsed().as_secs_f64())
}
