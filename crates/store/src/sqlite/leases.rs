//! Renewing leases, and ending those that ran out.

use outrider_model::reason::EndReason;
use outrider_model::{AttemptId, Outcome, RunnerId, TaskEvent, TaskId, TaskState, Timestamp};

use super::fault::{Fault, Res};
use super::ids::job_of;
use super::rows::{AttemptRow, Held, Millis, opt_time, read_reason, reason_text, time};
use super::tx::Tx;
use crate::{Expired, HeldLease, LeaseAnswer, LeaseDurations, MAX_CLAIMS_WITHOUT_START};

impl Tx<'_> {
    /// A runner is alive and holds these leases.
    pub fn renew(
        &mut self,
        runner: RunnerId,
        leases: &[HeldLease],
        durations: LeaseDurations,
    ) -> Res<Vec<LeaseAnswer>> {
        let mut seen = self.db.prepare_cached(
            "UPDATE runner SET last_contact = max(last_contact, ?2) WHERE id = ?1",
        )?;
        seen.execute((runner.as_bytes(), Millis(self.now)))?;
        leases
            .iter()
            .map(|lease| self.renew_one(*lease, durations))
            .collect()
    }

    fn renew_one(&mut self, lease: HeldLease, durations: LeaseDurations) -> Res<LeaseAnswer> {
        let Some((mut held, attempt)) = self.leased(lease.task, &lease.lease.hash())? else {
            return Ok(LeaseAnswer::Stale);
        };
        let (answer, length) = match held.state()? {
            TaskState::Claimed(_) => (LeaseAnswer::Held, durations.claimed),
            TaskState::Running(_) => (LeaseAnswer::Held, durations.running),
            TaskState::Stopping(_) => (LeaseAnswer::Stop, durations.running),
            _ => return Ok(LeaseAnswer::Stale),
        };
        let renewed = self.apply(
            &mut held,
            TaskEvent::Renew {
                attempt,
                until: self.now + length,
            },
        );
        if renewed? && let Some(attempt) = &held.attempt {
            // Only the lease: a heartbeat does not rewrite what else is known of the attempt.
            let mut renew = self
                .db
                .prepare_cached("UPDATE attempt SET lease_until = ?2 WHERE id = ?1")?;
            renew.execute((attempt.id.as_bytes(), Millis(attempt.until)))?;
        }
        Ok(answer)
    }

    /// Ends leases that ran out.
    pub fn expire(&mut self, limit: u32) -> Res<Expired> {
        let mut expired = Expired::default();
        for task in self.overdue(limit)? {
            let held = Held::load(self.db, task)?;
            let mut held = held.ok_or_else(|| Fault::damaged("a held task is not there"))?;
            expired.touched.extend(self.expire_one(&mut held)?);
            match held.state()? {
                TaskState::Queued => expired.requeued += 1,
                _ => expired.ended += 1,
            }
        }
        self.settle()?;
        expired.woken = self.take_woken()?;
        expired.next = self.next_end()?;
        Ok(expired)
    }

    fn overdue(&self, limit: u32) -> Res<Vec<TaskId>> {
        let mut statement = self.db.prepare_cached(
            "SELECT task FROM attempt WHERE ended_at IS NULL AND lease_until <= ?1 \
             ORDER BY lease_until, runner LIMIT ?2",
        )?;
        let rows = statement.query_map((Millis(self.now), limit), |row| {
            Ok(TaskId::from_bytes(row.get(0)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn next_end(&self) -> Res<Option<Timestamp>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT min(lease_until) FROM attempt WHERE ended_at IS NULL")?;
        Ok(statement.query_row([], |row| opt_time(row, 0))?)
    }

    fn expire_one(&mut self, held: &mut Held) -> Res<Option<AttemptId>> {
        let Some(attempt) = &held.attempt else {
            return Err(Fault::damaged("a held task has no attempt"));
        };
        let silent = self.silence(attempt)?;
        let before = held.state()?;
        let (retry, reason) = match before {
            TaskState::Claimed(_) => {
                held.task.silent += 1;
                let claims = held.task.silent;
                (
                    claims < MAX_CLAIMS_WITHOUT_START,
                    EndReason::NeverStarted { claims },
                )
            }
            TaskState::Running(_) => (self.job(job_of(held.task.id))?.retry, silent.clone()),
            // Whoever canceled it is known since then.
            _ => (
                false,
                read_reason(held.task.reason.as_deref())?.unwrap_or(silent.clone()),
            ),
        };
        self.apply(held, TaskEvent::Expire { retry })?;
        let outcome = held.state()?.status().outcome();
        if outcome.is_some() {
            self.note_reason(held, &reason)?;
        }
        let given_back = outcome.is_none() && matches!(before, TaskState::Claimed(_));
        let outcome = (!given_back).then_some(outcome.unwrap_or(Outcome::Lost));
        if let Some(attempt) = &mut held.attempt {
            attempt.mark = Some(mark(&silent, before));
            attempt.reason = outcome.map(|_| reason_text(&reason)).transpose()?;
        }
        self.end_attempt(held, outcome)?;
        held.task.save(self.db)?;
        Ok(held.task.attempt)
    }

    /// That the runner of this attempt fell silent, and when it was last heard of.
    fn silence(&self, attempt: &AttemptRow) -> Res<EndReason> {
        let mut statement = self
            .db
            .prepare_cached("SELECT last_contact FROM runner WHERE id = ?1")?;
        let mut rows = statement.query([attempt.runner.as_bytes()])?;
        let heard = rows
            .next()?
            .map(|row| time(row, 0))
            .transpose()?
            .unwrap_or_default();
        // It was there when it claimed the task and when it started it.
        let last_contact = heard
            .max(attempt.claimed_at)
            .max(attempt.started_at.unwrap_or_default());
        Ok(EndReason::RunnerSilent {
            runner: attempt.runner_name.clone(),
            last_contact,
        })
    }
}

/// What stands at the end of a log that its runner did not end.
fn mark(silent: &EndReason, state: TaskState) -> String {
    let EndReason::RunnerSilent {
        runner,
        last_contact,
    } = silent
    else {
        return String::new();
    };
    let when = match state {
        TaskState::Claimed(_) => " before the first step",
        TaskState::Stopping(_) => " while it stopped the task",
        _ => "",
    };
    format!(
        "[outrider] The log ends here: runner {runner} fell silent{when} (last contact {last_contact}).\n"
    )
}
