//! The life of a task.
//!
//! ```text
//!   Blocked ──unblock──> Queued ──claim──> Claimed ──start──> Running ──cancel──> Stopping
//!      │                  │ ^                │  │               │                    │
//!      │conclude          │ └──release/expire┘  │               │                    │
//!      v                  v                     v               v                    v
//!   Finished <────────────┴──────cancel─────────┴────finish─────┴──finish or expire──┘
//! ```
//!
//! A task that no runner is needed for goes other ways: from `Blocked` to its end (conclude), or
//! by way of `OnHold` (hold, then approve or cancel). One that failed and is to be tried again
//! goes back from `Running` to `Queued` (rerun), as one may that is lost.
//!
//! [`TaskState::apply`] is the only way from one state to another. It is total: every pair of
//! state and event has an answer, and an illegal one is an error, never a silent no-op. Events
//! that a runner may send twice leave the state as it is the second time (promise P9).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, Outcome, RunnerId, Status, Timestamp};

/// The right of one runner to one attempt until a time.
///
/// A lease ends when it is expired by an event, not by the clock alone: a server that was away
/// lets runners renew first (promise P5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The attempt that this lease is for; a later attempt has another lease.
    pub attempt: AttemptId,
    /// Who holds it.
    pub runner: RunnerId,
    /// From when on it may be expired.
    pub until: Timestamp,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Its job requires something that has not ended yet, or waits for its turn.
    Blocked,
    /// It passes as soon as somebody approves it.
    OnHold,
    /// Any runner of its class may claim it.
    Queued,
    /// A runner has claimed it and prepares; no step has started.
    Claimed(Lease),
    /// A step has started.
    Running(Lease),
    /// It runs, and its runner has been told to stop it.
    Stopping(Lease),
    /// It ended.
    Finished {
        /// How it ended.
        outcome: Outcome,
        /// The attempt that ended it; none where the server did.
        attempt: Option<AttemptId>,
    },
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// All that its job requires has ended as required, and it is its turn.
    Unblock,
    /// The same, and now somebody has to approve it.
    Hold,
    /// Somebody approves it.
    Approve,
    /// It ends before any runner had to do with it: there is nothing to run, or what its job
    /// requires ended otherwise.
    Conclude(Outcome),
    /// A runner takes it.
    Claim(Lease),
    /// The runner gives it back before the first step.
    Release(AttemptId),
    /// The first step starts; from now on the lease is the long one.
    Start {
        /// The attempt that starts.
        attempt: AttemptId,
        /// The end of its lease from now on.
        until: Timestamp,
    },
    /// The runner is alive.
    Renew {
        /// The attempt that is alive.
        attempt: AttemptId,
        /// The new end of its lease.
        until: Timestamp,
    },
    /// The runner reports the end.
    Finish {
        /// The attempt that ended.
        attempt: AttemptId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The runner reports a failure, and the task is tried again.
    Rerun(AttemptId),
    /// Somebody wants it to end.
    Cancel,
    /// Its lease ran out.
    Expire {
        /// Whether it may be tried again.
        retry: bool,
    },
}

/// Why an event cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// The event belongs to an attempt that no longer holds the lease.
    #[error("the lease is no longer held: the task is {now}")]
    StaleLease {
        /// Where the task stands now.
        now: Status,
    },
    /// The task has ended; its state never changes again.
    #[error("the task has already ended: {0}")]
    AlreadyFinished(Outcome),
    /// The lease has not run out.
    #[error("the lease is valid for another {} ms", .0.as_millis())]
    LeaseStillValid(Duration),
    /// The event makes no sense in this state.
    #[error("a task that is {state} cannot {event}")]
    NotAllowed {
        /// The state, in a word.
        state: &'static str,
        /// The event, in a word.
        event: &'static str,
    },
}

impl TaskState {
    /// The state after `event`. Equal to `self` where the event changes nothing.
    pub fn apply(self, event: TaskEvent, now: Timestamp) -> Result<Self, IllegalTransition> {
        use TaskEvent as E;
        use TaskState as S;

        if let Some(attempt) = event.attempt() {
            self.check_lease(attempt)?;
        }
        match (self, event) {
            (S::Blocked, E::Unblock) => Ok(S::Queued),
            (S::Blocked, E::Hold) => Ok(S::OnHold),
            (S::Blocked, E::Conclude(outcome)) => Ok(S::ended(outcome)),
            (S::OnHold, E::Approve) => Ok(S::ended(Outcome::Passed)),
            (S::Queued, E::Claim(lease)) => Ok(S::Claimed(lease)),
            (S::Claimed(_), E::Release(_)) => Ok(S::Queued),
            (S::Claimed(_) | S::Running(_), E::Rerun(_)) => Ok(S::Queued),

            (S::Claimed(lease), E::Start { until, .. }) => Ok(S::Running(lease.extended(until))),
            (S::Running(_) | S::Stopping(_), E::Start { .. }) => Ok(self),

            (S::Claimed(lease), E::Renew { until, .. }) => Ok(S::Claimed(lease.extended(until))),
            (S::Running(lease), E::Renew { until, .. }) => Ok(S::Running(lease.extended(until))),
            (S::Stopping(lease), E::Renew { until, .. }) => Ok(S::Stopping(lease.extended(until))),

            (
                S::Claimed(lease) | S::Running(lease) | S::Stopping(lease),
                E::Finish { outcome, .. },
            ) => Ok(S::Finished {
                outcome,
                attempt: Some(lease.attempt),
            }),
            (S::Finished { .. }, E::Finish { .. }) => self.finish_again(event),

            (S::Blocked | S::OnHold | S::Queued | S::Claimed(_), E::Cancel) => {
                Ok(S::ended(Outcome::Canceled))
            }
            (S::Running(lease) | S::Stopping(lease), E::Cancel) => Ok(S::Stopping(lease)),

            (S::Claimed(lease) | S::Running(lease) | S::Stopping(lease), E::Expire { .. })
                if now < lease.until =>
            {
                Err(IllegalTransition::LeaseStillValid(lease.until.since(now)))
            }
            (S::Claimed(_) | S::Running(_), E::Expire { retry: true }) => Ok(S::Queued),
            (S::Claimed(_) | S::Running(_), E::Expire { retry: false }) => {
                Ok(S::ended(Outcome::Lost))
            }
            (S::Stopping(_), E::Expire { .. }) => Ok(S::ended(Outcome::Canceled)),

            (S::Finished { outcome, .. }, _) => Err(IllegalTransition::AlreadyFinished(outcome)),
            (state, event) => Err(IllegalTransition::NotAllowed {
                state: state.word(),
                event: event.word(),
            }),
        }
    }

    /// The lease, while somebody holds one.
    pub const fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Claimed(lease) | Self::Running(lease) | Self::Stopping(lease) => Some(lease),
            Self::Blocked | Self::OnHold | Self::Queued | Self::Finished { .. } => None,
        }
    }

    /// The status that people see, and that counts in the roll-up.
    pub const fn status(&self) -> Status {
        match self {
            Self::Blocked => Status::Blocked,
            Self::OnHold => Status::OnHold,
            Self::Queued => Status::Queued,
            Self::Claimed(_) | Self::Running(_) | Self::Stopping(_) => Status::Running,
            Self::Finished { outcome, .. } => Status::Finished(*outcome),
        }
    }

    /// Whether this attempt holds the lease, or ended the task with it.
    fn check_lease(&self, attempt: AttemptId) -> Result<(), IllegalTransition> {
        let holder = match self {
            Self::Finished { attempt, .. } => *attempt,
            _ => self.lease().map(|lease| lease.attempt),
        };
        if holder == Some(attempt) {
            return Ok(());
        }
        Err(IllegalTransition::StaleLease { now: self.status() })
    }

    /// A repeated finish says the same as the first, or is an error.
    fn finish_again(self, event: TaskEvent) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Finished { outcome: was, .. }, TaskEvent::Finish { outcome, .. })
                if was != outcome =>
            {
                Err(IllegalTransition::AlreadyFinished(was))
            }
            _ => Ok(self),
        }
    }

    /// Ended by the server: no attempt can say that it finished the task.
    const fn ended(outcome: Outcome) -> Self {
        Self::Finished {
            outcome,
            attempt: None,
        }
    }

    /// The state in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::OnHold => "on hold",
            Self::Queued => "queued",
            Self::Claimed(_) => "claimed",
            Self::Running(_) => "running",
            Self::Stopping(_) => "stopping",
            Self::Finished { .. } => "finished",
        }
    }
}

impl TaskEvent {
    /// The attempt whose lease this event needs.
    const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Release(attempt)
            | Self::Rerun(attempt)
            | Self::Start { attempt, .. }
            | Self::Renew { attempt, .. }
            | Self::Finish { attempt, .. } => Some(*attempt),
            Self::Unblock
            | Self::Hold
            | Self::Approve
            | Self::Conclude(_)
            | Self::Claim(_)
            | Self::Cancel
            | Self::Expire { .. } => None,
        }
    }

    /// The event in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unblock => "unblock",
            Self::Hold => "hold",
            Self::Approve => "approve",
            Self::Conclude(_) => "conclude",
            Self::Claim(_) => "claim",
            Self::Release(_) => "release",
            Self::Start { .. } => "start",
            Self::Renew { .. } => "renew",
            Self::Finish { .. } => "finish",
            Self::Rerun(_) => "rerun",
            Self::Cancel => "cancel",
            Self::Expire { .. } => "expire",
        }
    }
}

impl Lease {
    /// A lease never gets shorter: heartbeats may arrive out of order.
    fn extended(self, until: Timestamp) -> Self {
        Self {
            until: self.until.max(until),
            ..self
        }
    }
}
