//! Identifiers: UUIDv7 newtypes, one per kind of thing, so that they cannot be mixed up.
//!
//! UUIDv7 (RFC 9562) starts with the time of creation, so ids sort by age and database pages
//! fill in order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// Where random bytes come from: the operating system in production, a seed in tests.
pub trait Random: Send + Sync {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The text was not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id: an id looks like 01957f3e-6c1a-7d2e-9c55-0a4f6b1d2e3f")]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, made at `now`.
            pub fn new(now: Timestamp, random: &dyn Random) -> Self {
                let mut tail = [0; 10];
                random.fill(&mut tail);
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
            }

            /// The id with these 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes of this id.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, ":{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| InvalidId { kind: $kind, text: text.to_owned() })
            }
        }
    };
}

id!(
    /// A pipeline: one trigger of one config.
    PipelineId, "pipeline"
);
id!(
    /// A workflow of a pipeline.
    WorkflowId, "workflow"
);
id!(
    /// A job of a workflow.
    JobId, "job"
);
id!(
    /// A task: one of a job's `parallelism` runs, the unit that is queued, claimed and run.
    TaskId, "task"
);
id!(
    /// One try at a task.
    AttemptId, "attempt"
);
id!(
    /// One running agent process.
    RunnerId, "runner"
);
id!(
    /// A token, not its secret.
    TokenId, "token"
);
id!(
    /// One HTTP request, as named in logs and in the `x-request-id` header.
    RequestId, "request"
);
