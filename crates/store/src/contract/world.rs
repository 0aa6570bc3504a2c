//! Words for the stories of the contract.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use outrider_model::claim::TaskPayload;
use outrider_model::plan::{
    BuildPlan, EnvironmentKind, JobKind, JobPlan, JobSpec, Plan, Requirement, Trigger, WorkflowPlan,
};
use outrider_model::reason::EndReason;
use outrider_model::report::{Exit, Finished, LogChunk, LogHash, Report, ReportAnswer};
use outrider_model::{
    AttemptId, ClassName, JobId, Outcome, PipelineId, RunnerId, Status, TaskId, Timestamp,
};

use crate::{
    Claim, HeldLease, JobDetail, LeaseDurations, NewPipeline, PipelineDetail, RawClaimedTask,
    Reported, RunnerContact, Store,
};

/// How long a lease is before the first step.
pub const CLAIMED: Duration = Duration::from_secs(20);
/// How long it is from the first step on.
pub const RUNNING: Duration = Duration::from_secs(300);

/// A store, and a clock that moves when told.
pub struct World {
    pub store: Arc<dyn Store>,
    now: AtomicI64,
    runners: AtomicU8,
}

impl World {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            now: AtomicI64::new(1_767_225_600_000),
            runners: AtomicU8::new(0),
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.now
            .fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Submits a pipeline with one workflow.
    pub async fn submit(&self, jobs: Vec<JobPlan>) -> PipelineId {
        self.store
            .submit_pipeline(pipeline(jobs), self.now())
            .await
            .unwrap()
            .pipeline
    }

    pub async fn pipeline(&self, id: PipelineId) -> PipelineDetail {
        self.store.pipeline(id).await.unwrap()
    }

    /// A job by its name.
    pub async fn job(&self, pipeline: PipelineId, name: &str) -> JobDetail {
        let id = self.job_id(pipeline, name).await;
        self.store.job(id).await.unwrap()
    }

    pub async fn job_id(&self, pipeline: PipelineId, name: &str) -> JobId {
        let detail = self.pipeline(pipeline).await;
        let mut jobs = detail.workflows.iter().flat_map(|workflow| &workflow.jobs);
        jobs.find(|job| job.name == name)
            .expect("a job with this name")
            .id
    }

    pub async fn status(&self, pipeline: PipelineId, name: &str) -> Status {
        self.job(pipeline, name).await.summary.status
    }

    pub async fn task_status(&self, task: TaskId) -> Status {
        self.store.task(task).await.unwrap().summary.status
    }

    /// A runner that is in the inventory.
    pub async fn runner(&self, slots: u32) -> RunnerId {
        let number = self.runners.fetch_add(1, Ordering::Relaxed);
        let contact = contact(number, slots);
        let id = contact.id;
        self.store
            .see_runners(vec![contact], self.now())
            .await
            .unwrap();
        id
    }

    pub async fn claim(&self, slots: u32) -> Vec<RawClaimedTask> {
        self.claim_as(RunnerId::from_bytes([9; 16]), "linux", slots)
            .await
    }

    pub async fn claim_as(&self, runner: RunnerId, class: &str, slots: u32) -> Vec<RawClaimedTask> {
        let claim = Claim {
            class: class_name(class),
            runner,
            runner_name: "runner-1".to_owned(),
            slots,
            lease: CLAIMED,
        };
        self.store.claim(claim, self.now()).await.unwrap()
    }

    /// Claims the one task that is queued.
    pub async fn claim_one(&self) -> RawClaimedTask {
        let mut tasks = self.claim(1).await;
        tasks.pop().expect("something is queued")
    }

    pub async fn report(&self, report: Report) -> Reported {
        self.store
            .report(vec![report], RUNNING, self.now())
            .await
            .unwrap()
    }

    /// Reports, and must be accepted.
    pub async fn accept(&self, report: Report) -> Reported {
        let reported = self.report(report).await;
        assert!(
            matches!(reported.answers[..], [ReportAnswer::Accepted { .. }]),
            "{:?}",
            reported.answers
        );
        reported
    }

    pub async fn start(&self, task: &RawClaimedTask) {
        self.accept(Report {
            started: true,
            ..empty(task)
        })
        .await;
    }

    /// Starts and ends a task without a log.
    pub async fn end(&self, task: &RawClaimedTask, outcome: Outcome) -> Reported {
        self.accept(Report {
            started: true,
            finished: Some(end(outcome, b"")),
            ..empty(task)
        })
        .await
    }

    /// Claims and passes all there is, until nothing is left; the names in the order of claiming.
    pub async fn run_all(&self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(task) = self.claim(1).await.pop() {
            names.push(payload(&task).job_name);
            self.end(&task, Outcome::Passed).await;
        }
        names
    }

    /// What the log of an attempt holds here.
    pub async fn log(&self, attempt: AttemptId) -> Vec<u8> {
        self.store
            .read_log(attempt, 0, u32::MAX)
            .await
            .unwrap()
            .bytes
    }
}

pub fn class_name(name: &str) -> ClassName {
    format!("acme/{name}").parse().unwrap()
}

pub fn contact(number: u8, slots: u32) -> RunnerContact {
    RunnerContact {
        id: RunnerId::from_bytes([number; 16]),
        class: class_name("linux"),
        name: format!("runner-{number}"),
        hostname: "host".to_owned(),
        version: "0.1.0".to_owned(),
        slots,
    }
}

pub fn job(name: &str) -> JobPlan {
    JobPlan {
        name: name.to_owned(),
        requires: Vec::new(),
        contexts: Vec::new(),
        serial_group: None,
        kind: JobKind::Build(Box::new(BuildPlan {
            class: class_name("linux"),
            parallelism: 1,
            spec: JobSpec {
                environment_kind: EnvironmentKind::Machine { image: None },
                shell: None,
                working_directory: "~/project".to_owned(),
                environment: Default::default(),
                steps: Vec::new(),
                resource_class: None,
                retry_when_lost: false,
                cache_retention_days: None,
            },
        })),
    }
}

/// A job that is of another kind.
pub fn kind(job: JobPlan, kind: JobKind) -> JobPlan {
    JobPlan { kind, ..job }
}

/// What the runners do for a job.
pub fn build(job: &mut JobPlan) -> &mut BuildPlan {
    match &mut job.kind {
        JobKind::Build(build) => build,
        other => panic!("{other:?} runs nothing"),
    }
}

pub fn requires(name: &str, required: &[&str]) -> JobPlan {
    let entry = |job: &&str| Requirement {
        job: (*job).to_owned(),
        accepts: vec![Outcome::Passed],
    };
    JobPlan {
        requires: required.iter().map(entry).collect(),
        ..job(name)
    }
}

pub fn accepts(name: &str, required: &str, accepts: &[Outcome]) -> JobPlan {
    let entry = Requirement {
        job: required.to_owned(),
        accepts: accepts.to_vec(),
    };
    JobPlan {
        requires: vec![entry],
        ..job(name)
    }
}

pub fn tasks(name: &str, parallelism: u32) -> JobPlan {
    let mut job = job(name);
    build(&mut job).parallelism = parallelism;
    job
}

pub fn pipeline(jobs: Vec<JobPlan>) -> NewPipeline {
    NewPipeline {
        trigger: Trigger {
            project: "acme/shop".to_owned(),
            ..Trigger::default()
        },
        plan: Plan {
            workflows: vec![WorkflowPlan {
                name: "main".to_owned(),
                jobs,
                max_auto_reruns: 0,
            }],
            setup: false,
        },
        parameters: Default::default(),
        config: "version: 2.1".to_owned(),
        idempotency_key: None,
        reserved: None,
    }
}

pub fn empty(task: &RawClaimedTask) -> Report {
    Report::empty(task.task, task.lease)
}

pub fn held(task: &RawClaimedTask) -> HeldLease {
    HeldLease {
        task: task.task,
        lease: task.lease,
    }
}

pub fn payload(task: &RawClaimedTask) -> TaskPayload {
    serde_json::from_str(task.payload.get()).unwrap()
}

pub fn chunk(offset: u64, bytes: &[u8]) -> Option<LogChunk> {
    Some(LogChunk {
        offset,
        bytes: bytes.to_vec(),
    })
}

/// The end of a task whose whole log is `log`.
pub fn end(outcome: Outcome, log: &[u8]) -> Finished {
    let failed = EndReason::StepFailed {
        step: 0,
        name: "test".to_owned(),
        exit: Exit::Code(1),
    };
    Finished {
        outcome,
        reason: (outcome != Outcome::Passed).then_some(failed),
        log_length: log.len() as u64,
        log_hash: LogHash(blake3::hash(log).into()),
    }
}

pub fn finished(outcome: Outcome) -> Status {
    Status::Finished(outcome)
}

pub const DURATIONS: LeaseDurations = LeaseDurations {
    claimed: CLAIMED,
    running: RUNNING,
};
