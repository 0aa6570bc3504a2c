//! What a config compiles to: everything that is needed to run it, and nothing that is not.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{ClassName, Outcome};

/// A compiled pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The workflows that run, in the order of the config. Never empty.
    pub workflows: Vec<WorkflowPlan>,
}

/// A workflow: jobs and what they require of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPlan {
    /// Its key in the config.
    pub name: String,
    /// Its jobs in the order of the config. Never empty; names are unique; `requires` has no cycle.
    pub jobs: Vec<JobPlan>,
}

/// A job of a workflow, expanded: no parameters and no references are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Its name, unique in its workflow.
    pub name: String,
    /// What must have ended before it starts.
    pub requires: Vec<Requirement>,
    /// Where it is queued.
    pub class: ClassName,
    /// How many tasks it is. At least 1.
    pub parallelism: u32,
    /// What a runner does for each of its tasks.
    pub spec: JobSpec,
}

/// One entry of `requires`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The name of a job of the same workflow.
    pub job: String,
    /// The outcomes that satisfy the requirement; `[Passed]` where the config gives none.
    pub accepts: Vec<Outcome>,
}

/// What a runner needs to know to run one task of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct JobSpec {
    /// In what the config wants it to run.
    pub environment_kind: EnvironmentKind,
    /// The shell of steps that name none, for example `/bin/bash -eo pipefail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Where `checkout` puts the code and steps start: `~/project` where the config names none.
    pub working_directory: String,
    /// Environment variables of all steps, in the order of the config.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The class as the config wrote it, if it wrote one: shown to people, not used for queueing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_class: Option<String>,
    /// Whether a task whose runner was lost while a step ran is tried again. Off unless the job or
    /// its class asks for it: steps may not be safe to repeat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_when_lost: bool,
}

/// What the config wants a job to run in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EnvironmentKind {
    /// `machine: true`, or a machine image by name.
    Machine {
        /// The image, where the config names one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
    },
    /// `docker:`, the first image is the primary one.
    Docker {
        /// The images in the order of the config. Never empty.
        images: Vec<DockerImage>,
    },
}

/// One entry of `docker:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DockerImage {
    /// The image reference.
    pub image: String,
    /// The host name by which other containers reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Replaces the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Replaces the image's command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The user that commands run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Environment variables of this container.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Step {
    /// Runs a command in a shell.
    Run(RunStep),
    /// Puts the pipeline's code into the working directory.
    Checkout(CheckoutStep),
}

impl Step {
    /// What people see.
    pub fn name(&self) -> &str {
        match self {
            Self::Run(step) => &step.name,
            Self::Checkout(_) => "Checkout code",
        }
    }

    /// Whether it runs, given how the steps before it ended.
    pub fn when(&self) -> When {
        match self {
            Self::Run(step) => step.when,
            Self::Checkout(_) => When::OnSuccess,
        }
    }
}

/// A `run` step with every key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunStep {
    /// What people see; the first line of the command where the config gives no name.
    pub name: String,
    /// The script.
    pub command: String,
    /// The shell, where it differs from the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Variables of this step only, in the order of the config.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
    /// Whether the job goes on while it runs. It is ended when the job's last step ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Where it starts; relative to the job's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// How long it may write nothing. 10 minutes where the config gives nothing.
    #[serde(with = "crate::time::millis")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub no_output_timeout: Duration,
    /// Whether it runs after a failure.
    #[serde(default)]
    pub when: When,
    /// How often it is run again when it fails: 0 to 5.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_auto_reruns: u32,
    /// The pause before it is run again.
    #[serde(default, with = "crate::time::millis")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub auto_rerun_delay: Duration,
}

/// A `checkout` step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckoutStep {
    /// Where to put the code, where it differs from the job's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How much of the history comes along.
    #[serde(default)]
    pub method: CheckoutMethod,
}

/// How `checkout` fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum CheckoutMethod {
    /// File contents are fetched when needed.
    #[default]
    Blobless,
    /// Everything is fetched.
    Full,
}

/// When a step runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum When {
    /// While no step before it has failed.
    #[default]
    OnSuccess,
    /// Only after a step before it has failed.
    OnFail,
    /// In either case.
    Always,
}

impl When {
    /// Whether a step runs, given whether one before it has failed.
    pub const fn runs(self, failed: bool) -> bool {
        match self {
            Self::OnSuccess => !failed,
            Self::OnFail => failed,
            Self::Always => true,
        }
    }
}

/// Where a pipeline's code comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Source {
    /// There is none: `checkout` fails and says so.
    #[default]
    None,
    /// A git repository that the runner can reach.
    Git {
        /// What `git clone` takes. Never with a password in it.
        url: String,
        /// The commit, if known; else the tip of the branch or tag.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
        /// Branch, tag or full ref to fetch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// A directory on the runner's own host: what `outrider run` works on.
    Directory {
        /// Its absolute path.
        path: String,
        /// Whether `HEAD` is taken, instead of the files as they are.
        committed: bool,
    },
}

/// What triggered a pipeline and what it runs on, as far as jobs can see it (`CIRCLE_BRANCH`, …).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Trigger {
    /// The project's name, for example `acme/shop`.
    pub project: String,
    /// Where the code comes from.
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
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
