//! Jobs.

pub mod approve;
pub mod cancel;
pub mod show;
