//! A scripted executor: no processes, no files, exact control.
//!
//! It runs steps that are written in a tiny language (see [`Command`]), so that tests of the whole
//! system are configs like any other. Time is tokio's, so tests may pause it. It is strict: what a
//! caller does against the contract of [`Executor`] is an error and is kept as a
//! [violation](FakeExecutor::violations).

mod command;
mod environment;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use outrider_model::AttemptId;
use serde::{Deserialize, Serialize};

pub use self::command::Command;
use self::environment::{FakeEnvironment, Life, Stage};
use crate::{Environment, Executor, ExecutorError, Finding, Handle, PrepareRequest, Verdict};

/// Names a fake environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeHandle {
    /// Whose it is.
    pub attempt: AttemptId,
}

/// The executor. Clones share everything.
#[derive(Clone, Default)]
pub struct FakeExecutor {
    world: Arc<World>,
}

#[derive(Default)]
struct World {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: HashMap<AttemptId, Live>,
    /// All attempts that were ever prepared, unless nobody wants to know.
    prepared: HashSet<AttemptId>,
    keeps_no_history: bool,
    recovered: Vec<AttemptId>,
    violations: Vec<String>,
    refusals: Vec<ExecutorError>,
}

struct Live {
    slot: usize,
    life: Arc<Life>,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn violation(&self, what: String) -> ExecutorError {
        let error = ExecutorError::infrastructure(format!("contract violated: {what}"), None);
        self.state().violations.push(what);
        error
    }

    fn forget(&self, attempt: AttemptId) {
        self.state().live.remove(&attempt);
    }
}

impl FakeExecutor {
    /// An executor that remembers every attempt, to notice when one is prepared twice.
    pub fn new() -> Self {
        Self::default()
    }

    /// An executor whose memory does not grow with the number of attempts, for measurements.
    pub fn without_history() -> Self {
        let executor = Self::default();
        executor.world.state().keeps_no_history = true;
        executor
    }

    /// What callers did against the contract, in words, oldest first. Empty if all is well.
    pub fn violations(&self) -> Vec<String> {
        self.world.state().violations.clone()
    }

    /// The attempts whose environments were prepared and neither cleaned up nor recovered.
    pub fn live_environments(&self) -> Vec<AttemptId> {
        let mut live: Vec<_> = self.world.state().live.keys().copied().collect();
        live.sort_unstable();
        live
    }

    /// The attempts for which `recover` was called, in that order.
    pub fn recovered(&self) -> Vec<AttemptId> {
        self.world.state().recovered.clone()
    }

    /// Makes the next `prepare` fail with this error. Several are used up in order.
    pub fn refuse_next(&self, error: ExecutorError) {
        self.world.state().refusals.push(error);
    }
}

#[async_trait]
impl Executor for FakeExecutor {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn check(&self) -> Vec<Finding> {
        vec![Finding {
            subject: "fake executor".to_owned(),
            verdict: Verdict::Good,
            detail: "needs nothing".to_owned(),
            advice: None,
        }]
    }

    async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<Arc<dyn Environment>, ExecutorError> {
        let PrepareRequest { attempt, slot, .. } = request;
        let mut state = self.world.state();
        if !state.refusals.is_empty() {
            return Err(state.refusals.remove(0));
        }
        let repeated = state.live.contains_key(&attempt)
            || (!state.keeps_no_history && !state.prepared.insert(attempt));
        let rival = state.live.iter().find(|(_, live)| live.slot == slot);
        let violation = match rival {
            _ if repeated => Some(format!("prepare: {attempt:?} was prepared before")),
            Some((rival, _)) => Some(format!("prepare: slot {slot} is taken by {rival:?}")),
            None => None,
        };
        if let Some(violation) = violation {
            drop(state);
            return Err(self.world.violation(violation));
        }
        let life = Arc::new(Life::default());
        let live = Live {
            slot,
            life: Arc::clone(&life),
        };
        state.live.insert(attempt, live);
        drop(state);
        let directory = PathBuf::from(format!("/nonexistent/outrider-fake/{attempt}"));
        let world = Arc::clone(&self.world);
        let working_directory = request.working_directory;
        Ok(Arc::new(FakeEnvironment {
            world,
            life,
            attempt,
            directory,
            working_directory,
        }))
    }

    async fn recover(&self, handle: &Handle) -> Result<(), ExecutorError> {
        let Handle::Fake(FakeHandle { attempt }) = handle else {
            let what = format!("recover: {handle:?} is not of the fake executor");
            return Err(self.world.violation(what));
        };
        let left = {
            let mut state = self.world.state();
            state.recovered.push(*attempt);
            state.live.remove(attempt)
        };
        if let Some(live) = left {
            live.life.advance(Stage::Gone);
            live.life.wait_until_idle().await;
        }
        Ok(())
    }
}
