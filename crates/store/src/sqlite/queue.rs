//! Claiming tasks, and giving them back.

use std::collections::HashMap;
use std::sync::Arc;

use outrider_model::claim::ClaimedTask;
use outrider_model::secret::{ContinuationKey, LeaseToken};
use outrider_model::{
    AttemptId, JobId, Lease, PipelineId, TaskEvent, TaskId, Timestamp, WorkflowId,
};
use rusqlite::Connection;
use serde_json::value::RawValue;

use super::fault::{Fault, Res};
use super::ids::{index_of, job_of};
use super::rows::{Held, Millis, opt_time};
use super::tx::{Tx, class_id};
use crate::{Claim, HeldLease, QueueDepth, StoreError, Woken};

/// A claimed task whose payload is not put together yet: that is not the writer's work.
pub type Unpacked = ClaimedTask<Arc<Parts>>;

/// What the payload of a job's tasks is made of.
#[derive(Clone)]
pub struct Parts {
    pipeline: PipelineId,
    pipeline_number: u64,
    workflow: WorkflowId,
    workflow_name: String,
    job: JobId,
    job_name: String,
    job_number: u64,
    parallelism: u32,
    trigger: String,
    spec: String,
    /// Whether the pipeline waits to be continued.
    setup: bool,
    /// Whether there are secrets for it.
    secrets: bool,
}

impl Parts {
    /// The JSON of a `TaskPayload`.
    pub fn payload(&self) -> Res<Box<RawValue>> {
        let text = format!(
            "{{\"pipeline\":\"{}\",\"pipeline_number\":{},\"workflow\":\"{}\",\"workflow_name\":{},\
             \"job\":\"{}\",\"job_name\":{},\"job_number\":{},\"parallelism\":{},\"secrets\":{},\
             \"trigger\":{},\"spec\":{}}}",
            self.pipeline,
            self.pipeline_number,
            self.workflow,
            serde_json::to_string(&self.workflow_name)?,
            self.job,
            serde_json::to_string(&self.job_name)?,
            self.job_number,
            self.parallelism,
            self.secrets,
            self.trigger,
            self.spec,
        );
        Ok(RawValue::from_string(text)?)
    }
}

impl Tx<'_> {
    /// Gives the longest queued tasks of a class to a runner.
    pub fn claim(&mut self, claim: &Claim) -> Res<Vec<Unpacked>> {
        let Some(class) = class_id(self.db, &claim.class)? else {
            return Ok(Vec::new());
        };
        let mut payloads: HashMap<JobId, Arc<Parts>> = HashMap::new();
        let mut claimed = Vec::new();
        for task in self.first_queued(class, claim.slots)? {
            let job = job_of(task);
            let payload = match payloads.get(&job) {
                Some(known) => known.clone(),
                None => payloads
                    .entry(job)
                    .or_insert(Arc::new(self.parts(job)?))
                    .clone(),
            };
            let key = payload
                .setup
                .then(|| ContinuationKey::generate(self.memory.ids.random()));
            let (attempt, lease) = self.claim_task(task, claim, key.as_ref())?;
            claimed.push(ClaimedTask {
                task,
                attempt,
                lease,
                index: index_of(task),
                continuation_key: key,
                payload,
            });
        }
        Ok(claimed)
    }

    fn first_queued(&self, class: i64, slots: u32) -> Res<Vec<TaskId>> {
        let mut statement = self.db.prepare_cached(
            "SELECT id FROM task WHERE class = ?1 AND state = 1 ORDER BY seq LIMIT ?2",
        )?;
        let rows =
            statement.query_map((class, slots), |row| Ok(TaskId::from_bytes(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn claim_task(
        &mut self,
        id: TaskId,
        claim: &Claim,
        key: Option<&ContinuationKey>,
    ) -> Res<(AttemptId, LeaseToken)> {
        let mut held =
            Held::load(self.db, id)?.ok_or_else(|| Fault::damaged("a queued task is not there"))?;
        let previous = held.task.attempt;
        let attempt = self.memory.ids.attempt(self.now);
        let token = LeaseToken::generate(self.memory.ids.random());
        let until = self.now + claim.lease;
        held.task.attempt = Some(attempt);
        let lease = Lease {
            attempt,
            runner: claim.runner,
            until,
        };
        held.attempt = None;
        self.apply(&mut held, TaskEvent::Claim(lease))?;
        held.task.save(self.db)?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO attempt (id, task, previous, runner, runner_name, lease, lease_until, \
             claimed_at, continuation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        insert.execute((
            attempt.as_bytes(),
            id.as_bytes(),
            previous.as_ref().map(AttemptId::as_bytes),
            claim.runner.as_bytes(),
            &claim.runner_name,
            token.hash(),
            Millis(until),
            Millis(self.now),
            key.map(|key| *key.hash().as_bytes()),
        ))?;
        Ok((attempt, token))
    }

    fn parts(&self, job: JobId) -> Res<Parts> {
        let mut statement = self.db.prepare_cached(
            "SELECT p.id, p.number, w.id, w.name, j.name, j.number, j.parallelism, p.trigger, \
             b.text, p.setup IS NOT NULL AND p.continued_config IS NULL, \
             (j.contexts IS NOT NULL OR EXISTS (SELECT 1 FROM secret WHERE project = p.project)) \
             AND NOT coalesce(p.trigger ->> 'untrusted', 0) \
             FROM job j JOIN pipeline p ON p.id = j.pipeline \
             JOIN workflow w ON w.pipeline = j.pipeline AND w.ix = j.workflow \
             JOIN body b ON b.id = j.spec WHERE j.id = ?1",
        )?;
        let parts = statement.query_row([job.as_bytes()], |row| {
            Ok(Parts {
                pipeline: PipelineId::from_bytes(row.get(0)?),
                pipeline_number: row.get(1)?,
                workflow: WorkflowId::from_bytes(row.get(2)?),
                workflow_name: row.get(3)?,
                job,
                job_name: row.get(4)?,
                job_number: row.get(5)?,
                parallelism: row.get(6)?,
                trigger: row.get(7)?,
                spec: row.get(8)?,
                setup: row.get(9)?,
                secrets: row.get(10)?,
            })
        });
        Ok(parts?)
    }

    /// Gives claimed tasks back.
    pub fn release(&mut self, leases: &[HeldLease]) -> Res<Woken> {
        for lease in leases {
            let Some((mut held, id)) = self.leased(lease.task, &lease.lease.hash())? else {
                continue;
            };
            // What has started, or has ended, stays as it is.
            match self.apply(&mut held, TaskEvent::Release(id)) {
                Ok(_) => {
                    self.end_attempt(&mut held, None)?;
                    held.task.save(self.db)?;
                }
                Err(Fault::Answer(StoreError::Illegal(_))) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.take_woken()
    }

    /// The task, if its newest attempt has this lease.
    pub fn leased(&self, task: TaskId, hash: &[u8; 16]) -> Res<Option<(Held, AttemptId)>> {
        let held = Held::load(self.db, task)?;
        Ok(held.and_then(|held| {
            let id = held.attempt.as_ref().filter(|row| row.lease == *hash)?.id;
            Some((held, id))
        }))
    }

    /// The newest attempt ends here; saved.
    pub fn end_attempt(
        &self,
        held: &mut Held,
        outcome: Option<outrider_model::Outcome>,
    ) -> Res<()> {
        let Some(attempt) = &mut held.attempt else {
            return Ok(());
        };
        attempt.ended_at = Some(self.now);
        attempt.outcome = outcome;
        attempt.save(self.db)
    }
}

/// How much of each class is queued and running.
pub fn depths(db: &Connection) -> Res<Vec<QueueDepth>> {
    let mut statement = db.prepare_cached(
        "SELECT c.name, c.queued, c.running, \
         (SELECT id FROM task WHERE class = c.id AND state = 1 ORDER BY seq LIMIT 1) \
         FROM class c ORDER BY c.name",
    )?;
    let rows = statement.query_map([], |row| {
        let oldest: Option<[u8; 16]> = row.get(3)?;
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, oldest))
    })?;
    let mut depths = Vec::new();
    for row in rows {
        let (name, queued, running, oldest) = row?;
        let class = name
            .parse()
            .map_err(|_| Fault::damaged(format!("`{name}` is not a class")))?;
        let oldest = oldest.map(|id| job_of(TaskId::from_bytes(id)));
        let oldest_queued_at = oldest.map(|job| queued_at(db, job)).transpose()?.flatten();
        depths.push(QueueDepth {
            class,
            queued,
            running,
            oldest_queued_at,
        });
    }
    Ok(depths)
}

fn queued_at(db: &Connection, job: JobId) -> Res<Option<Timestamp>> {
    let mut statement = db.prepare_cached("SELECT queued_at FROM job WHERE id = ?1")?;
    Ok(statement.query_row([job.as_bytes()], |row| opt_time(row, 0))?)
}
