//! Pipelines, jobs and tasks as they are shown.

use outrider_model::status::Tally;
use outrider_model::{AttemptId, JobId, PipelineId, Status, TaskId, Timestamp, WorkflowId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::codec::{job_type, unpack_spans, unpack_tallies, unpack_tally};
use super::fault::{Fault, Res};
use super::ids::{after_tasks_of, index_of, job_of};
use super::rows::{opt_time, read_reason, status_of_state, time};
use super::tx::class_name;
use crate::{
    AttemptDetail, JobDetail, JobSummary, PipelineDetail, PipelineFilter, PipelineSummary,
    TaskDetail, TaskSummary, WorkflowDetail,
};

/// The newest pipelines.
pub fn pipelines(db: &Connection, filter: &PipelineFilter) -> Res<Vec<PipelineSummary>> {
    let before = filter.before.map_or([0xff; 16], |id| *id.as_bytes());
    let mut list = Vec::new();
    if let Some(project) = &filter.project {
        let mut statement = db.prepare_cached(
            "SELECT p.id, p.number, p.trigger, p.tallies, p.created_at, p.finished_at \
             FROM project o JOIN pipeline p ON p.project = o.id \
             WHERE o.name = ?1 AND p.id < ?2 ORDER BY p.id DESC LIMIT ?3",
        )?;
        let mut rows = statement.query((project, before, filter.limit))?;
        while let Some(row) = rows.next()? {
            list.push(read_summary(row)?);
        }
    } else {
        let mut statement = db.prepare_cached(
            "SELECT id, number, trigger, tallies, created_at, finished_at FROM pipeline \
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        )?;
        let mut rows = statement.query((before, filter.limit))?;
        while let Some(row) = rows.next()? {
            list.push(read_summary(row)?);
        }
    }
    Ok(list)
}

/// One pipeline in short.
pub fn summary(db: &Connection, id: PipelineId) -> Res<PipelineSummary> {
    let mut statement = db.prepare_cached(
        "SELECT id, number, trigger, tallies, created_at, finished_at FROM pipeline WHERE id = ?1",
    )?;
    let found = statement
        .query_row([id.as_bytes()], |row| Ok(read_summary(row)))
        .optional()?;
    found.ok_or_else(|| Fault::not_found("pipeline", id))?
}

fn read_summary(row: &Row<'_>) -> Res<PipelineSummary> {
    let tallies = unpack_tallies(blob(row, 3)?)?;
    Ok(PipelineSummary {
        id: PipelineId::from_bytes(row.get(0)?),
        number: row.get(1)?,
        trigger: serde_json::from_str(text(row, 2)?)?,
        status: Tally::of(tallies.iter().map(Tally::status)).status(),
        created_at: time(row, 4)?,
        finished_at: opt_time(row, 5)?,
    })
}

/// One pipeline with its workflows and jobs.
pub fn pipeline(db: &Connection, id: PipelineId) -> Res<PipelineDetail> {
    let summary = summary(db, id)?;
    let mut parts = db.prepare_cached("SELECT tallies FROM pipeline WHERE id = ?1")?;
    let tallies: Vec<u8> = parts.query_row([id.as_bytes()], |row| row.get(0))?;
    let ranges = job_ranges(db, id)?;
    let mut workflows = Vec::new();
    for (ix, tally) in unpack_tallies(&tallies)?.iter().enumerate() {
        let (id, name) = workflow(db, id, ix)?;
        workflows.push(WorkflowDetail {
            id,
            name,
            status: tally.status(),
            jobs: Vec::new(),
        });
    }
    let mut statement = db.prepare_cached(&job_query("id >= ?1 AND id <= ?2 ORDER BY id"))?;
    for range in ranges {
        let mut rows = statement.query(range)?;
        while let Some(row) = rows.next()? {
            let (job, workflow) = read_job(db, row)?;
            let workflow = workflows
                .get_mut(workflow)
                .ok_or_else(|| Fault::damaged("a job has no workflow"))?;
            workflow.jobs.push(job);
        }
    }
    Ok(PipelineDetail { summary, workflows })
}

/// The first and the last of ids that are all of the jobs of a pipeline: once, and once more if it
/// was continued.
pub fn job_ranges(db: &Connection, id: PipelineId) -> Res<Vec<([u8; 16], [u8; 16])>> {
    let mut find = db.prepare_cached(
        "SELECT first_job, last_job, continued_first_job, continued_last_job FROM pipeline \
         WHERE id = ?1",
    )?;
    let ranges = find.query_row([id.as_bytes()], |row| {
        let continued: Option<[u8; 16]> = row.get(2)?;
        let continued = continued.zip(row.get(3)?);
        let first = (row.get(0)?, row.get(1)?);
        Ok(std::iter::once(first).chain(continued).collect())
    });
    let ranges = ranges.optional()?;
    ranges.ok_or_else(|| Fault::not_found("pipeline", id))
}

/// Id and name of a workflow.
pub fn workflow(db: &Connection, pipeline: PipelineId, ix: usize) -> Res<(WorkflowId, String)> {
    let mut statement =
        db.prepare_cached("SELECT id, name FROM workflow WHERE pipeline = ?1 AND ix = ?2")?;
    Ok(statement.query_row((pipeline.as_bytes(), ix), |row| {
        Ok((WorkflowId::from_bytes(row.get(0)?), row.get(1)?))
    })?)
}

fn job_query(which: &str) -> String {
    format!(
        "SELECT id, pipeline, workflow, name, number, tally, class, requires, parallelism, reason, \
         queued_at, started_at, finished_at, type, approved_by FROM job WHERE {which}"
    )
}

fn read_job(db: &Connection, row: &Row<'_>) -> Res<(JobSummary, usize)> {
    let tally = unpack_tally(blob(row, 5)?)?;
    let status = tally.status();
    let ended = Status::ALL
        .into_iter()
        .filter(|status| status.outcome().is_some());
    let requires = row.get::<_, Option<String>>(7)?;
    let reason = row
        .get::<_, Option<String>>(9)?
        .filter(|_| status.outcome().is_some());
    let job = JobSummary {
        id: JobId::from_bytes(row.get(0)?),
        pipeline: PipelineId::from_bytes(row.get(1)?),
        name: row.get(3)?,
        number: row.get(4)?,
        status,
        job_type: job_type(row.get(13)?)?,
        class: row
            .get::<_, Option<i64>>(6)?
            .map(|class| class_name(db, class))
            .transpose()?,
        requires: requires.map_or(Ok(Vec::new()), |names| serde_json::from_str(&names))?,
        parallelism: row.get(8)?,
        tasks_finished: ended.map(|status| tally.count(status)).sum(),
        reason: read_reason(reason.as_deref())?,
        queued_at: opt_time(row, 10)?,
        started_at: opt_time(row, 11)?,
        finished_at: opt_time(row, 12)?,
        approved_by: row.get(14)?,
    };
    Ok((job, row.get(2)?))
}

/// One job in short, and the index of its workflow.
pub fn job_summary(db: &Connection, id: JobId) -> Res<(JobSummary, usize)> {
    let mut statement = db.prepare_cached(&job_query("id = ?1"))?;
    let found = statement
        .query_row([id.as_bytes()], |row| Ok(read_job(db, row)))
        .optional()?;
    found.ok_or_else(|| Fault::not_found("job", id))?
}

/// One job with its tasks.
pub fn job(db: &Connection, id: JobId) -> Res<JobDetail> {
    let (summary, _) = job_summary(db, id)?;
    let mut statement = db.prepare_cached(
        "SELECT id, state, attempt FROM task WHERE id > ?1 AND id < ?2 ORDER BY id",
    )?;
    let mut rows = statement.query((id.as_bytes(), after_tasks_of(id)))?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(read_task(row)?);
    }
    Ok(JobDetail { summary, tasks })
}

fn read_task(row: &Row<'_>) -> Res<TaskSummary> {
    let id = TaskId::from_bytes(row.get(0)?);
    Ok(TaskSummary {
        id,
        job: job_of(id),
        index: index_of(id),
        status: status_of_state(row.get(1)?)?,
        attempt: row
            .get::<_, Option<[u8; 16]>>(2)?
            .map(AttemptId::from_bytes),
    })
}

/// One task with its attempts.
pub fn task(db: &Connection, id: TaskId) -> Res<TaskDetail> {
    let mut statement = db.prepare_cached("SELECT id, state, attempt FROM task WHERE id = ?1")?;
    let found = statement
        .query_row([id.as_bytes()], |row| Ok(read_task(row)))
        .optional()?;
    let summary = found.ok_or_else(|| Fault::not_found("task", id))??;
    let (job, _) = job_summary(db, summary.job)?;
    let mut attempts = Vec::new();
    let mut next = summary.attempt;
    while let Some(id) = next {
        let (attempt, previous) = attempt(db, id)?;
        attempts.push(attempt);
        next = previous;
    }
    attempts.reverse();
    Ok(TaskDetail {
        summary,
        pipeline: job.pipeline,
        job_name: job.name,
        class: job.class,
        attempts,
    })
}

fn attempt(db: &Connection, id: AttemptId) -> Res<(AttemptDetail, Option<AttemptId>)> {
    let mut statement = db.prepare_cached(
        "SELECT previous, runner_name, claimed_at, started_at, ended_at, outcome, reason, \
         log_length, steps, spans FROM attempt WHERE id = ?1",
    )?;
    let mut rows = statement.query([id.as_bytes()])?;
    let row = rows
        .next()?
        .ok_or_else(|| Fault::not_found("attempt", id))?;
    let previous = row
        .get::<_, Option<[u8; 16]>>(0)?
        .map(AttemptId::from_bytes);
    let outcome = row
        .get::<_, Option<u8>>(5)?
        .map(super::codec::status)
        .transpose()?;
    let steps = row.get::<_, Option<String>>(8)?;
    let spans = row.get::<_, Option<Vec<u8>>>(9)?;
    let detail = AttemptDetail {
        id,
        runner: row.get(1)?,
        claimed_at: time(row, 2)?,
        started_at: opt_time(row, 3)?,
        ended_at: opt_time(row, 4)?,
        outcome: outcome.and_then(Status::outcome),
        reason: read_reason(row.get::<_, Option<String>>(6)?.as_deref())?,
        log_length: row.get(7)?,
        steps: steps.map_or(Ok(Vec::new()), |steps| serde_json::from_str(&steps))?,
        spans: unpack_spans(spans.as_deref().unwrap_or_default())?,
    };
    Ok((detail, previous))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Res<&'a str> {
    Ok(row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?)
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> Res<&'a [u8]> {
    Ok(row
        .get_ref(column)?
        .as_blob()
        .map_err(rusqlite::Error::from)?)
}

/// When its runner claimed and started the newest attempt.
pub fn newest(task: &TaskDetail) -> Option<(&str, Timestamp, Option<Timestamp>)> {
    let attempt = task.attempts.last()?;
    Some((&attempt.runner, attempt.claimed_at, attempt.started_at))
}
