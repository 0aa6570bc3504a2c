//! What a runner gets when it claims a task.

use serde::{Deserialize, Serialize};

use crate::plan::{JobSpec, Trigger};
use crate::secret::{ContinuationKey, LeaseToken};
use crate::{AttemptId, JobId, PipelineId, TaskId, WorkflowId};

/// A claimed task. `P` is [`TaskPayload`] where it is read, and raw JSON where it is only passed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClaimedTask<P = TaskPayload> {
    /// The task.
    pub task: TaskId,
    /// This try at it.
    pub attempt: AttemptId,
    /// Goes with every write for this attempt.
    pub lease: LeaseToken,
    /// Which of the job's tasks it is, from 0: `CIRCLE_NODE_INDEX`.
    pub index: u32,
    /// Of a setup config: with it the task may continue its pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_key: Option<ContinuationKey>,
    /// The rest, the same for all tasks of a job.
    pub payload: P,
}

/// What all tasks of a job have in common. Written once when the pipeline is submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskPayload {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Its number in its project, from 1.
    pub pipeline_number: u64,
    /// The workflow.
    pub workflow: WorkflowId,
    /// Its name.
    pub workflow_name: String,
    /// The job.
    pub job: JobId,
    /// Its name.
    pub job_name: String,
    /// Its number in its project, from 1: `CIRCLE_BUILD_NUM`.
    pub job_number: u64,
    /// How many tasks the job is: `CIRCLE_NODE_TOTAL`.
    pub parallelism: u32,
    /// Whether its project or its contexts have secrets for it: it asks for them before its first
    /// step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secrets: bool,
    /// What triggered the pipeline.
    pub trigger: Trigger,
    /// What to do.
    pub spec: JobSpec,
}
