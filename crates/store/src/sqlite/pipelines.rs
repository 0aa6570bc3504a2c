//! Submitting a pipeline.

use std::collections::HashMap;

use outrider_model::plan::{BuildPlan, JobPlan, WorkflowPlan};
use outrider_model::status::Tally;
use outrider_model::{JobId, PipelineId, Status, WorkflowId};
use rusqlite::OptionalExtension;

use super::codec::pack_tallies;
use super::fault::{Fault, Res};
use super::ids::{MAX_TASKS, task_of};
use super::rows::{Millis, PipelineRow, fresh_state};
use super::tx::Tx;
use crate::{EventSubject, NewPipeline, Reserved, Submitted, Woken};

/// A pipeline with all that can be made ready before it is the writer's turn.
pub struct Prepared {
    new: NewPipeline,
    trigger: String,
    /// The specs of all jobs, in order.
    specs: Vec<String>,
}

/// Checks a pipeline and turns what is only stored into text.
pub fn prepare(new: NewPipeline) -> Res<Prepared> {
    for workflow in &new.plan.workflows {
        check_workflow(workflow)?;
    }
    if new.plan.workflows.is_empty() {
        return Err(Fault::conflict("a pipeline has at least one workflow"));
    }
    let jobs = new
        .plan
        .workflows
        .iter()
        .flat_map(|workflow| &workflow.jobs);
    let specs = jobs
        .map(|job| serde_json::to_string(&build(job)?.spec).map_err(Fault::from))
        .collect::<Res<_>>()?;
    Ok(Prepared {
        trigger: serde_json::to_string(&new.trigger)?,
        specs,
        new,
    })
}

fn check_workflow(workflow: &WorkflowPlan) -> Res<()> {
    if workflow.jobs.is_empty() {
        return Err(Fault::conflict(format!(
            "workflow {} has no job",
            workflow.name
        )));
    }
    for job in &workflow.jobs {
        let parallelism = build(job)?.parallelism;
        if parallelism == 0 || parallelism > MAX_TASKS {
            return Err(Fault::conflict(format!(
                "job {} has no possible parallelism",
                job.name
            )));
        }
    }
    Ok(())
}

fn build(job: &JobPlan) -> Res<&BuildPlan> {
    let refuse = || Fault::conflict(format!("job {} is of a type that cannot run", job.name));
    job.kind.build().ok_or_else(refuse)
}

/// Names of a workflow's jobs.
type Names<'a> = HashMap<&'a str, JobId>;

impl Tx<'_> {
    /// Writes a pipeline, unless one with its idempotency key is there.
    pub fn submit(&mut self, prepared: &Prepared) -> Res<Submitted> {
        let new = &prepared.new;
        if let Some(known) = self.submitted_before(new)? {
            return Ok(known);
        }
        let Reserved {
            pipeline: id,
            number,
        } = match new.reserved {
            Some(reserved) => reserved,
            None => self.reserve(&new.trigger.project)?,
        };
        let jobs: Vec<JobId> = prepared
            .specs
            .iter()
            .map(|_| self.memory.ids.job(self.now))
            .collect();
        let (project, first_number) = self.take_job_numbers(&new.trigger.project, jobs.len())?;
        let config = self.body(&new.config)?;

        let mut row = PipelineRow {
            tallies: Vec::new(),
            finished_at: None,
            changed: false,
            items: Vec::new(),
        };
        let mut at = 0;
        for (workflow, plan) in new.plan.workflows.iter().enumerate() {
            self.insert_workflow(id, workflow, plan)?;
            let ids = &jobs[at..at + plan.jobs.len()];
            let names = plan
                .jobs
                .iter()
                .map(|job| job.name.as_str())
                .zip(ids.iter().copied());
            let names = names.collect();
            for (job, id_of_job) in plan.jobs.iter().zip(ids) {
                let place = Place {
                    pipeline: id,
                    workflow,
                    job: *id_of_job,
                };
                let number = first_number + at as u64;
                let status =
                    self.insert_job(place, number, job, &prepared.specs[at], plan, &names)?;
                row.items.push((EventSubject::Job(*id_of_job), status));
                at += 1;
            }
            row.tallies
                .push(Tally::of(plan.jobs.iter().map(first_status)));
        }
        row.items.push((EventSubject::Pipeline, row.status()));
        self.insert_pipeline(id, project, number, prepared, config, &jobs, &row)?;
        self.pipelines.insert(id, row);
        Ok(Submitted {
            pipeline: id,
            number,
            woken: self.take_woken()?,
        })
    }

    fn submitted_before(&self, new: &NewPipeline) -> Res<Option<Submitted>> {
        let Some(key) = &new.idempotency_key else {
            return Ok(None);
        };
        let mut find = self
            .db
            .prepare_cached("SELECT id, number FROM pipeline WHERE key = ?1")?;
        let known = find.query_row([key], |row| {
            Ok(Submitted {
                pipeline: PipelineId::from_bytes(row.get(0)?),
                number: row.get(1)?,
                woken: Woken::default(),
            })
        });
        Ok(known.optional()?)
    }

    /// Takes an id, and the next number of a project, which is made if it is new.
    pub fn reserve(&mut self, project: &str) -> Res<Reserved> {
        let pipeline = self.memory.ids.pipeline(self.now);
        let mut take = self.db.prepare_cached(
            "INSERT INTO project (name, pipelines, jobs) VALUES (?1, 1, 0) \
             ON CONFLICT (name) DO UPDATE SET pipelines = pipelines + 1 RETURNING pipelines",
        )?;
        let number = take.query_row([project], |row| row.get(0))?;
        Ok(Reserved { pipeline, number })
    }

    /// The row of a project that has a pipeline, and the number of the first of its next jobs.
    fn take_job_numbers(&self, project: &str, jobs: usize) -> Res<(i64, u64)> {
        let mut take = self.db.prepare_cached(
            "UPDATE project SET jobs = jobs + ?2 WHERE name = ?1 RETURNING id, jobs",
        )?;
        let jobs = jobs as u64;
        let numbers = take.query_row((project, jobs), |row| {
            Ok((row.get(0)?, row.get::<_, u64>(1)? + 1 - jobs))
        });
        Ok(numbers?)
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one row")]
    fn insert_pipeline(
        &self,
        id: PipelineId,
        project: i64,
        number: u64,
        prepared: &Prepared,
        config: i64,
        jobs: &[JobId],
        row: &PipelineRow,
    ) -> Res<()> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO pipeline (id, project, number, trigger, config, key, first_job, last_job, \
             tallies, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        insert.execute((
            id.as_bytes(),
            project,
            number,
            &prepared.trigger,
            config,
            prepared.new.idempotency_key.as_deref(),
            jobs.first().map(JobId::as_bytes),
            jobs.last().map(JobId::as_bytes),
            pack_tallies(&row.tallies),
            Millis(self.now),
        ))?;
        Ok(())
    }

    fn insert_workflow(&self, pipeline: PipelineId, ix: usize, plan: &WorkflowPlan) -> Res<()> {
        let id = WorkflowId::new(self.now, self.memory.ids.random());
        let mut insert = self.db.prepare_cached(
            "INSERT INTO workflow (pipeline, ix, id, name) VALUES (?1, ?2, ?3, ?4)",
        )?;
        insert.execute((pipeline.as_bytes(), ix, id.as_bytes(), &plan.name))?;
        Ok(())
    }

    fn insert_job(
        &mut self,
        place: Place,
        number: u64,
        job: &JobPlan,
        spec: &str,
        workflow: &WorkflowPlan,
        names: &Names<'_>,
    ) -> Res<Status> {
        let build = build(job)?;
        let class = self.class(&build.class)?;
        let spec = self.body(spec)?;
        let status = first_status(job);
        let queued_at = (status == Status::Queued).then_some(Millis(self.now));
        let required = |other: &JobPlan| other.requires.iter().any(|entry| entry.job == job.name);
        let requires: Vec<&str> = job
            .requires
            .iter()
            .map(|entry| entry.job.as_str())
            .collect();
        let requires = (!requires.is_empty())
            .then(|| serde_json::to_string(&requires))
            .transpose()?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO job (id, pipeline, workflow, number, name, class, parallelism, spec, \
             retry, requires, waits, required, tally, queued_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        insert.execute((
            place.job.as_bytes(),
            place.pipeline.as_bytes(),
            place.workflow,
            number,
            &job.name,
            class,
            build.parallelism,
            spec,
            build.spec.retry_when_lost,
            requires,
            job.requires.len(),
            workflow.jobs.iter().any(required),
            pack_tallies(&[Tally::of((0..build.parallelism).map(|_| status))]),
            queued_at,
        ))?;
        self.insert_requirements(place.job, job, names)?;
        self.insert_tasks(place.job, build.parallelism, class, status)?;
        Ok(status)
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

    fn insert_tasks(&mut self, id: JobId, tasks: u32, class: i64, status: Status) -> Res<()> {
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
        if queued {
            self.count(class, Status::Blocked, Status::Queued, i64::from(tasks));
            self.wake(class, tasks);
        }
        Ok(())
    }
}

/// Where a job belongs.
#[derive(Clone, Copy)]
struct Place {
    pipeline: PipelineId,
    workflow: usize,
    job: JobId,
}

/// The status that a job and its tasks start with.
fn first_status(job: &JobPlan) -> Status {
    if job.requires.is_empty() {
        Status::Queued
    } else {
        Status::Blocked
    }
}
