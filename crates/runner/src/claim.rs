//! Asks for work, and waits for it.

use std::sync::Arc;

use outrider_api::client::ClientError;
use outrider_api::runner::{ClaimRequest, ClaimResponse, RunnerIdentity};
use outrider_executor::Executor;
use outrider_model::Random;
use outrider_model::claim::ClaimedTask;
use outrider_service::Shutdown;
use tokio::time::Instant;

use crate::backoff::{Backoff, chain};
use crate::deliver::Ledger;
use crate::slots::Slots;
use crate::{RunnerError, RunnerSettings, ServerApi};

/// Takes claimed tasks on.
pub trait Employer: Sync {
    /// Begins a task. If that cannot be, gives it back and says why.
    fn begin(&self, task: ClaimedTask) -> impl Future<Output = Result<(), &'static str>> + Send;
}

/// The claim loop of a runner.
pub struct Claims<'a> {
    /// The server.
    pub api: &'a dyn ServerApi,
    /// Who asks.
    pub identity: RunnerIdentity,
    /// What the owner decided.
    pub settings: &'a RunnerSettings,
    /// Room for tasks.
    pub slots: &'a Slots,
    /// In what tasks run.
    pub executor: &'a dyn Executor,
    /// What is not delivered yet.
    pub ledger: &'a Ledger,
    /// When to end.
    pub shutdown: &'a Shutdown,
    /// For pauses.
    pub random: Arc<dyn Random>,
}

impl Claims<'_> {
    /// Claims until the runner drains. One request at a time, in which the server waits for work:
    /// an idle runner does nothing else.
    pub async fn run(&self, employer: &impl Employer) -> Result<(), RunnerError> {
        let mut backoff = Backoff::new("claim tasks", Arc::clone(&self.random));
        while !self.shutdown.is_draining() {
            let Some(next) = self.unless_idle(self.next(&mut backoff)).await else {
                tracing::info!("no work for as long as the idle timeout says: ending");
                self.shutdown.drain();
                break;
            };
            let Some(answer) = next? else { continue };
            if answer.drain {
                tracing::info!("the server asks this runner to drain");
                self.shutdown.drain();
            }
            let any = !answer.tasks.is_empty();
            for task in answer.tasks {
                if let Err(why) = employer.begin(task).await {
                    backoff.failed(&why).await;
                }
            }
            if any && self.settings.single_task {
                self.shutdown.drain();
            }
        }
        Ok(())
    }

    /// None if there was no work for as long as the idle timeout says.
    async fn unless_idle<T>(&self, next: impl Future<Output = T>) -> Option<T> {
        let Some(limit) = self.settings.idle_timeout else {
            return Some(next.await);
        };
        let mut next = std::pin::pin!(next);
        loop {
            let since = self.slots.idle_since().unwrap_or_else(Instant::now);
            if let Ok(answer) = tokio::time::timeout_at(since + limit, &mut next).await {
                return Some(answer);
            }
            if self
                .slots
                .idle_since()
                .is_some_and(|since| since.elapsed() >= limit)
            {
                return None;
            }
        }
    }

    /// The answer to one claim; none where it is time to look around.
    async fn next(&self, backoff: &mut Backoff) -> Result<Option<ClaimResponse>, RunnerError> {
        let claiming = async {
            let room = self.room().await;
            self.unobstructed().await;
            let room = if self.settings.single_task { 1 } else { room };
            let request = ClaimRequest {
                runner: self.identity.clone(),
                slots: u32::try_from(room).unwrap_or(u32::MAX),
                wait_ms: u64::try_from(self.settings.claim_wait.as_millis()).unwrap_or(u64::MAX),
            };
            self.api.claim(&request).await
        };
        let answer = tokio::select! {
            biased;
            () = self.shutdown.draining() => return Ok(None),
            answer = claiming => answer,
        };
        match answer {
            Ok(answer) => {
                backoff.succeeded();
                Ok(Some(answer))
            }
            Err(error) if error.is_transient() => {
                let why = chain(&error);
                tokio::select! {
                    () = backoff.failed(&why) => {}
                    () = self.shutdown.draining() => {}
                }
                Ok(None)
            }
            Err(error) => Err(fatal(error)),
        }
    }

    /// Waits until there is room, and tells how much. A server that is away must not make the
    /// spool grow without limit: with too much undelivered, no work is taken.
    async fn room(&self) -> usize {
        let most_undelivered = 5 * self.settings.slots + 64;
        loop {
            let free = self.slots.free();
            let undelivered = self.ledger.len();
            if free == 0 {
                self.slots.freed.notified().await;
                self.let_others_end().await;
            } else if undelivered >= most_undelivered {
                self.ledger.fewer.notified().await;
            } else {
                return free;
            }
        }
    }

    /// Waits until tasks can start: others may have what this runner cannot do now.
    async fn unobstructed(&self) {
        let mut backoff = Backoff::new("take tasks", Arc::clone(&self.random));
        while let Some(obstacle) = self.executor.obstacle().await {
            backoff.failed(&chain(&obstacle)).await;
        }
        backoff.succeeded();
    }

    /// Short tasks that were claimed together end together: asking for all their slots at once
    /// instead of for the first one saves requests, and costs no time worth the name.
    async fn let_others_end(&self) {
        let mut free = 0;
        while self.slots.free() > free {
            free = self.slots.free();
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn fatal(error: ClientError) -> RunnerError {
    match &error {
        ClientError::Refused {
            status: 401 | 403, ..
        } => RunnerError::NotAllowed(error),
        _ => RunnerError::Refused(error),
    }
}
