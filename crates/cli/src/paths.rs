//! Where things lie by default.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::failure::{Failure, code};

/// The folder of a server's data: `~/.local/share/outrider/server` on Linux.
pub fn server_data() -> Result<PathBuf, Failure> {
    below_data("server")
}

/// The folder of a runner: its spool and its working directories.
pub fn runner_data() -> Result<PathBuf, Failure> {
    below_data("runner")
}

/// The folder by which the runners of a user know of each other, to remove containers that others
/// left behind. Without a home there is none.
pub fn container_owners() -> Option<PathBuf> {
    below_data("container-owners").ok()
}

/// The folder of local runs that are kept.
pub fn kept_runs() -> Result<PathBuf, Failure> {
    below_data("runs")
}

/// The folder where fetched orbs are kept: `~/.cache/outrider/orbs` on Linux. Without a home there
/// is none.
pub fn orb_cache() -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "outrider")?;
    Some(dirs.cache_dir().join("orbs"))
}

/// The folder of what local runs of a project's folder keep for later ones, below
/// `~/.cache/outrider/runs` on Linux. Without a home there is none.
pub fn run_cache(project: &Path) -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "outrider")?;
    let hash = blake3::hash(project.as_os_str().as_encoded_bytes()).to_hex();
    Some(dirs.cache_dir().join("runs").join(&hash[..16]))
}

fn below_data(name: &str) -> Result<PathBuf, Failure> {
    ProjectDirs::from("", "", "outrider")
        .map(|dirs| dirs.data_dir().join(name))
        .ok_or_else(|| {
            Failure::new(
                code::BAD_SETTINGS,
                "there is no home directory to keep data in",
            )
            .advise("Set HOME, or give a folder with --data.")
        })
}

/// Makes a folder that only its owner can read.
pub fn private_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| {
            Failure::cannot_write(path.display(), error)
                .advise("Choose a folder that you can write, with --data.")
        })
}
