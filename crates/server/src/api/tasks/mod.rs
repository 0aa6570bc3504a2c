//! Tasks and their logs.

pub mod artifact;
pub mod explain;
pub mod follow_log;
pub mod log;
pub mod show;
