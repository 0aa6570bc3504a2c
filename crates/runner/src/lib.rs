//! The agent: claims tasks, runs them, and reports what happened.
//!
//! [`Runner::run`] ties the parts together, each in a module of its own:
//!
//! - `claim`: asks for work; `heartbeat`: keeps leases, hears of cancellations;
//! - `driver`: what a task does next, pure; `attempt`: does it, with an executor;
//! - `deliver`: takes everything that happens to the disk and to the server, by way of
//!   `log` (output) and `spool` (the files that outlive the process);
//! - `redact`: keeps secrets out of it;
//! - [`inside`]: does steps where the host does not see the files; [`continuation`]: what jobs there
//!   need of the server;
//! - `recover`: goes on with what an earlier process left;
//! - `env`, `helper`, `shell`, `checkout`: what steps find.

mod attempt;
mod backoff;
mod checkout;
mod claim;
pub mod continuation;
pub mod data;
pub mod data_api;
mod deliver;
mod driver;
pub mod env;
mod error;
mod heartbeat;
pub mod helper;
pub mod inside;
mod log;
mod recover;
pub mod redact;
mod runner;
pub mod server_api;
mod settings;
mod shell;
mod slots;
mod spool;
mod ssh_keys;
mod task_files;

pub use data_api::DataApi;
pub use error::RunnerError;
pub use redact::{Redactor, Secret};
pub use runner::Runner;
pub use server_api::ServerApi;
pub use settings::RunnerSettings;
