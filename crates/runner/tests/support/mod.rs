//! A server and an executor that exist in memory only, and a runner between them.

#![expect(dead_code, reason = "each test file uses its part")]
#![expect(
    clippy::missing_panics_doc,
    reason = "tests panic where something is wrong"
)]

pub mod executor;
pub mod rig;
pub mod server;
pub mod tasks;
