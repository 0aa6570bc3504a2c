//! What goes into a store and what comes out.

use std::collections::BTreeMap;
use std::time::Duration;

use outrider_model::claim::ClaimedTask;
use outrider_model::plan::{JobType, Plan, Trigger};
use outrider_model::reason::{EndReason, WaitReason};
use outrider_model::report::{LogSpan, ReportAnswer, StepReport};
use outrider_model::secret::{LeaseToken, TokenHash};
use outrider_model::{
    AttemptId, ClassName, JobId, Outcome, PipelineId, RunnerId, Status, TaskId, Timestamp, TokenId,
    WorkflowId,
};
use serde::Serialize;
use serde_json::value::RawValue;

/// A pipeline to write.
#[derive(Clone, Debug)]
pub struct NewPipeline {
    /// What triggered it; names the project.
    pub trigger: Trigger,
    /// What to run. At least one workflow, each with at least one job.
    pub plan: Plan,
    /// The parameters that it was triggered with: a setup config hands them on.
    pub parameters: BTreeMap<String, String>,
    /// The config as it was sent, for people who look at the pipeline later.
    pub config: String,
    /// Makes a repeated submission harmless: the caller's own name for this pipeline.
    pub idempotency_key: Option<String>,
    /// Its id and number, where its config had to know them: see [`Store::reserve_pipeline`].
    ///
    /// [`Store::reserve_pipeline`]: crate::Store::reserve_pipeline
    pub reserved: Option<Reserved>,
}

/// The id and the number of a pipeline that is yet to be submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Its id.
    pub pipeline: PipelineId,
    /// Its number in its project, from 1.
    pub number: u64,
}

/// A pipeline was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub pipeline: PipelineId,
    /// Its number in its project, from 1.
    pub number: u64,
    /// What can be claimed now.
    pub woken: Woken,
}

/// A pipeline that waits for its continuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuable {
    /// Its id and number.
    pub reserved: Reserved,
    /// What triggered it.
    pub trigger: Trigger,
    /// The parameters that it was triggered with.
    pub parameters: BTreeMap<String, String>,
}

/// What a pipeline goes on with.
#[derive(Clone, Debug)]
pub struct Continuation {
    /// The key that was presented.
    pub key: TokenHash,
    /// What to run. Not another setup config.
    pub plan: Plan,
    /// The config as it was sent.
    pub config: String,
}

/// How many tasks became claimable, by class: a hint whom to wake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Woken(pub Vec<(ClassName, u32)>);

impl Woken {
    /// Adds `count` tasks of a class.
    pub fn add(&mut self, class: &ClassName, count: u32) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| known == class) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((class.clone(), count)),
        }
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        for (class, count) in &other.0 {
            self.add(class, *count);
        }
    }
}

/// Which pipelines to list.
#[derive(Clone, Debug)]
pub struct PipelineFilter {
    /// Only this project's.
    pub project: Option<String>,
    /// Only those older than this one.
    pub before: Option<PipelineId>,
    /// How many at most.
    pub limit: u32,
}

/// A pipeline in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineSummary {
    /// Its id.
    pub id: PipelineId,
    /// Its number in its project.
    pub number: u64,
    /// What triggered it.
    pub trigger: Trigger,
    /// Where it stands.
    pub status: Status,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// A pipeline with its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineDetail {
    /// The pipeline.
    pub summary: PipelineSummary,
    /// Its workflows in the order of the config.
    pub workflows: Vec<WorkflowDetail>,
}

/// A workflow with its jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowDetail {
    /// Its id.
    pub id: WorkflowId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: Status,
    /// Its jobs in the order of the config.
    pub jobs: Vec<JobSummary>,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSummary {
    /// Its id.
    pub id: JobId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its name.
    pub name: String,
    /// Its number in its project.
    pub number: u64,
    /// Where it stands.
    pub status: Status,
    /// What it is.
    pub job_type: JobType,
    /// Where it is queued; none where no runner has to do with it.
    pub class: Option<ClassName>,
    /// The names of the jobs that it requires.
    pub requires: Vec<String>,
    /// How many tasks it is.
    pub parallelism: u32,
    /// How many of them have ended.
    pub tasks_finished: u32,
    /// Why it ended as it did, unless it passed: the reason of its first task that did not.
    pub reason: Option<EndReason>,
    /// When it could first be claimed.
    pub queued_at: Option<Timestamp>,
    /// When its first task started.
    pub started_at: Option<Timestamp>,
    /// When its last task ended.
    pub finished_at: Option<Timestamp>,
    /// Who approved it.
    pub approved_by: Option<String>,
}

/// A job with its tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDetail {
    /// The job.
    pub summary: JobSummary,
    /// Its tasks by index.
    pub tasks: Vec<TaskSummary>,
}

/// A task in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// Its id.
    pub id: TaskId,
    /// Its job.
    pub job: JobId,
    /// Which of the job's tasks it is, from 0.
    pub index: u32,
    /// Where it stands.
    pub status: Status,
    /// Its newest attempt, if a runner ever claimed it.
    pub attempt: Option<AttemptId>,
}

/// A task with its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskDetail {
    /// The task.
    pub summary: TaskSummary,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The name of its job.
    pub job_name: String,
    /// Its class; none where no runner has to do with it.
    pub class: Option<ClassName>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptDetail>,
}

/// One try at a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptDetail {
    /// Its id.
    pub id: AttemptId,
    /// The name of the runner that claimed it.
    pub runner: String,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When its first step started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; none where it was given back to the queue.
    pub outcome: Option<Outcome>,
    /// Why it ended, unless it passed.
    pub reason: Option<EndReason>,
    /// How many bytes its log has.
    pub log_length: u64,
    /// Its steps by index, as far as they have started.
    pub steps: Vec<StepReport>,
    /// Whose output the log holds where.
    pub spans: Vec<LogSpan>,
}

/// Why a task is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The task.
    pub task: TaskDetail,
    /// Why it has not ended, unless it has.
    pub wait: Option<WaitReason>,
    /// Why it ended, unless it passed or has not ended.
    pub end: Option<EndReason>,
}

/// What to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelTarget {
    /// All jobs of a pipeline.
    Pipeline(PipelineId),
    /// All tasks of a job.
    Job(JobId),
}

/// What a cancellation did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canceled {
    /// How many tasks ended at once.
    pub ended: u32,
    /// Tasks whose runners must stop them, with those runners.
    pub stopping: Vec<(TaskId, RunnerId)>,
    /// Tasks that became claimable, because something required this outcome.
    pub woken: Woken,
}

/// A runner asks for work.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The class that its token allows.
    pub class: ClassName,
    /// Who asks.
    pub runner: RunnerId,
    /// Its name, kept with the attempt.
    pub runner_name: String,
    /// How many tasks it has room for.
    pub slots: u32,
    /// How long it may stay silent before its first step.
    pub lease: Duration,
}

/// A claimed task whose payload is passed on as it was written.
pub type RawClaimedTask = ClaimedTask<Box<RawValue>>;

/// A lease as its holder names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    /// The task.
    pub task: TaskId,
    /// The proof.
    pub lease: LeaseToken,
}

/// How long leases are.
#[derive(Clone, Copy, Debug)]
pub struct LeaseDurations {
    /// Before the first step.
    pub claimed: Duration,
    /// From the first step on.
    pub running: Duration,
}

/// What becomes of a lease that a runner wants to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is renewed.
    Held,
    /// It is renewed, and the task is to be stopped.
    Stop,
    /// It is not held any more: stop that work at once and forget it.
    Stale,
}

/// What reports did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The answers, in the order of the reports.
    pub answers: Vec<ReportAnswer>,
    /// What can be claimed now.
    pub woken: Woken,
    /// Attempts whose log grew, or that ended: whoever follows them looks again.
    pub touched: Vec<AttemptId>,
    /// How many tasks went from which status to which: for metrics.
    pub edges: Vec<(Status, Status)>,
}

/// What the end of leases did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Tasks that were queued again.
    pub requeued: u32,
    /// Tasks that ended.
    pub ended: u32,
    /// What can be claimed now.
    pub woken: Woken,
    /// Attempts that ended.
    pub touched: Vec<AttemptId>,
    /// When the next lease runs out, if any is held: no need to look before.
    pub next: Option<Timestamp>,
}

/// What the end of waits that took too long did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Jobs that were canceled.
    pub ended: u32,
    /// What can be claimed now.
    pub woken: Woken,
    /// When the next wait takes too long, if any job waits: no need to look before.
    pub next: Option<Timestamp>,
}

/// How much of a class is queued and running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The class.
    pub class: ClassName,
    /// Tasks that any runner of the class may claim.
    pub queued: u64,
    /// Tasks that runners hold.
    pub running: u64,
    /// Since when the longest queued one is.
    pub oldest_queued_at: Option<Timestamp>,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPosition {
    /// The attempt that it belongs to; names its file.
    pub attempt: AttemptId,
    /// How many bytes lie in the file.
    pub file_length: u64,
    /// How many bytes there are in all.
    pub length: u64,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// How many bytes of the log, from 0 on, lie in the attempt's file.
    pub file_length: u64,
    /// How many bytes the log has.
    pub length: u64,
    /// Bytes that the store holds, from `max(offset, file_length)` on.
    pub bytes: Vec<u8>,
    /// Whether it will grow no more.
    pub ended: bool,
    /// Stands after the last byte of a log that the server had to end: says what happened.
    pub mark: Option<String>,
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "scope")]
pub enum TokenScope {
    /// Everything.
    Admin,
    /// To claim and run tasks of one class.
    Class {
        /// The class.
        class: ClassName,
    },
}

/// A token to keep.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it allows.
    pub scope: TokenScope,
    /// What its owner calls it.
    pub nickname: String,
    /// What is kept of the secret.
    pub hash: TokenHash,
    /// Its first characters, to recognise it.
    pub hint: String,
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// What it allows.
    pub scope: TokenScope,
    /// What its owner calls it.
    pub nickname: String,
    /// Its first characters.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A runner that was heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerContact {
    /// Its id: new at each start of the process.
    pub id: RunnerId,
    /// Its class.
    pub class: ClassName,
    /// Its name.
    pub name: String,
    /// Its host.
    pub hostname: String,
    /// Its version.
    pub version: String,
    /// How many tasks it runs at once.
    pub slots: u32,
}

/// A runner in the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerRecord {
    /// What it said of itself.
    pub contact: RunnerContact,
    /// When it was first heard of.
    pub first_contact: Timestamp,
    /// When it was last heard of.
    pub last_contact: Timestamp,
    /// How many tasks it holds.
    pub running: u32,
}

/// The place of an event in the order of all events. 0 comes before all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventSeq(pub u64);

/// Something changed its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub seq: EventSeq,
    /// When.
    pub at: Timestamp,
    /// What changed.
    pub subject: EventSubject,
    /// To what.
    pub status: Status,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSubject {
    /// The pipeline.
    Pipeline,
    /// One of its jobs.
    Job(JobId),
    /// A task of that job.
    Task(JobId, TaskId),
}

/// A message to the outside, written with the change that it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its place in the outbox.
    pub id: u64,
    /// When it was written.
    pub created_at: Timestamp,
    /// What happened: `pipeline-completed`, `job-completed`.
    pub topic: String,
    /// JSON.
    pub body: String,
}
