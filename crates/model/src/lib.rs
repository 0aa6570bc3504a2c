//! The words of Outrider, as types: ids, states, plans, leases and reasons.
//!
//! This crate is pure. It knows no clock, no database and no network; whoever needs "now" or
//! randomness passes it in. Read [`task`] first: it is the life of the unit that is queued,
//! claimed and run.

pub mod blob;
pub mod claim;
pub mod class;
pub mod ids;
pub mod plan;
pub mod reason;
pub mod report;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod status;
pub mod task;
pub mod time;

pub use blob::BlobHash;
pub use class::{ClassName, InvalidClassName};
pub use ids::{
    AttemptId, JobId, PipelineId, Random, RequestId, RunnerId, TaskId, TokenId, WorkflowId,
};
pub use status::{Outcome, Status, Tally};
pub use task::{IllegalTransition, Lease, TaskEvent, TaskState};
pub use time::Timestamp;
