//! A server and an executor that exist in memory only, and a runner between them; and real
//! repositories to check out.

pub mod executor;
pub mod git_server;
pub mod hidden;
pub mod repository;
pub mod rig;
pub mod server;
pub mod ssh_server;
pub mod tasks;
