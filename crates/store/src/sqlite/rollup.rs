//! Transitions, and what follows from them: a task's change is counted in its job, the job's in its
//! workflow, the workflow's in its pipeline; a job that ends sets off those that require it.

use outrider_model::reason::EndReason;
use outrider_model::{JobId, Outcome, Status, TaskEvent, TaskId};

use super::fault::{Fault, Res};
use super::ids::{after_tasks_of, job_of};
use super::rows::{Held, reason_text};
use super::tx::{Ended, Topic, Tx};
use crate::EventSubject;

impl Tx<'_> {
    /// Lets `event` happen to a task; whether it changed anything. The rows are changed but not
    /// yet saved; all that follows from it is noted.
    pub fn apply(&mut self, held: &mut Held, event: TaskEvent) -> Res<bool> {
        let before = held.state()?;
        let after = before.apply(event, self.now)?;
        if after == before {
            return Ok(false);
        }
        held.set_state(after);
        if after.status() == Status::Queued && held.task.seq.is_none() {
            held.task.seq = Some(self.next());
        }
        if before.status() != after.status() {
            self.shift_task(
                &held.task.id,
                held.task.class,
                before.status(),
                after.status(),
            )?;
        }
        Ok(true)
    }

    /// A task's status changed.
    fn shift_task(
        &mut self,
        task: &TaskId,
        class: Option<i64>,
        from: Status,
        to: Status,
    ) -> Res<()> {
        let (id, now) = (job_of(*task), self.now);
        self.edges.push((from, to));
        if let Some(class) = class {
            self.count(class, from, to, 1);
            if to == Status::Queued {
                self.wake(class, 1);
            }
        }
        let job = self.job(id)?;
        let before = job.tally.status();
        job.tally.shift(from, to)?;
        job.changed = true;
        if to == Status::Queued {
            job.queued_at.get_or_insert(now);
        }
        let (after, pipeline) = (job.tally.status(), job.pipeline);
        if matches!(to, Status::Running | Status::Finished(_)) {
            self.pipeline(pipeline)?
                .items
                .push((EventSubject::Task(id, *task), to));
        }
        if before != after {
            self.shift_job(id, before, after)
        } else {
            Ok(())
        }
    }

    /// A job's status changed.
    fn shift_job(&mut self, id: JobId, from: Status, to: Status) -> Res<()> {
        let now = self.now;
        let job = self.job(id)?;
        let (pipeline_id, workflow, ended) = (job.pipeline, job.workflow, to.outcome().is_some());
        if ended {
            job.finished_at = Some(now);
            if job.required || job.serial_group.is_some() {
                self.ended.push_back(Ended::Job(id));
            }
            self.tell(Topic::JobCompleted, *id.as_bytes());
        }
        let pipeline = self.pipeline(pipeline_id)?;
        let before = pipeline.status();
        let tally = pipeline
            .tallies
            .get_mut(workflow)
            .ok_or_else(|| Fault::damaged("a job has no workflow"))?;
        tally.shift(from, to)?;
        let workflow_ended = tally.status().outcome().is_some();
        pipeline.changed = true;
        pipeline.items.push((EventSubject::Job(id), to));
        let after = pipeline.status();
        if workflow_ended && pipeline.locks {
            self.ended.push_back(Ended::Workflow(pipeline_id, workflow));
        }
        if before == after {
            return Ok(());
        }
        let pipeline = self.pipeline(pipeline_id)?;
        pipeline.items.push((EventSubject::Pipeline, after));
        if after.outcome().is_some() {
            pipeline.finished_at = Some(now);
            self.tell(Topic::PipelineCompleted, *pipeline_id.as_bytes());
        }
        Ok(())
    }

    /// Keeps why a task did not pass, for itself and for its job, if it is the job's first.
    pub fn note_reason(&mut self, held: &mut Held, reason: &EndReason) -> Res<()> {
        let text = reason_text(reason)?;
        let job = self.job(job_of(held.task.id))?;
        if job.reason.is_none() {
            job.reason = Some(text.clone());
            job.changed = true;
        }
        held.task.reason = Some(text);
        Ok(())
    }

    /// Sets off what waits for what has ended, until nothing more follows.
    pub fn settle(&mut self) -> Res<()> {
        while let Some(ended) = self.ended.pop_front() {
            match ended {
                Ended::Job(id) => {
                    self.settle_dependents(id)?;
                    self.end_turn(id)?;
                }
                Ended::Workflow(pipeline, workflow) => self.give_back(pipeline, workflow, None)?,
            }
        }
        Ok(())
    }

    /// What requires a job that ended goes on, or never will.
    fn settle_dependents(&mut self, required: JobId) -> Res<()> {
        let job = self.job(required)?;
        let (status, is_required) = (job.tally.status(), job.required);
        if !is_required {
            return Ok(());
        }
        let outcome = status
            .outcome()
            .ok_or_else(|| Fault::damaged("a job that ended has no outcome"))?;
        for (dependent, accepts) in self.dependents(required)? {
            if accepts & (1 << status.code()) != 0 {
                self.satisfy(dependent)?;
            } else {
                self.skip(dependent, required, outcome)?;
            }
        }
        Ok(())
    }

    /// One requirement of this job is satisfied.
    fn satisfy(&mut self, id: JobId) -> Res<()> {
        let job = self.job(id)?;
        job.waits = job.waits.saturating_sub(1);
        job.changed = true;
        if job.waits > 0 || job.tally.status() != Status::Blocked {
            return Ok(());
        }
        self.take_turn(id)
    }

    /// One requirement of this job can never be satisfied.
    fn skip(&mut self, id: JobId, required: JobId, outcome: Outcome) -> Res<()> {
        if self.job(id)?.tally.status() != Status::Blocked {
            return Ok(());
        }
        let mut name = self
            .db
            .prepare_cached("SELECT name FROM job WHERE id = ?1")?;
        let job = name.query_row([required.as_bytes()], |row| row.get(0))?;
        let reason = EndReason::RequirementNotMet { job, outcome };
        self.conclude(id, Outcome::NotRun, &reason)
    }

    /// A job ends before any runner had to do with it.
    pub fn conclude(&mut self, id: JobId, outcome: Outcome, reason: &EndReason) -> Res<()> {
        self.each_task(id, |tx, held| {
            tx.note_reason(held, reason)?;
            tx.apply(held, TaskEvent::Conclude(outcome))?;
            held.task.save(tx.db)
        })
    }

    /// Does something with every task of a job that has not ended, by index.
    pub fn each_task(
        &mut self,
        job: JobId,
        mut act: impl FnMut(&mut Self, &mut Held) -> Res<()>,
    ) -> Res<()> {
        for id in self.task_ids(job)? {
            let held = Held::load(self.db, id)?;
            let mut held = held.ok_or_else(|| Fault::not_found("task", id))?;
            if held.state()?.status().outcome().is_none() {
                act(self, &mut held)?;
            }
        }
        Ok(())
    }

    fn task_ids(&self, job: JobId) -> Res<Vec<TaskId>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT id FROM task WHERE id > ?1 AND id < ?2 ORDER BY id")?;
        let rows = statement.query_map((job.as_bytes(), after_tasks_of(job)), |row| {
            Ok(TaskId::from_bytes(row.get(0)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn dependents(&self, required: JobId) -> Res<Vec<(JobId, u32)>> {
        let mut statement = self
            .db
            .prepare_cached("SELECT dependent, accepts FROM requirement WHERE required = ?1")?;
        let rows = statement.query_map([required.as_bytes()], |row| {
            Ok((JobId::from_bytes(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
