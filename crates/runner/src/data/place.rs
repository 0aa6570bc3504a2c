//! Where the paths of data steps are.
//!
//! In a config `~` is the home of the job, and in a container it is.
//! On a host two directories play that part: the attempt's own,
//! where `~/project` is, and the home of the runner's user, which steps have as `HOME` and where
//! package managers keep what they fetched. A path is taken in the first, if it is there, else in
//! the second.

use std::path::{Component, Path, PathBuf};

use outrider_archive::{Base, Bases, Place};
use serde::{Deserialize, Serialize};

use crate::attempt::StepContext;
use crate::checkout;
use crate::driver::Failure;

/// The directories that paths of a task are relative to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Places {
    /// The attempt's own.
    attempt: PathBuf,
    /// Where relative paths start.
    work: PathBuf,
    /// What steps see as `HOME`.
    home: PathBuf,
}

impl Places {
    /// Those of a step whose attempt has this directory of the host.
    pub fn here(context: &StepContext, attempt: &Path) -> Self {
        let home = context.variables.get("HOME").map(PathBuf::from);
        let working_directory = &context.task.payload.spec.working_directory;
        Self {
            work: checkout::host_path(context, attempt, working_directory),
            home: home.unwrap_or_else(|| attempt.to_owned()),
            attempt: attempt.to_owned(),
        }
    }

    /// Those of a step in an environment of its own: both directories are its home.
    pub fn inside(context: &StepContext) -> Self {
        let seen = |path| context.environment.resolve(path);
        Self {
            attempt: seen("~"),
            work: seen(&context.task.payload.spec.working_directory),
            home: seen("~"),
        }
    }

    /// The directory that is `~` for relative places.
    pub fn attempt(&self) -> &Path {
        &self.attempt
    }

    /// The directories, for restoring.
    pub fn bases(&self) -> Bases {
        Bases::new()
            .with(Base::Home, &self.home)
            .with(Base::Work, &self.attempt)
            .with(Base::Root, "/")
    }

    /// Where a path of the config is.
    pub fn find(&self, path: &str) -> PathBuf {
        let Some(rest) = tilde(path) else {
            return normal(&self.work.join(path));
        };
        let own = normal(&self.attempt.join(rest));
        if own.symlink_metadata().is_ok() || own.starts_with(&self.work) {
            own
        } else {
            normal(&self.home.join(rest))
        }
    }

    /// Where relative paths start.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// How an archive remembers a path of the config, so that another attempt finds it again.
    pub fn place(&self, path: &str) -> Result<Place, Failure> {
        let (base, below) = self.relative(path);
        Place::new(base, below).map_err(|error| Failure::User(error.to_string()))
    }

    fn relative(&self, path: &str) -> (Base, PathBuf) {
        let found = self.find(path);
        let below = |base: &Path| found.strip_prefix(normal(base)).map(Path::to_owned);
        if let Ok(below) = below(&self.attempt) {
            return (Base::Work, below);
        }
        match below(&self.home) {
            Ok(below) if tilde(path).is_some() => (Base::Home, below),
            _ => (Base::Root, below(Path::new("/")).unwrap_or(found.clone())),
        }
    }
}

/// What follows `~/`.
fn tilde(path: &str) -> Option<&str> {
    match path.strip_prefix('~')? {
        "" => Some(""),
        rest => rest
            .strip_prefix('/')
            .map(|rest| rest.trim_start_matches('/')),
    }
}

/// Without `.` and `..`, as they are written: what is a link is not looked at.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            _ => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_remembered_relative_to_what_moves() {
        let attempt = tempfile::tempdir().unwrap();
        let attempt = attempt.path();
        std::fs::create_dir_all(attempt.join("other/deep")).unwrap();
        let places = Places {
            attempt: attempt.to_owned(),
            work: attempt.join("project"),
            home: PathBuf::from("/home/ci"),
        };
        let own = attempt.join("project/x").to_string_lossy().into_owned();
        for (path, base, below) in [
            ("node_modules", Base::Work, "project/node_modules"),
            ("./a/../b/", Base::Work, "project/b"),
            (".", Base::Work, "project"),
            ("~/project/a", Base::Work, "project/a"),
            ("~/other/deep", Base::Work, "other/deep"),
            (own.as_str(), Base::Work, "project/x"),
            ("~/.npm", Base::Home, ".npm"),
            ("~//.cache", Base::Home, ".cache"),
            ("/opt/tools", Base::Root, "opt/tools"),
            ("/home/ci/.npm", Base::Root, "home/ci/.npm"),
            ("../../../../../../../../etc", Base::Root, "etc"),
            ("~odd", Base::Work, "project/~odd"),
        ] {
            let below = PathBuf::from(below);
            assert_eq!(places.relative(path), (base, below), "{path}");
            assert!(places.place(path).is_ok(), "{path}");
        }
    }
}
