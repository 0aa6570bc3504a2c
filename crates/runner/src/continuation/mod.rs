//! Jobs in containers continue their pipeline through the runner.
//!
//! A container may reach no server: that listens on its host's loopback, or has a certificate of
//! which the image knows nothing. So the runner starts this program inside as a tool ([`VERB`]),
//! which listens on the container's own loopback ([`listen`]) for this one call, and hands it on
//! through its stdout (`answer`). The runner makes the call, for the key of its own task only.

pub(crate) mod answer;
pub mod listen;

use outrider_api::continuation::{ContinuePipeline, Message};
use serde::{Deserialize, Serialize};

/// The hidden verb of the program that listens inside.
pub const VERB: &str = "task-continue";

/// From the tool to the runner.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Up {
    /// Always the first.
    Listening {
        /// On this port.
        port: u16,
    },
    /// A job calls. The next call comes after the answer.
    Call(Box<ContinuePipeline>),
}

/// From the runner to the tool: the answer, as HTTP has it.
#[derive(Serialize, Deserialize)]
struct Down {
    status: u16,
    body: Message,
}

impl Down {
    fn new(status: u16, message: impl Into<String>) -> Self {
        let body = Message {
            message: message.into(),
            missing_orbs: Vec::new(),
        };
        Self { status, body }
    }
}
