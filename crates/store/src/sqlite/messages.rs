//! Events for those who watch a pipeline, and messages to the outside.

use outrider_model::{ClassName, JobId, PipelineId};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::codec;
use super::fault::Res;
use super::rows::{Millis, time};
use super::tx::{Topic, Tx};
use super::views;
use crate::{Event, EventSeq, JobSummary, OutboxMessage, PipelineSummary};

/// What happened in a pipeline after an event.
pub fn events(db: &Connection, id: PipelineId, after: EventSeq, limit: u32) -> Res<Vec<Event>> {
    views::summary(db, id)?;
    let mut statement = db.prepare_cached(
        "SELECT seq, at, items FROM event WHERE pipeline = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let after_row = i64::try_from(after.0).unwrap_or(i64::MAX);
    let mut rows = statement.query((id.as_bytes(), after_row))?;
    let mut events = Vec::new();
    while events.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let items = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
        let row_events = codec::events(row.get(0)?, time(row, 1)?, items)?;
        events.extend(row_events.into_iter().filter(|event| event.seq > after));
    }
    events.truncate(limit as usize);
    Ok(events)
}

/// The oldest messages to the outside.
pub fn outbox(db: &Connection, limit: u32) -> Res<Vec<OutboxMessage>> {
    let mut statement = db
        .prepare_cached("SELECT id, created_at, topic, subject FROM outbox ORDER BY id LIMIT ?1")?;
    let mut rows = statement.query([limit])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let job = row.get::<_, i64>(2)? == Topic::JobCompleted as i64;
        let subject = row.get(3)?;
        let (topic, body) = if job {
            (
                "job-completed",
                job_completed(db, JobId::from_bytes(subject))?,
            )
        } else {
            (
                "pipeline-completed",
                pipeline_completed(db, PipelineId::from_bytes(subject))?,
            )
        };
        messages.push(OutboxMessage {
            id: row.get(0)?,
            created_at: time(row, 1)?,
            topic: topic.to_owned(),
            body: body.to_string(),
        });
    }
    Ok(messages)
}

fn job_completed(db: &Connection, id: JobId) -> Res<Value> {
    let (job, workflow) = views::job_summary(db, id)?;
    let pipeline = views::summary(db, job.pipeline)?;
    let (workflow_id, workflow_name) = views::workflow(db, job.pipeline, workflow)?;
    Ok(json!({
        "type": "job-completed",
        "happened_at": job.finished_at,
        "pipeline": pipeline_json(&pipeline),
        "workflow": { "id": workflow_id, "name": workflow_name },
        "job": job_json(&job),
    }))
}

fn pipeline_completed(db: &Connection, id: PipelineId) -> Res<Value> {
    let pipeline = views::pipeline(db, id)?;
    let workflows: Vec<Value> = pipeline
        .workflows
        .iter()
        .map(|workflow| {
            json!({
                "id": workflow.id,
                "name": workflow.name,
                "status": workflow.status,
                "jobs": workflow.jobs.iter().map(job_json).collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(json!({
        "type": "pipeline-completed",
        "happened_at": pipeline.summary.finished_at,
        "pipeline": pipeline_json(&pipeline.summary),
        "workflows": workflows,
    }))
}

fn pipeline_json(pipeline: &PipelineSummary) -> Value {
    json!({
        "id": pipeline.id,
        "number": pipeline.number,
        "project": pipeline.trigger.project,
        "branch": pipeline.trigger.branch,
        "tag": pipeline.trigger.tag,
        "revision": pipeline.trigger.revision,
        "status": pipeline.status,
        "created_at": pipeline.created_at,
        "finished_at": pipeline.finished_at,
    })
}

fn job_json(job: &JobSummary) -> Value {
    json!({
        "id": job.id,
        "name": job.name,
        "number": job.number,
        "status": job.status,
        "type": job.job_type,
        "class": job.class.as_ref().map(ClassName::as_str),
        "reason": job.reason,
        "queued_at": job.queued_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "approved_by": job.approved_by,
    })
}

impl Tx<'_> {
    /// Messages were delivered.
    pub fn outbox_done(&self, ids: &[u64]) -> Res<()> {
        let mut delete = self.db.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
        for id in ids {
            delete.execute([id])?;
        }
        Ok(())
    }

    /// Writes something, so that the commit has something to sync.
    pub fn ready(&self) -> Res<()> {
        let mut touch = self
            .db
            .prepare_cached("UPDATE counter SET value = ?1 WHERE name = 'ready'")?;
        touch.execute([Millis(self.now)])?;
        Ok(())
    }
}
