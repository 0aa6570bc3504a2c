//! A look into a repository, with the `git` of this host.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, code};

/// What a repository holds at a ref.
pub struct Fetched {
    /// The commit.
    pub revision: String,
    /// Its `.circleci/config.yml`; empty where nobody asked for it.
    pub config: String,
    /// Holds its `orbs.lock`, if it has one.
    pub folder: tempfile::TempDir,
}

/// Fetches one commit into a temporary repository and reads its config.
pub fn look(url: &str, reference: Option<&str>, config: bool) -> Result<Fetched, Failure> {
    let folder =
        tempfile::tempdir().map_err(|error| Failure::cannot_write("a temporary folder", error))?;
    let git = |arguments: &[&str]| git(folder.path(), arguments);
    git(&["init", "--quiet"])?;
    git(&[
        "fetch",
        "--quiet",
        "--depth=1",
        "--",
        url,
        reference.unwrap_or("HEAD"),
    ])?;
    let revision = git(&["rev-parse", "FETCH_HEAD^{commit}"])?
        .trim()
        .to_owned();
    let config = match config {
        true => git(&["show", "FETCH_HEAD:.circleci/config.yml"])?,
        false => String::new(),
    };
    if let Ok(lock) = git(&["show", "FETCH_HEAD:.circleci/orbs.lock"]) {
        std::fs::write(folder.path().join("orbs.lock"), lock)
            .map_err(|error| Failure::cannot_write("a temporary file", error))?;
    }
    Ok(Fetched {
        revision,
        config,
        folder,
    })
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| {
            Failure::new(code::NOT_FOUND, format!("cannot run git: {error}"))
                .advise("Install git, or give the config with --config and leave --git out.")
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(
        code::NOT_FOUND,
        format!("git {} failed: {}", arguments[0], said.trim()),
    )
    .advise("Check --git and --ref, and that this host may read the repository."))
}

/// `acme/shop` for `git@example.com:acme/shop.git` and `https://example.com/acme/shop`.
pub fn project_name(url: &str) -> String {
    let path = url.trim_end_matches('/').trim_end_matches(".git");
    let mut parts = path.rsplit(['/', ':']);
    let name = parts.next().unwrap_or("project");
    match parts
        .next()
        .filter(|owner| !owner.is_empty() && !owner.contains('@'))
    {
        Some(owner) => format!("{owner}/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::project_name;

    #[test]
    fn a_project_is_named_like_its_repository() {
        for url in [
            "git@example.com:acme/shop.git",
            "https://example.com/acme/shop",
            "/srv/acme/shop.git/",
        ] {
            assert_eq!(project_name(url), "acme/shop", "{url}");
        }
        assert_eq!(project_name("shop"), "shop");
    }
}
