//! Submitting a pipeline.

use outrider_model::plan::{JobKind, Plan, WorkflowPlan};
use outrider_model::status::Tally;
use outrider_model::{JobId, PipelineId, WorkflowId};
use rusqlite::OptionalExtension;

use super::codec::pack_tallies;
use super::fault::{Fault, Res};
use super::ids::MAX_TASKS;
use super::insert::{NewJob, first_status};
use super::rows::{Millis, PipelineRow};
use super::tx::Tx;
use crate::{EventSubject, NewPipeline, Reserved, Submitted, Woken};

/// A pipeline with all that can be made ready before it is the writer's turn.
pub struct Prepared {
    new: NewPipeline,
    trigger: String,
    /// Of a setup config: what it was triggered with.
    setup: Option<String>,
    specs: Specs,
}

/// What the runners do for each job of a plan, in order, as text.
pub struct Specs(Vec<Option<String>>);

/// Checks a pipeline and turns what is only stored into text.
pub fn prepare(new: NewPipeline) -> Res<Prepared> {
    if new.plan.workflows.is_empty() {
        return Err(Fault::conflict("a pipeline has at least one workflow"));
    }
    let setup = new
        .plan
        .setup
        .then(|| serde_json::to_string(&new.parameters))
        .transpose()?;
    Ok(Prepared {
        trigger: serde_json::to_string(&new.trigger)?,
        specs: Specs::of(&new.plan)?,
        setup,
        new,
    })
}

impl Specs {
    /// Checks a plan, and turns what is only stored into text.
    pub fn of(plan: &Plan) -> Res<Self> {
        for workflow in &plan.workflows {
            check_workflow(workflow)?;
        }
        let jobs = plan.workflows.iter().flat_map(|workflow| &workflow.jobs);
        let specs = jobs.map(|job| {
            let spec = job.kind.build().map(|build| &build.spec);
            spec.map(serde_json::to_string).transpose()
        });
        Ok(Self(specs.collect::<Result<_, _>>()?))
    }
}

fn check_workflow(workflow: &WorkflowPlan) -> Res<()> {
    if workflow.jobs.is_empty() {
        return Err(Fault::conflict(format!(
            "workflow {} has no job",
            workflow.name
        )));
    }
    for job in &workflow.jobs {
        let parallelism = job.kind.build().map_or(1, |build| build.parallelism);
        if parallelism == 0 || parallelism > MAX_TASKS {
            return Err(Fault::conflict(format!(
                "job {} has no possible parallelism",
                job.name
            )));
        }
    }
    Ok(())
}

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
        let mut row = PipelineRow::default();
        let written = self.insert_plan(
            id,
            &new.trigger.project,
            &new.plan,
            &prepared.specs,
            &mut row,
        )?;
        row.items.push((EventSubject::Pipeline, row.status()));
        self.insert_pipeline(id, number, prepared, &written, &row)?;
        self.pipelines.insert(id, row);
        self.set_off(&new.plan, &written.jobs)?;
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

    /// Writes the workflows of a plan behind those that the pipeline has. Their jobs have not begun:
    /// see [`Tx::set_off`].
    pub fn insert_plan(
        &mut self,
        pipeline: PipelineId,
        project: &str,
        plan: &Plan,
        specs: &Specs,
        row: &mut PipelineRow,
    ) -> Res<Written> {
        let jobs: Vec<JobId> = specs
            .0
            .iter()
            .map(|_| self.memory.ids.job(self.now))
            .collect();
        let (project, first_number) = self.take_job_numbers(project, jobs.len())?;
        let mut at = 0;
        for workflow in &plan.workflows {
            let ix = row.tallies.len();
            self.insert_workflow(pipeline, ix, workflow)?;
            let ids = &jobs[at..at + workflow.jobs.len()];
            let names = workflow.jobs.iter().map(|job| job.name.as_str());
            let names = names.zip(ids.iter().copied()).collect();
            for (job, id) in workflow.jobs.iter().zip(ids) {
                let new = NewJob {
                    id: *id,
                    pipeline,
                    ix,
                    number: first_number + at as u64,
                    job,
                    spec: specs.0[at].as_deref(),
                    workflow,
                };
                self.insert_job(&new, &names)?;
                row.items.push((EventSubject::Job(*id), first_status(job)));
                row.locks |= matches!(job.kind, JobKind::Lock { .. });
                at += 1;
            }
            let statuses = workflow.jobs.iter().map(first_status);
            row.tallies.push(Tally::of(statuses));
        }
        Ok(Written { project, jobs })
    }

    /// The jobs of a plan that wait for nothing, and that are not queued yet, begin.
    pub fn set_off(&mut self, plan: &Plan, jobs: &[JobId]) -> Res<()> {
        let plans = plan.workflows.iter().flat_map(|workflow| &workflow.jobs);
        for (job, id) in plans.zip(jobs) {
            if job.requires.is_empty() && first_status(job) != outrider_model::Status::Queued {
                self.take_turn(*id)?;
            }
        }
        self.settle()
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

    fn insert_pipeline(
        &mut self,
        id: PipelineId,
        number: u64,
        prepared: &Prepared,
        written: &Written,
        row: &PipelineRow,
    ) -> Res<()> {
        let config = self.body(&prepared.new.config)?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO pipeline (id, project, number, trigger, config, key, first_job, last_job, \
             tallies, created_at, locks, setup) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        insert.execute((
            id.as_bytes(),
            written.project,
            number,
            &prepared.trigger,
            config,
            prepared.new.idempotency_key.as_deref(),
            written.jobs.first().map(JobId::as_bytes),
            written.jobs.last().map(JobId::as_bytes),
            pack_tallies(&row.tallies),
            Millis(self.now),
            row.locks,
            prepared.setup.as_deref(),
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
}

/// What was written of a plan.
pub struct Written {
    /// The row of the project.
    project: i64,
    /// The jobs of all workflows, in order.
    pub jobs: Vec<JobId>,
}
