//! Containers that could not be removed when nobody needed them any more: the Engine was away, or
//! stood still. They are removed before the next task.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::DockerHandle;
use super::engine::Engine;
use super::removal::{remove, remove_task};
use crate::ExecutorError;

/// How long a task that has failed already waits for the removal of what was made for it.
const BRIEF: Duration = Duration::from_secs(10);

/// What may be left.
#[derive(Default)]
pub(super) struct Debts(Mutex<BTreeSet<Debt>>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Debt {
    /// All that was made for a task.
    Task(DockerHandle),
    /// One that no task has had.
    Container(String),
}

impl Debts {
    /// Removes what was made for a task: now, or later. What could not be removed a moment ago is
    /// not waited for again.
    pub async fn settle(&self, engine: &Engine, handle: DockerHandle) {
        let known = |debt: &Debt| matches!(debt, Debt::Task(it) if it.attempt == handle.attempt);
        if !self.all().iter().any(known) {
            let removed = timeout(BRIEF, remove_task(engine, &handle)).await;
            if matches!(removed, Ok(Ok(()))) {
                return;
            }
        }
        self.add(handle);
    }

    /// Something of a task may be left.
    pub fn add(&self, handle: DockerHandle) {
        self.all().insert(Debt::Task(handle));
    }

    /// A container that no task has had may be left, with this name or id.
    pub fn add_container(&self, container: &str) {
        self.all().insert(Debt::Container(container.to_owned()));
    }

    /// Tries again, now that the Engine answers.
    pub async fn pay(&self, engine: &Engine) {
        let owed = self.all().clone();
        for debt in owed {
            match debt.pay(engine).await {
                Ok(()) => drop(self.all().remove(&debt)),
                Err(error) => tracing::warn!(%error, "containers are still left"),
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<Debt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debt {
    async fn pay(&self, engine: &Engine) -> Result<(), ExecutorError> {
        match self {
            Self::Task(handle) => remove_task(engine, handle).await,
            Self::Container(container) => remove(engine, container).await,
        }
    }
}
