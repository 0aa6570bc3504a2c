//! Approving.

use outrider_model::plan::JobType;
use outrider_model::{JobId, Outcome, Status, TaskEvent};

use super::explain::why_blocked;
use super::fault::{Fault, Res};
use super::tx::Tx;
use super::views;
use crate::Woken;

impl Tx<'_> {
    /// A job that is on hold passes. One that has passed already stays as it is.
    pub fn approve(&mut self, id: JobId, by: &str) -> Res<Woken> {
        let job = self.job(id)?;
        let (job_type, status) = (job.job_type, job.tally.status());
        match (job_type, status) {
            (JobType::Approval, Status::OnHold) => {}
            (JobType::Approval, Status::Finished(Outcome::Passed)) => return Ok(Woken::default()),
            _ => return Err(self.no_approval(id, job_type, status)?),
        }
        job.approved_by = Some(by.to_owned());
        self.each_task(id, |tx, held| {
            tx.apply(held, TaskEvent::Approve)?;
            held.task.save(tx.db)
        })?;
        self.settle()?;
        self.take_woken()
    }

    /// Why a job cannot be approved.
    fn no_approval(&self, id: JobId, job_type: JobType, status: Status) -> Res<Fault> {
        let (job, _) = views::job_summary(self.db, id)?;
        let name = &job.name;
        if job_type != JobType::Approval {
            let what = job_type.as_str();
            return Ok(Fault::conflict(format!(
                "job \"{name}\" is of type {what}: only approval jobs are approved"
            )));
        }
        Ok(Fault::conflict(match status {
            Status::Finished(outcome) => {
                format!("job \"{name}\" has ended ({outcome}) and can no longer be approved")
            }
            _ => format!(
                "job \"{name}\" cannot be approved yet: it {}",
                why_blocked(self.db, id)?
            ),
        }))
    }
}
