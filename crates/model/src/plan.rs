//! What a config compiles to: everything that is needed to run it, and nothing that is not.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{ClassName, Outcome};

/// A compiled pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The workflows that run, in the order of the config. Empty only where a pipeline is continued
    /// with nothing more to run.
    pub workflows: Vec<WorkflowPlan>,
    /// Whether this is a setup config: one of its jobs may continue the pipeline, once, with the
    /// config that it has made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub setup: bool,
}

/// A workflow: jobs and what they require of each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowPlan {
    /// Its key in the config.
    pub name: String,
    /// Its jobs in the order of the config. Never empty; names are unique; `requires` has no cycle.
    pub jobs: Vec<JobPlan>,
    /// How often its failed jobs are run again when it has failed: 0 to 5.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_auto_reruns: u32,
}

/// A job of a workflow, expanded: no parameters and no references are left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// Its name, unique in its workflow.
    pub name: String,
    /// What must have ended before it starts.
    pub requires: Vec<Requirement>,
    /// The contexts whose variables it gets. Of two that have the same variable the later one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<String>,
    /// The group in which only one job runs at a time, over all pipelines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_group: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub kind: JobKind,
}

/// What a job is, and what it consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum JobKind {
    /// Runs steps on runners.
    Build(Box<BuildPlan>),
    /// Waits until somebody approves it; runs nothing.
    Approval,
    /// Passes at once; runs nothing.
    NoOp,
    /// Follows a release in CircleCI's service.
    Release {
        /// The release plan there.
        plan_name: String,
    },
    /// Waits until nobody else holds a lock, and takes it.
    Lock {
        /// The name of the lock.
        key: String,
    },
    /// Gives a lock back.
    Unlock {
        /// The name of the lock.
        key: String,
    },
}

impl JobKind {
    /// What runners do for it, if they do something.
    pub const fn build(&self) -> Option<&BuildPlan> {
        match self {
            Self::Build(build) => Some(build),
            _ => None,
        }
    }

    /// Its type.
    pub const fn job_type(&self) -> JobType {
        match self {
            Self::Build(_) => JobType::Build,
            Self::Approval => JobType::Approval,
            Self::NoOp => JobType::NoOp,
            Self::Release { .. } => JobType::Release,
            Self::Lock { .. } => JobType::Lock,
            Self::Unlock { .. } => JobType::Unlock,
        }
    }

    /// Its type as a config writes it.
    pub const fn as_str(&self) -> &'static str {
        self.job_type().as_str()
    }
}

/// What a job is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum JobType {
    /// Runs steps on runners.
    Build,
    /// Waits until somebody approves it.
    Approval,
    /// Passes at once.
    NoOp,
    /// Follows a release in CircleCI's service.
    Release,
    /// Takes a lock.
    Lock,
    /// Gives a lock back.
    Unlock,
}

impl JobType {
    /// All types. Storage numbers are places in here.
    pub const ALL: [Self; 6] = [
        Self::Build,
        Self::Approval,
        Self::NoOp,
        Self::Release,
        Self::Lock,
        Self::Unlock,
    ];

    /// The type as a config writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Approval => "approval",
            Self::NoOp => "no-op",
            Self::Release => "release",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }
}

/// A job that runs on runners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildPlan {
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
    /// How many days the caches that it saves are kept, where the config says so: 1 to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_retention_days: Option<u32>,
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
    /// `macos:`.
    Macos {
        /// The version of Xcode.
        xcode: String,
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
    /// How to log in where the image comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<RegistryAuth>,
}

impl DockerImage {
    /// An image of which the config says nothing more.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            name: None,
            entrypoint: Vec::new(),
            command: Vec::new(),
            user: None,
            environment: IndexMap::new(),
            auth: None,
        }
    }
}

/// How to log in to a registry. Texts are as the config has them: `$NAME` stands for a variable of
/// the job, so that the secret itself is in no config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "with")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum RegistryAuth {
    /// `auth`.
    Password {
        /// The user.
        username: String,
        /// The password, or the variable that holds it.
        password: String,
    },
    /// `aws_auth` with a key.
    AwsKey {
        /// The key's id.
        access_key_id: String,
        /// The key, or the variable that holds it.
        secret_access_key: String,
    },
    /// `aws_auth` with a role that CircleCI's tokens may take.
    AwsRole {
        /// The role.
        role_arn: String,
    },
    /// `gcp_auth`.
    Gcp {
        /// `workload_identity_provider`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workload_identity_provider: Option<String>,
        /// `service_account`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service_account: Option<String>,
    },
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
    /// Gives a job in a container a Docker engine of its own.
    SetupRemoteDocker(SetupRemoteDockerStep),
    /// Keeps files for later pipelines.
    SaveCache(SaveCacheStep),
    /// Brings back files that an earlier pipeline kept.
    RestoreCache(RestoreCacheStep),
    /// Keeps files of this task, to be looked at.
    StoreArtifacts(StoreArtifactsStep),
    /// Reads what tests reported.
    StoreTestResults(StoreTestResultsStep),
    /// Hands files to later jobs of the workflow.
    PersistToWorkspace(PersistToWorkspaceStep),
    /// Takes the files that earlier jobs of the workflow handed on.
    AttachWorkspace(AttachWorkspaceStep),
    /// Makes keys known to SSH.
    AddSshKeys(AddSshKeysStep),
}

impl Step {
    /// What people see.
    pub fn name(&self) -> &str {
        let (name, kind) = match self {
            Self::Run(step) => return &step.name,
            Self::Checkout(step) => (&step.name, "Checkout code"),
            Self::SetupRemoteDocker(step) => (&step.name, "Setup a remote Docker engine"),
            Self::SaveCache(step) => (&step.name, "Saving cache"),
            Self::RestoreCache(step) => (&step.name, "Restoring cache"),
            Self::StoreArtifacts(step) => (&step.name, "Uploading artifacts"),
            Self::StoreTestResults(step) => (&step.name, "Uploading test results"),
            Self::PersistToWorkspace(step) => (&step.name, "Persisting to workspace"),
            Self::AttachWorkspace(step) => (&step.name, "Attaching workspace"),
            Self::AddSshKeys(step) => (&step.name, "Installing additional SSH keys"),
        };
        name.as_deref().unwrap_or(kind)
    }

    /// Whether it runs, given how the steps before it ended.
    pub fn when(&self) -> When {
        match self {
            Self::Run(step) => step.when,
            Self::SaveCache(step) => step.when,
            Self::StoreArtifacts(_) | Self::StoreTestResults(_) => When::Always,
            _ => When::OnSuccess,
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
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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
    /// Only the last commits are fetched.
    Shallow {
        /// How many. At least 1.
        depth: u32,
    },
}

/// A `setup_remote_docker` step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SetupRemoteDockerStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The version of the engine, where the config names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A `save_cache` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SaveCacheStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The key, with its `{{ … }}` templates, which the runner fills in.
    pub key: String,
    /// What to keep: paths relative to the working directory, or absolute. Never empty.
    pub paths: Vec<String>,
    /// Whether it runs after a failure.
    #[serde(default)]
    pub when: When,
}

/// A `restore_cache` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RestoreCacheStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Keys and prefixes of keys, with their `{{ … }}` templates, in the order in which they are
    /// tried. Never empty.
    pub keys: Vec<String>,
}

/// A `store_artifacts` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StoreArtifactsStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file or directory.
    pub path: String,
    /// What goes before the names of the files in place of `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

/// A `store_test_results` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StoreTestResultsStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A JUnit file, or a directory of such files.
    pub path: String,
}

/// A `persist_to_workspace` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PersistToWorkspaceStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The directory that stands for the root of the workspace.
    pub root: String,
    /// What to hand on: globs relative to `root`. Never empty.
    pub paths: Vec<String>,
}

/// An `attach_workspace` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttachWorkspaceStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where to put the files.
    pub at: String,
}

/// An `add_ssh_keys` step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AddSshKeysStep {
    /// What people see, where the config says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The keys by their fingerprints, MD5 or SHA256; all there are if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
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
    /// Whether the code comes from somebody who is not trusted, as a fork pull request does: such a
    /// pipeline gets no secrets, and what it saves is never seen by one that is trusted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untrusted: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
