//! Jobs.

pub mod cancel;
pub mod show;
