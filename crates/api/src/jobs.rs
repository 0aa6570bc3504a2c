//! Jobs and their tasks, logs, explanations.

use outrider_model::reason::{EndReason, WaitReason};
use outrider_model::report::{LogSpan, StepReport};
use outrider_model::{AttemptId, JobId, Outcome, PipelineId, Status, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::pipelines::Job;

/// A job with its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobDetail {
    /// The job.
    pub job: Job,
    /// Its tasks by index.
    pub tasks: Vec<Task>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its job.
    pub job: JobId,
    /// Which of the job's tasks it is, from 0.
    pub index: u32,
    /// Where it stands.
    pub status: Status,
    /// Its newest attempt, if a runner ever claimed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
}

/// A task with its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskDetail {
    /// The task.
    pub task: Task,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// The name of its job.
    pub job_name: String,
    /// Its resource class; none where no runner has to do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One try at a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The name of the runner that claimed it.
    pub runner: String,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// When its first step started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended; none where it runs, or was given back to the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why it ended, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// How many bytes its log has.
    pub log_length: u64,
    /// Its steps, as far as they have started.
    pub steps: Vec<StepReport>,
    /// Whose output the log holds where.
    pub spans: Vec<LogSpan>,
}

/// Why a task is where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The task with its attempts.
    pub task: TaskDetail,
    /// In one sentence.
    pub summary: String,
    /// What a person can do.
    pub advice: String,
    /// Why it has not ended, unless it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitReason>,
    /// Why it ended, unless it passed or has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndReason>,
}

/// Which part of which log.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Of which attempt; the newest where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// From which byte on; 0 where not given. `Last-Event-ID` beats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

/// A piece of a log in a followed stream: the data of a server-sent event `log`, whose id is the
/// offset after the piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPiece {
    /// The bytes, in base64: a step may write anything.
    pub base64: String,
}

/// The log will grow no more: the data of the server-sent event `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEnd {
    /// How many bytes it has.
    pub length: u64,
    /// Says what happened where the runner could not end the log itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}
