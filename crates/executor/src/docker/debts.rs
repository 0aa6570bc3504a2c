//! Containers that could not be removed when their task was over: the Engine was away, or stood
//! still. They are removed before the next task.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrider_model::AttemptId;
use tokio::time::timeout;

use super::engine::Engine;
use super::owner::remove_attempt;

/// How long a task that has failed already waits for the removal of what was made for it.
const BRIEF: Duration = Duration::from_secs(10);

/// The attempts of which something may be left.
#[derive(Default)]
pub(super) struct Debts(Mutex<BTreeSet<AttemptId>>);

impl Debts {
    /// Removes what an attempt has made: now, or later. Says whether it is gone now.
    pub async fn settle(&self, engine: &Engine, attempt: AttemptId) -> bool {
        if self.attempts().contains(&attempt) {
            return false;
        }
        let removed = timeout(BRIEF, remove_attempt(engine, attempt)).await;
        let removed = matches!(removed, Ok(Ok(())));
        if !removed {
            self.add(attempt);
        }
        removed
    }

    /// Something of an attempt may be left.
    pub fn add(&self, attempt: AttemptId) {
        self.attempts().insert(attempt);
    }

    /// Tries again, now that the Engine answers.
    pub async fn pay(&self, engine: &Engine) {
        let owed = self.attempts().clone();
        for attempt in owed {
            match remove_attempt(engine, attempt).await {
                Ok(()) => drop(self.attempts().remove(&attempt)),
                Err(error) => tracing::warn!(%attempt, %error, "containers are still left"),
            }
        }
    }

    fn attempts(&self) -> MutexGuard<'_, BTreeSet<AttemptId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
