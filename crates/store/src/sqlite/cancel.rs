//! Canceling.

use outrider_model::reason::EndReason;
use outrider_model::{JobId, Outcome, PipelineId, TaskEvent, TaskState};

use super::fault::Res;
use super::rows::{Held, reason_text};
use super::tx::Tx;
use super::views;
use crate::{CancelTarget, Canceled};

impl Tx<'_> {
    /// Ends what has not started, and marks what has as to be stopped.
    pub fn cancel(&mut self, target: CancelTarget, by: &str) -> Res<Canceled> {
        let jobs = match target {
            CancelTarget::Pipeline(id) => self.open_jobs(id)?,
            CancelTarget::Job(id) => {
                self.job(id)?;
                vec![id]
            }
        };
        let reason = EndReason::Canceled { by: by.to_owned() };
        let mut canceled = Canceled::default();
        for job in jobs {
            self.each_task(job, |tx, held| tx.cancel_task(held, &reason, &mut canceled))?;
        }
        self.settle()?;
        canceled.woken = self.take_woken()?;
        Ok(canceled)
    }

    fn cancel_task(
        &mut self,
        held: &mut Held,
        reason: &EndReason,
        canceled: &mut Canceled,
    ) -> Res<()> {
        let before = held.state()?;
        if let TaskState::Running(lease) | TaskState::Stopping(lease) = before {
            canceled.stopping.push((held.task.id, lease.runner));
        }
        if matches!(before, TaskState::Running(_)) {
            held.task.reason = Some(reason_text(reason)?);
        }
        if !matches!(before, TaskState::Running(_) | TaskState::Stopping(_)) {
            self.note_reason(held, reason)?;
            canceled.ended += 1;
        }
        if !self.apply(held, TaskEvent::Cancel)? {
            return Ok(());
        }
        if let (TaskState::Claimed(_), Some(attempt)) = (before, &mut held.attempt) {
            attempt.reason = Some(reason_text(reason)?);
            self.end_attempt(held, Some(Outcome::Canceled))?;
        }
        held.task.save(self.db)
    }

    /// The jobs of a pipeline that have not ended.
    fn open_jobs(&self, pipeline: PipelineId) -> Res<Vec<JobId>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id FROM job WHERE id >= ?1 AND id <= ?2 AND finished_at IS NULL ORDER BY id",
        )?;
        let mut open = Vec::new();
        for range in views::job_ranges(self.db, pipeline)? {
            let rows = statement.query_map(range, |row| Ok(JobId::from_bytes(row.get(0)?)))?;
            open.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(open)
    }
}
