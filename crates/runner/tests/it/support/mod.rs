//! A server and an executor that exist in memory only, and a runner between them.

pub mod executor;
pub mod rig;
pub mod server;
pub mod tasks;
