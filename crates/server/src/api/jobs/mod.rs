//! Jobs.

pub mod approve;
pub mod artifacts;
pub mod cancel;
pub mod show;
pub mod tests;
