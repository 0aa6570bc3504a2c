//! Which files have changed, as git knows it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, code};

/// What to compare.
pub struct Comparison<'a> {
    /// A branch, a tag or a commit.
    pub base: &'a str,
    /// The commit that the job is for.
    pub commit: &'a str,
    /// Whether a commit that is in the base already is compared with the one before it.
    pub same_base_run: bool,
    /// Whether files that are not committed count, as if they were one commit more.
    pub uncommitted: bool,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes {
    /// What the commit was compared with; nothing if it is in the base already.
    pub since: Option<String>,
    /// The files that are not the same, in their order.
    pub files: Vec<String>,
}

/// Compares a commit with the last one that it has in common with a base.
pub fn compare(comparison: &Comparison<'_>) -> Result<Changes, Failure> {
    let git = Git::here()?;
    let commit = git.commit(comparison.commit).ok_or_else(|| {
        let message = format!("there is no commit {}", comparison.commit);
        Failure::new(code::NOT_FOUND, message)
            .advise("Check out the code of the pipeline, with its history, before this step.")
    })?;
    let base = git.base(comparison.base)?;
    let common = git.merge_base(&base, &commit, comparison.base)?;
    let mut files = BTreeSet::new();
    if comparison.uncommitted {
        files.extend(git.uncommitted()?);
    }
    let since = match common {
        common if common != commit || !files.is_empty() => common,
        _ if comparison.same_base_run => git.before(&commit)?,
        _ => {
            return Ok(Changes {
                since: None,
                files: Vec::new(),
            });
        }
    };
    files.extend(git.difference(&[&since, &commit])?);
    Ok(Changes {
        since: Some(since),
        files: files.into_iter().collect(),
    })
}

/// A repository.
struct Git {
    root: PathBuf,
}

impl Git {
    /// The one that the working directory is in.
    fn here() -> Result<Self, Failure> {
        let here = Self {
            root: PathBuf::from("."),
        };
        let root = here
            .run(&["rev-parse", "--show-toplevel"])
            .map_err(|said| {
                let message = format!("the working directory is in no git repository: {said}");
                Failure::new(code::NOT_FOUND, message).advise(
                "Check out the code before this step. `outrider run` takes the history along only \
                 if it is given the root of the repository.",
            )
            })?;
        Ok(Self {
            root: PathBuf::from(root.trim_end_matches('\n')),
        })
    }

    /// What git prints, or what it says is wrong.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.root)
            .args(["-c", "core.quotepath=false"])
            .args(arguments)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("git cannot be started: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr).trim().to_owned()),
        }
    }

    /// The same, where it is not expected to fail.
    fn must(&self, arguments: &[&str]) -> Result<String, Failure> {
        self.run(arguments).map_err(|said| {
            Failure::new(code::FAILED, format!("git {} failed: {said}", arguments[0]))
                .advise("Try it yourself in the code's folder; the repository may be damaged.")
        })
    }

    /// The id of a commit.
    fn commit(&self, revision: &str) -> Option<String> {
        let commit = format!("{revision}^{{commit}}");
        let id = self.run(&[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &commit,
        ]);
        Some(id.ok()?.trim().to_owned()).filter(|id| !id.is_empty())
    }

    /// The base: as it is called here, else as the remote calls it, which is asked if need be.
    fn base(&self, name: &str) -> Result<String, Failure> {
        let remote = format!("refs/remotes/origin/{name}");
        let known = self.commit(name).or_else(|| self.commit(&remote));
        let fetch = |reference: &str| {
            let fetch = ["fetch", "--quiet", "--no-tags", "origin", reference];
            self.run(&fetch)?;
            self.commit("FETCH_HEAD")
                .ok_or_else(|| "it is no commit".to_owned())
        };
        let asked = match known {
            Some(id) => return Ok(id),
            None if name.is_empty() || name.starts_with('-') => Err("it is no revision".to_owned()),
            // The second is what the origin's own origin has, where the origin is a working tree.
            None => fetch(name).or_else(|said| fetch(&remote).map_err(|_| said)),
        };
        asked.map_err(|said| {
            let message = format!("there is no base revision `{name}` here: {said}");
            Failure::new(code::NOT_FOUND, message).advise(
                "Name a branch, a tag or a commit that the repository has. For a branch that only \
                 the remote has, say `git fetch origin BRANCH:BRANCH`.",
            )
        })
    }

    /// The last commit that two have in common.
    fn merge_base(&self, base: &str, commit: &str, name: &str) -> Result<String, Failure> {
        let common = self.run(&["merge-base", base, commit]).unwrap_or_default();
        match common.lines().next() {
            Some(id) => Ok(id.to_owned()),
            None => Err(self.too_short(&format!(
                "{commit} and the base revision `{name}` have no commit in common"
            ))),
        }
    }

    /// The commit before another; a tree that is empty before the first one.
    fn before(&self, commit: &str) -> Result<String, Failure> {
        if let Some(parent) = self.commit(&format!("{commit}~1")) {
            return Ok(parent);
        }
        if self.is_shallow() {
            return Err(self.too_short(&format!("the commit before {commit} is not here")));
        }
        let empty = self.must(&["hash-object", "-t", "tree", "/dev/null"])?;
        Ok(empty.trim().to_owned())
    }

    fn is_shallow(&self) -> bool {
        let shallow = self.run(&["rev-parse", "--is-shallow-repository"]);
        shallow.is_ok_and(|it| it.trim() == "true")
    }

    fn too_short(&self, problem: &str) -> Failure {
        if self.is_shallow() {
            return Failure::new(
                code::NOT_FOUND,
                format!("{problem}: the history was cut off at checkout"),
            )
            .advise("Check out with `method: full`, or say `git fetch --unshallow` before this.");
        }
        Failure::new(code::NOT_FOUND, problem).advise("Name another base revision.")
    }

    /// Files that are not as the last commit has them, new ones included.
    fn uncommitted(&self) -> Result<Vec<String>, Failure> {
        let mut files = self.difference(&["HEAD"])?;
        let new = self.must(&["ls-files", "-z", "--others", "--exclude-standard"])?;
        files.extend(paths(&new));
        Ok(files)
    }

    /// Files that differ. One that was renamed counts under its new name.
    fn difference(&self, between: &[&str]) -> Result<Vec<String>, Failure> {
        let diff = [
            "diff",
            "--name-only",
            "-z",
            "--no-ext-diff",
            "--find-renames",
        ];
        let arguments = [&diff, between, &["--"]].concat();
        Ok(paths(&self.must(&arguments)?).collect())
    }
}

/// Paths that each end with a zero.
fn paths(text: &str) -> impl Iterator<Item = String> {
    let paths = text.split('\0').filter(|path| !path.is_empty());
    paths.map(str::to_owned)
}
