//! `git` on the runner's host, for code in a directory of that host.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::variables::for_git;
use crate::driver::Failure;

/// Runs git with the environment of the step. It ends when the future is dropped.
#[derive(Debug)]
pub struct HostGit {
    variables: BTreeMap<String, String>,
}

impl HostGit {
    /// With the variables of the step.
    pub fn new(variables: &BTreeMap<String, String>) -> Self {
        let variables = for_git(variables, None);
        Self { variables }
    }

    /// What git prints.
    pub async fn run<S: AsRef<OsStr>>(
        &self,
        directory: &Path,
        arguments: &[S],
    ) -> Result<Vec<u8>, Failure> {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(directory)
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.map_err(|error| {
            Failure::User(format!(
                "git cannot be started: {error}. Install git on this host"
            ))
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::User(format!(
            "git failed in {}: {}",
            directory.display(),
            said.trim()
        )))
    }

    /// A path that git prints.
    pub async fn path(&self, directory: &Path, arguments: &[&str]) -> Result<PathBuf, Failure> {
        let printed = self.run(directory, arguments).await?;
        let line = printed.strip_suffix(b"\n").unwrap_or(&printed);
        Ok(PathBuf::from(OsStr::from_bytes(line)))
    }

    /// The files of a working tree below `directory`: those in the index, and new ones that are
    /// not ignored. Some may not be there; submodules and nested repositories are directories.
    pub async fn files(&self, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
        let arguments = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        let listed = self.run(directory, &arguments).await?;
        let mut files: Vec<PathBuf> = listed
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| PathBuf::from(OsStr::from_bytes(name)))
            .collect();
        // A file with a conflict is listed once for each side.
        files.dedup();
        Ok(files)
    }
}
