//! Containers that could not be removed when their task was over: the Engine was away, or stood
//! still. They are removed before the next task.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::DockerHandle;
use super::engine::Engine;
use super::owner::remove_task;

/// How long a task that has failed already waits for the removal of what was made for it.
const BRIEF: Duration = Duration::from_secs(10);

/// The tasks of which something may be left.
#[derive(Default)]
pub(super) struct Debts(Mutex<BTreeSet<DockerHandle>>);

impl Debts {
    /// Removes what was made for a task: now, or later. What could not be removed a moment ago is
    /// not waited for again.
    pub async fn settle(&self, engine: &Engine, handle: DockerHandle) {
        let known = |debt: &DockerHandle| debt.attempt == handle.attempt;
        if !self.handles().iter().any(known) {
            let removed = timeout(BRIEF, remove_task(engine, &handle)).await;
            if matches!(removed, Ok(Ok(()))) {
                return;
            }
        }
        self.add(handle);
    }

    /// Something of a task may be left.
    pub fn add(&self, handle: DockerHandle) {
        self.handles().insert(handle);
    }

    /// Tries again, now that the Engine answers.
    pub async fn pay(&self, engine: &Engine) {
        let owed = self.handles().clone();
        for handle in owed {
            match remove_task(engine, &handle).await {
                Ok(()) => drop(self.handles().remove(&handle)),
                Err(error) => {
                    let attempt = handle.attempt;
                    tracing::warn!(%attempt, %error, "containers are still left");
                }
            }
        }
    }

    fn handles(&self) -> MutexGuard<'_, BTreeSet<DockerHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
