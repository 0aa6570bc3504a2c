//! Writing jobs, with their requirements and tasks.

use std::collections::HashMap;

use outrider_model::plan::{JobKind, JobPlan, WorkflowPlan};
use outrider_model::status::Tally;
use outrider_model::{JobId, PipelineId, Status};
use rusqlite::params;

use super::codec::pack_tallies;
use super::fault::{Fault, Res};
use super::ids::task_of;
use super::rows::{Millis, fresh_state};
use super::tx::Tx;

/// Names of a workflow's jobs.
pub type Names<'a> = HashMap<&'a str, JobId>;

/// A job to write.
pub struct NewJob<'a> {
    pub id: JobId,
    pub pipeline: PipelineId,
    /// The index of its workflow.
    pub ix: usize,
    pub number: u64,
    pub job: &'a JobPlan,
    /// What runners do for it, as text.
    pub spec: Option<&'a str>,
    pub workflow: &'a WorkflowPlan,
}

impl Tx<'_> {
    /// Writes a job. If it only waits for a runner, it is queued.
    pub fn insert_job(&mut self, new: &NewJob<'_>, names: &Names<'_>) -> Res<()> {
        let job = new.job;
        let build = job.kind.build();
        let parallelism = build.map_or(1, |build| build.parallelism);
        let class = build.map(|build| self.class(&build.class)).transpose()?;
        let spec = new.spec.map(|spec| self.body(spec)).transpose()?;
        let status = first_status(job);
        let required = |other: &JobPlan| other.requires.iter().any(|entry| entry.job == job.name);
        let mut insert = self.db.prepare_cached(
            "INSERT INTO job (id, pipeline, workflow, number, name, type, class, parallelism, spec, \
             retry, requires, waits, required, serial_group, tally, queued_at, reruns, contexts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?;
        insert.execute(params![
            new.id.as_bytes(),
            new.pipeline.as_bytes(),
            new.ix,
            new.number,
            &job.name,
            job.kind.job_type() as u8,
            class,
            parallelism,
            spec,
            build.is_some_and(|build| build.spec.retry_when_lost),
            names_text(job.requires.iter().map(|entry| entry.job.as_str()))?,
            job.requires.len(),
            new.workflow.jobs.iter().any(required),
            serial_group(job),
            pack_tallies(&[Tally::of((0..parallelism).map(|_| status))]),
            (status == Status::Queued).then_some(Millis(self.now)),
            new.workflow.max_auto_reruns,
            names_text(job.contexts.iter().map(String::as_str))?,
        ])?;
        self.insert_requirements(new.id, job, names)?;
        self.insert_tasks(new.id, parallelism, class, status)
    }

    fn insert_requirements(&self, dependent: JobId, job: &JobPlan, names: &Names<'_>) -> Res<()> {
        for entry in &job.requires {
            let required = names.get(entry.job.as_str()).ok_or_else(|| {
                Fault::conflict(format!(
                    "job {} requires {}, which is not there",
                    job.name, entry.job
                ))
            })?;
            let bits = entry
                .accepts
                .iter()
                .map(|outcome| 1u32 << Status::Finished(*outcome).code());
            let mut insert = self.db.prepare_cached(
                "INSERT INTO requirement (required, dependent, accepts) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO NOTHING",
            )?;
            let accepts = bits.fold(0, |sum, bit| sum | bit);
            if insert.execute((required.as_bytes(), dependent.as_bytes(), accepts))? == 0 {
                let twice = format!("job {} requires {} twice", job.name, entry.job);
                return Err(Fault::conflict(twice));
            }
        }
        Ok(())
    }

    fn insert_tasks(
        &mut self,
        id: JobId,
        tasks: u32,
        class: Option<i64>,
        status: Status,
    ) -> Res<()> {
        let queued = status == Status::Queued;
        let db = self.db;
        let mut insert =
            db.prepare_cached("INSERT INTO task (id, class, state, seq) VALUES (?1, ?2, ?3, ?4)")?;
        for index in 0..tasks {
            let seq = queued.then(|| self.next());
            insert.execute((
                task_of(id, index).as_bytes(),
                class,
                fresh_state(queued),
                seq,
            ))?;
        }
        if let Some(class) = class.filter(|_| queued) {
            self.count(class, Status::Blocked, Status::Queued, i64::from(tasks));
            self.wake(class, tasks);
        }
        Ok(())
    }
}

/// The status that a job and its tasks are written with.
pub fn first_status(job: &JobPlan) -> Status {
    let only_needs_a_runner =
        job.requires.is_empty() && job.kind.build().is_some() && job.serial_group.is_none();
    if only_needs_a_runner {
        Status::Queued
    } else {
        Status::Blocked
    }
}

/// The group in which a job takes its turn, or whose lock it gives back. A job that takes a lock runs
/// nothing: it needs no turn in another group besides.
fn serial_group(job: &JobPlan) -> Option<&str> {
    match &job.kind {
        JobKind::Lock { key } | JobKind::Unlock { key } => Some(key),
        _ => job.serial_group.as_deref(),
    }
}

/// A list of names as JSON; nothing if it is empty.
fn names_text<'a>(names: impl Iterator<Item = &'a str>) -> Res<Option<String>> {
    let names: Vec<&str> = names.collect();
    Ok((!names.is_empty())
        .then(|| serde_json::to_string(&names))
        .transpose()?)
}
