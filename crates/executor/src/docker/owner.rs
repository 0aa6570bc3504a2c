//! Whose a container is, and what is done about those whose owner is gone.
//!
//! An owner is a process with an executor. As long as it lives it holds a lock on a file that is
//! named after it; the kernel gives the lock back however the process ends. An owner that itself
//! runs in a container may take that file with it: its containers name its own one too, and the
//! Engine says whether that still runs.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use outrider_model::AttemptId;
use rustix::fs::{FlockOperation, flock};
use tokio::task::spawn_blocking;

use super::engine::Engine;
use super::own_container::Start;
use super::removal::remove_labelled;

/// The process that made a container.
const OWNER: &str = "outrider.owner";
/// The container that this process runs in.
pub(super) const OWNER_CONTAINER: &str = "outrider.owner-container";
/// When that was started: the process of another start is another owner.
const OWNER_START: &str = "outrider.owner-start";
/// The attempt that a container was made for.
pub(super) const ATTEMPT: &str = "outrider.attempt";
/// What a container is for.
pub(super) const ROLE: &str = "outrider.role";
/// What people call the runner.
const RUNNER: &str = "outrider.runner";

const SUFFIX: &str = ".lock";

/// The role of containers that run beside the steps.
pub(super) const SERVICE: &str = "service";

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Runs the steps of an attempt.
    Primary(AttemptId),
    /// Runs beside the steps.
    Service(AttemptId),
    /// Waits for an attempt, and then runs its steps: labels cannot be changed.
    Warm,
    /// Never runs: through it the program gets into its volume.
    Program,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Primary(_) => "primary",
            Self::Service(_) => SERVICE,
            Self::Warm => "warm",
            Self::Program => "program",
        }
    }

    const fn attempt(self) -> Option<AttemptId> {
        match self {
            Self::Primary(attempt) | Self::Service(attempt) => Some(attempt),
            Self::Warm | Self::Program => None,
        }
    }
}

/// This process, as the labels of its containers name it.
#[derive(Debug)]
pub(super) struct Owner {
    id: String,
    runner: String,
    container: Option<Start>,
    /// The Engine that it speaks to.
    engine: String,
    path: PathBuf,
    _lock: File,
}

impl Owner {
    /// Takes a new name, and locks it. `container` is the one that this process runs in, `engine`
    /// what the Engine calls itself.
    pub fn claim(
        folder: &Path,
        runner: &str,
        container: Option<Start>,
        engine: String,
    ) -> io::Result<Self> {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(folder)?;
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let id = id.trim().to_owned();
        // Nobody may see the file before it is locked.
        let unseen = folder.join(format!(".{id}"));
        let mut lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unseen)?;
        lock.write_all(engine.as_bytes())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let path = folder.join(format!("{id}{SUFFIX}"));
        fs::rename(unseen, &path)?;
        Ok(Self {
            id,
            runner: runner.to_owned(),
            container,
            engine,
            path,
            _lock: lock,
        })
    }

    /// Waits until no other owner of this folder is at it, and holds them off as long as the answer
    /// lives.
    pub async fn alone(&self, at: &str) -> io::Result<File> {
        let path = self.path.with_file_name(format!("{at}.busy"));
        let lock = move || {
            let file = File::create(path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        spawn_blocking(lock).await.map_err(io::Error::other)?
    }

    /// By which a container of this owner is found again.
    pub fn labels(&self, role: Role) -> HashMap<String, String> {
        let attempt = role.attempt();
        let attempt = attempt.map(|attempt| (ATTEMPT, attempt.to_string()));
        let container = self.container.iter().flat_map(|start| {
            [
                (OWNER_CONTAINER, start.id.clone()),
                (OWNER_START, start.at.clone()),
            ]
        });
        [
            (OWNER, self.id.clone()),
            (ROLE, role.name().to_owned()),
            (RUNNER, self.runner.clone()),
        ]
        .into_iter()
        .chain(attempt)
        .chain(container)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// A name that no other owner gives.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Nothing is made any more: what is left is removed, so that nobody needs to look for it.
    pub async fn retire(&self, engine: &Engine) {
        match remove_labelled(engine, OWNER, &self.id).await {
            Ok(()) => drop(fs::remove_file(&self.path)),
            Err(error) => tracing::warn!(%error, "containers are left for the next runner"),
        }
    }

    /// Removes the containers of owners that are gone, if they were made at this Engine. What cannot
    /// be removed keeps its lock file, so that the next owner tries again. The Engine is asked
    /// nothing if there are no such owners.
    pub async fn sweep(&self, engine: &Engine) {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        for dead in Dead::all(folder) {
            if !dead.engine.is_empty() && dead.engine != self.engine {
                continue;
            }
            if remove_labelled(engine, OWNER, &dead.id).await.is_ok() {
                let _ = fs::remove_file(&dead.path);
            }
        }
    }
}

/// An owner that has ended. Held, so that nobody else sweeps it at the same time.
struct Dead {
    id: String,
    /// Nothing: it did not say.
    engine: String,
    path: PathBuf,
    _lock: File,
}

impl Dead {
    fn all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Self::lock(entry.path()))
            .collect()
    }

    fn lock(path: PathBuf) -> Option<Self> {
        let id = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.to_owned();
        let lock = File::open(&path).ok()?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self {
            engine: fs::read_to_string(&path).ok()?,
            id,
            path,
            _lock: lock,
        })
    }
}

/// The start of the container in which the owner of a container with these labels runs.
pub(super) fn owner_start(labels: &HashMap<String, String>) -> Option<Start> {
    Some(Start {
        id: labels.get(OWNER_CONTAINER)?.clone(),
        at: labels.get(OWNER_START)?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_alive_as_long_as_it_holds_its_lock() {
        let folder = tempfile::tempdir().expect("a folder");
        let claim =
            || Owner::claim(folder.path(), "a runner", None, "engine".to_owned()).expect("claimed");
        let dead = || {
            let dead = Dead::all(folder.path()).into_iter();
            dead.map(|dead| dead.id).collect::<Vec<_>>()
        };
        let (first, second) = (claim(), claim());
        assert_eq!(dead(), [""; 0]);
        let id = first.id.clone();
        drop(first);
        assert_eq!(dead(), [id]);
        assert!(!dead().contains(&second.id));
    }

    #[test]
    fn labels_carry_any_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = Start {
            id: "0123".to_owned(),
            at: "2026-01-01T00:00:00.000000001Z".to_owned(),
        };
        let name = "a \"b\" ü/=,";
        let owner = Owner::claim(
            folder.path(),
            name,
            Some(start.clone()),
            "engine".to_owned(),
        )
        .expect("claimed");
        let attempt = AttemptId::from_bytes([7; 16]);
        let labels = owner.labels(Role::Primary(attempt));
        assert_eq!(labels[RUNNER], name);
        assert_eq!(labels[ATTEMPT], attempt.to_string());
        assert_eq!(owner_start(&labels), Some(start));
        assert!(!owner.labels(Role::Warm).contains_key(ATTEMPT));
    }
}
