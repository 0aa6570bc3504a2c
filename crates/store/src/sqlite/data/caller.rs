//! Who makes a call, and what it may touch.

use outrider_model::{AttemptId, IllegalTransition, JobId, TaskId};
use rusqlite::{Connection, OptionalExtension};

use super::super::fault::{Fault, Res};
use super::super::ids::job_of;
use super::super::rows::Held;
use crate::{HeldLease, Scope};

/// A lease as the attempt's row has it.
pub struct Fence {
    task: TaskId,
    lease: [u8; 16],
}

impl From<HeldLease> for Fence {
    fn from(held: HeldLease) -> Self {
        Self {
            task: held.task,
            lease: held.lease.hash(),
        }
    }
}

/// The attempt that holds the lease.
pub struct Caller {
    pub attempt: AttemptId,
    pub job: JobId,
    pub scope: Scope,
}

impl Caller {
    /// Whoever holds this lease. It is an error if it is held no more.
    pub fn find(db: &Connection, by: &Fence) -> Res<Self> {
        let held = Held::load(db, by.task)?.ok_or_else(|| Fault::not_found("task", by.task))?;
        let state = held.state()?;
        let leased = held.attempt.filter(|row| row.lease == by.lease);
        let Some(attempt) = leased.filter(|_| state.lease().is_some()) else {
            let now = state.status();
            return Err(IllegalTransition::StaleLease { now }.into());
        };
        let job = job_of(by.task);
        Ok(Self {
            attempt: attempt.id,
            job,
            scope: scope_of(db, job)?,
        })
    }

    /// The scopes that it may read, its own first.
    pub fn readable(&self) -> impl Iterator<Item = Scope> {
        let trusted = Scope {
            untrusted: false,
            ..self.scope
        };
        [Some(self.scope), self.scope.untrusted.then_some(trusted)]
            .into_iter()
            .flatten()
    }
}

/// Whose data the tasks of a job make.
fn scope_of(db: &Connection, job: JobId) -> Res<Scope> {
    let mut find = db.prepare_cached(
        "SELECT p.project, coalesce(p.trigger ->> '$.untrusted', 0) \
         FROM job j JOIN pipeline p ON p.id = j.pipeline WHERE j.id = ?1",
    )?;
    find.query_row([job.as_bytes()], |row| {
        Ok(Scope {
            project: row.get(0)?,
            untrusted: row.get(1)?,
        })
    })
    .optional()?
    .ok_or_else(|| Fault::not_found("job", job))
}
