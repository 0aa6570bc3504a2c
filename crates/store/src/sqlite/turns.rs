//! Taking turns: a job with a serial group begins once it is the first in the line of that group.
//!
//! It keeps its turn until it ends. A lock is a turn in the group of that name which outlives its job:
//! until a job of the same workflow gives it back, or that workflow ends. Who comes first has its
//! turn: nobody can have it twice.

use outrider_model::plan::JobType;
use outrider_model::reason::{EndReason, TurnHolder, WaitReason};
use outrider_model::{JobId, Outcome, PipelineId, Status, TaskEvent, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::codec::job_type;
use super::fault::Res;
use super::rows::{Millis, opt_time};
use super::tx::Tx;
use crate::{LONGEST_TURN_WAIT, Overdue};

impl Tx<'_> {
    /// All that a job requires has ended as required: it begins, or waits for its turn.
    pub fn take_turn(&mut self, id: JobId) -> Res<()> {
        let job = self.job(id)?;
        let (pipeline, job_type) = (job.pipeline, job.job_type);
        let group = job.serial_group.clone();
        let Some(group) = group.filter(|_| job_type != JobType::Unlock) else {
            return self.begin(id);
        };
        if let Some(by) = self.newer_in_line(&group, pipeline)? {
            return self.conclude(id, Outcome::NotRun, &EndReason::Overtaken { group, by });
        }
        let first = self.first_in_line(&group)?.is_none();
        let seq = self.next();
        let until = (!first).then_some(Millis(self.now + LONGEST_TURN_WAIT));
        let mut join = self.db.prepare_cached(
            "INSERT INTO turn (serial_group, seq, job, until) VALUES (?1, ?2, ?3, ?4)",
        )?;
        join.execute((&group, seq, id.as_bytes(), until))?;
        if first { self.begin(id) } else { Ok(()) }
    }

    /// It is a job's turn: it is queued, or does what it does without a runner.
    fn begin(&mut self, id: JobId) -> Res<()> {
        let event = match self.job(id)?.job_type {
            JobType::Build => TaskEvent::Unblock,
            JobType::Approval => TaskEvent::Hold,
            JobType::NoOp | JobType::Lock | JobType::Unlock => TaskEvent::Conclude(Outcome::Passed),
            JobType::Release => {
                return self.conclude(id, Outcome::Failed, &EndReason::ReleaseElsewhere);
            }
        };
        self.each_task(id, |tx, held| {
            tx.apply(held, event)?;
            held.task.save(tx.db)
        })
    }

    /// A job ended: who waits behind it in its line comes up, unless it took a lock.
    pub fn end_turn(&mut self, id: JobId) -> Res<()> {
        let job = self.job(id)?;
        let Some(group) = job.serial_group.clone() else {
            return Ok(());
        };
        let (pipeline, workflow) = (job.pipeline, job.workflow);
        match (job.job_type, job.tally.status()) {
            (JobType::Lock, Status::Finished(Outcome::Passed)) => Ok(()),
            (JobType::Unlock, _) => self.give_back(pipeline, workflow, Some(&group)),
            _ => self.leave_line(id),
        }
    }

    /// A workflow gives back its locks; that of one name, if given.
    pub fn give_back(
        &mut self,
        pipeline: PipelineId,
        workflow: usize,
        name: Option<&str>,
    ) -> Res<()> {
        let mut find = self.db.prepare_cached(
            "SELECT t.job FROM turn t JOIN job j ON j.id = t.job \
             WHERE j.pipeline = ?1 AND j.workflow = ?2 AND j.type = ?3 AND t.until IS NULL \
             AND t.serial_group = coalesce(?4, t.serial_group)",
        )?;
        let lock = JobType::Lock as u8;
        let rows = find.query_map((pipeline.as_bytes(), workflow, lock, name), |row| {
            Ok(JobId::from_bytes(row.get(0)?))
        })?;
        for job in rows.collect::<Result<Vec<_>, _>>()? {
            self.leave_line(job)?;
        }
        Ok(())
    }

    fn leave_line(&mut self, id: JobId) -> Res<()> {
        let mut leave = self
            .db
            .prepare_cached("DELETE FROM turn WHERE job = ?1 RETURNING serial_group, until")?;
        let left = leave.query_row([id.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, opt_time(row, 1)?))
        });
        let Some((group, None)) = left.optional()? else {
            return Ok(());
        };
        let Some(next) = self.first_in_line(&group)? else {
            return Ok(());
        };
        let mut come_up = self
            .db
            .prepare_cached("UPDATE turn SET until = NULL WHERE job = ?1")?;
        come_up.execute([next.as_bytes()])?;
        self.begin(next)
    }

    fn first_in_line(&self, group: &str) -> Res<Option<JobId>> {
        let mut find = self
            .db
            .prepare_cached("SELECT job FROM turn WHERE serial_group = ?1 ORDER BY seq LIMIT 1")?;
        let first = find.query_row([group], |row| Ok(JobId::from_bytes(row.get(0)?)));
        Ok(first.optional()?)
    }

    /// The number of a newer pipeline of the same project that is in this line.
    fn newer_in_line(&self, group: &str, pipeline: PipelineId) -> Res<Option<u64>> {
        let mut find = self.db.prepare_cached(
            "SELECT max(other.number) FROM turn t JOIN job j ON j.id = t.job \
             JOIN pipeline other ON other.id = j.pipeline \
             JOIN pipeline this ON this.id = ?2 AND this.project = other.project \
             WHERE t.serial_group = ?1 AND other.number > this.number",
        )?;
        Ok(find.query_row((group, pipeline.as_bytes()), |row| row.get(0))?)
    }

    /// Cancels jobs that have waited too long for their turn.
    pub fn end_long_waits(&mut self, limit: u32) -> Res<Overdue> {
        let mut overdue = Overdue::default();
        for (job, group) in self.overdue_turns(limit)? {
            let limit = LONGEST_TURN_WAIT;
            let reason = EndReason::NoTurn { group, limit };
            self.each_task(job, |tx, held| {
                tx.note_reason(held, &reason)?;
                tx.apply(held, TaskEvent::Cancel)?;
                held.task.save(tx.db)
            })?;
            overdue.ended += 1;
        }
        self.settle()?;
        overdue.woken = self.take_woken()?;
        let mut next = self
            .db
            .prepare_cached("SELECT min(until) FROM turn WHERE until IS NOT NULL")?;
        overdue.next = next.query_row([], |row| opt_time(row, 0))?;
        Ok(overdue)
    }

    fn overdue_turns(&self, limit: u32) -> Res<Vec<(JobId, String)>> {
        let mut find = self.db.prepare_cached(
            "SELECT job, serial_group FROM turn WHERE until <= ?1 ORDER BY until LIMIT ?2",
        )?;
        let rows = find.query_map((Millis(self.now), limit), |row| {
            Ok((JobId::from_bytes(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Why a job waits for its turn, if that is what it waits for.
pub fn wait(db: &Connection, job: JobId) -> Res<Option<WaitReason>> {
    let mut find = db.prepare_cached(
        "SELECT serial_group, until, (SELECT count(*) FROM turn o \
         WHERE o.serial_group = t.serial_group AND o.seq < t.seq) FROM turn t WHERE job = ?1 AND until IS NOT NULL",
    )?;
    let place = find.query_row([job.as_bytes()], |row| {
        Ok((row.get::<_, String>(0)?, opt_time(row, 1)?, row.get(2)?))
    });
    let Some((group, Some(until), before)) = place.optional()? else {
        return Ok(None);
    };
    turn(db, group, until, before).map(Some)
}

fn turn(db: &Connection, group: String, until: Timestamp, before: u32) -> Res<WaitReason> {
    let mut find = db.prepare_cached(
        "SELECT o.name, p.number, j.id, j.name, j.type FROM turn t JOIN job j ON j.id = t.job \
         JOIN pipeline p ON p.id = j.pipeline JOIN project o ON o.id = p.project \
         WHERE t.serial_group = ?1 ORDER BY t.seq LIMIT 1",
    )?;
    let (project, pipeline, job, name, code) = find.query_row([&group], |row| {
        let job = JobId::from_bytes(row.get(2)?);
        Ok((row.get(0)?, row.get(1)?, job, row.get(3)?, row.get(4)?))
    })?;
    let holder = TurnHolder {
        project,
        pipeline,
        job,
        name,
        job_type: job_type(code)?,
    };
    Ok(WaitReason::Turn {
        group,
        holder,
        ahead: before.saturating_sub(1),
        until,
    })
}
