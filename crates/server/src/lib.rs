//! The control plane: API, queue, leases, logs and background duties.
//!
//! [`Core`] is what the server does, without HTTP; [`api`] puts it on the wire, `duties` keeps it
//! tidy, `net` listens. [`Server`] ties them together.

pub mod api;
mod core;
mod duties;
mod error;
mod hub;
mod logs;
mod metrics;
mod net;
mod secrets;
mod server;
mod settings;
mod watch;

pub use core::{Core, Identity, NoOrbs, OrbSource, Parts};
pub use duties::collect_garbage::Collector;
pub use duties::end_long_waits::end_long_waits_once;
pub use duties::expire_leases::expire_leases_once;
pub use error::ApiError;
pub use secrets::{KeyError, Keyring, new_key};
pub use server::{Server, StartError};
pub use settings::{DataSettings, ServerSettings, Timings, TlsFiles, Webhook};
