//! Pipelines: submit, list, show, cancel, follow.

use std::collections::BTreeMap;

use outrider_model::plan::{JobType, Source, Trigger};
use outrider_model::reason::EndReason;
use outrider_model::{JobId, PipelineId, Status, TaskId, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A pipeline to run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitPipeline {
    /// The config, in CircleCI's language.
    pub config: String,
    /// What to call the config in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_name: Option<String>,
    /// The project, for example `acme/shop`.
    pub project: String,
    /// Pipeline parameters, as text; their declared types decide.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The orbs that the config uses, and those that they use, by how they are named there. The
    /// server asks nobody for others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub orbs: BTreeMap<String, OrbSource>,
    /// Where the code comes from.
    #[serde(default)]
    pub source: Source,
    /// The branch, unless a tag is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The tag, if one is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The commit, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Whether the code comes from somebody who is not trusted, as a fork pull request does: such a
    /// pipeline gets no secrets, and no trusted one ever sees what it saves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untrusted: bool,
    /// Only this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Only this job, without what it requires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// The source of an orb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrbSource {
    /// What to call it in messages, for example `circleci/node@5.1.3`.
    pub name: String,
    /// Its YAML.
    pub text: String,
}

/// A pipeline was taken: committed and queued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmittedPipeline {
    /// Its id.
    pub id: PipelineId,
    /// Its number in its project, from 1.
    pub number: u64,
    /// What the compiler warns of, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
}

/// Which pipelines to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListPipelines {
    /// Only this project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only those older than this one: the last of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PipelineId>,
    /// How many, 1 to 200; 20 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of pipelines, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineList {
    /// The pipelines.
    pub items: Vec<Pipeline>,
}

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pipeline {
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A pipeline with its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineDetail {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its workflows in the order of the config.
    pub workflows: Vec<Workflow>,
}

/// A workflow with its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: Status,
    /// Its jobs in the order of the config.
    pub jobs: Vec<Job>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its pipeline.
    pub pipeline: PipelineId,
    /// Its name, unique in its workflow.
    pub name: String,
    /// Its number in its project.
    pub number: u64,
    /// Where it stands.
    pub status: Status,
    /// What it is: `build`, `approval`, …
    #[serde(rename = "type")]
    pub job_type: JobType,
    /// Its resource class; none where no runner has to do with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The names of the jobs that it requires.
    pub requires: Vec<String>,
    /// How many tasks it is.
    pub parallelism: u32,
    /// How many of them have ended.
    pub tasks_finished: u32,
    /// Why it ended as it did, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// When it could first be claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// When its first task started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When its last task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
}

/// What a cancellation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Canceled {
    /// How many tasks ended at once.
    pub ended: u32,
    /// How many tasks run and are being stopped by their runners.
    pub stopping: u32,
}

/// Something changed its status. Sent as server-sent events whose id is `seq`; a reader that
/// reconnects with `Last-Event-ID` misses nothing and gets nothing twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineEvent {
    /// Its place in the order of all events.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The job, unless the pipeline itself changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The task, if a task changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// To what.
    pub status: Status,
}
