//! What runners and the server say to each other. All calls need a class token.

use outrider_model::claim::{ClaimedTask, TaskPayload};
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::secret::LeaseToken;
use outrider_model::{RunnerId, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A runner asks for work and waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimRequest {
    /// Who asks.
    pub runner: RunnerIdentity,
    /// How many tasks it has room for now.
    pub slots: u32,
    /// How long the server may wait for work before it answers with none, in milliseconds.
    pub wait_ms: u64,
}

/// Who a runner is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunnerIdentity {
    /// New at each start of the process.
    pub id: RunnerId,
    /// What its owner calls it.
    pub name: String,
    /// The host that it runs on.
    pub hostname: String,
    /// Its version.
    pub version: String,
    /// How many tasks it runs at once.
    pub slots: u32,
}

/// Work, or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClaimResponse<P = TaskPayload> {
    /// The claimed tasks, at most as many as there were slots.
    pub tasks: Vec<ClaimedTask<P>>,
    /// The runner is to take no more work and to end when what it has is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// What happened to tasks of a runner, several at once: short tasks share requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportRequest {
    /// The reports. Each stands or falls for itself.
    pub reports: Vec<Report>,
}

/// The answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportResponse {
    /// In the order of the reports.
    pub answers: Vec<ReportAnswer>,
}

/// A lease as its holder names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldLease {
    /// The task.
    pub task: TaskId,
    /// The proof.
    pub lease: LeaseToken,
}

/// A runner is alive and holds these leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatRequest {
    /// Who.
    pub runner: RunnerId,
    /// Its leases.
    pub leases: Vec<HeldLease>,
    /// How long the server may hold the answer back, in milliseconds, so that it can tell of a
    /// cancellation at once. The leases are renewed before it waits.
    pub wait_ms: u64,
}

/// What becomes of the leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeartbeatResponse {
    /// In the order of the leases.
    pub leases: Vec<LeaseStanding>,
    /// The runner is to take no more work and to end when what it has is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// What becomes of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeaseStanding {
    /// It is renewed.
    Held,
    /// It is renewed, and the task is to be stopped.
    Stop,
    /// It is not held any more: stop that work at once and forget it.
    Stale,
}

/// A runner gives back what it claimed and has not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseRequest {
    /// What it gives back. What is not held any more is passed over.
    pub leases: Vec<HeldLease>,
}

/// A runner ends and leaves the inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GoodbyeRequest {
    /// Who.
    pub runner: RunnerId,
}

/// Where a piece of a log goes. The bytes are the body, the lease a header.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AppendLogQuery {
    /// Where the first byte stands in the attempt's log.
    pub offset: u64,
}

/// The piece is committed and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppendLogResponse {
    /// How many bytes of the log the server holds.
    pub log_length: u64,
    /// Whether the task is to be stopped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
}
