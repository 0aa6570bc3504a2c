//! The contract between Outrider's processes, and with everybody else who speaks its API.
//!
//! Here are the wire types and the paths; the server implements them and describes them in
//! OpenAPI, and [`client`] (behind the feature of that name) is the client that the runner and the
//! command line use.

#[cfg(feature = "client")]
pub mod client;
pub mod configs;
pub mod continuation;
pub mod data;
pub mod error;
pub mod jobs;
pub mod outputs;
pub mod paths;
pub mod pipelines;
pub mod runner;
pub mod runners;
pub mod secrets;
pub mod tokens;

pub use error::{ErrorBody, ErrorCode, ErrorDetail};
