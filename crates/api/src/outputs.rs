//! What people see of the artifacts and the tests of jobs.

use outrider_model::{TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The most tests that one answer has.
pub const MOST_TESTS: u64 = 1_000;

/// The artifacts of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactList {
    /// By task and path.
    pub artifacts: Vec<Artifact>,
}

/// A file that a task stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Artifact {
    /// The task.
    pub task: TaskId,
    /// Which of its job's tasks that is.
    pub index: u32,
    /// Its path: `GET /tasks/{task}/artifacts/{path}` has the file.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// Which tests of a job to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TestsQuery {
    /// Only those that failed or ended with an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Pass over so many of them first.
    #[serde(default)]
    pub offset: u64,
    /// How many at most; [`MOST_TESTS`] where nothing is said, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Tests of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobTests {
    /// How many there are in all.
    pub total: u64,
    /// How many of them failed or ended with an error.
    pub failed: u64,
    /// How many of them were passed over.
    pub skipped: u64,
    /// How long all took together, in milliseconds.
    pub millis: u64,
    /// Those that were asked for, by task and step.
    pub tests: Vec<Test>,
    /// Whether more would fit the question.
    pub more: bool,
}

/// A test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Test {
    /// The task that ran it.
    pub task: TaskId,
    /// Which of its job's tasks that is.
    pub index: u32,
    /// The suite that it was run in.
    pub suite: String,
    /// Its class, module or crate.
    pub classname: String,
    /// Its name.
    pub name: String,
    /// The file that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How it ended: `passed`, `skipped`, `failed` or `errored`.
    pub outcome: String,
    /// How long it took.
    pub seconds: f64,
    /// What kind of failure it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Why it failed or was passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often its tool ran it again.
    pub reruns: u32,
}
