//! Pipelines.

pub mod cancel;
pub mod continuation;
pub mod events;
pub mod list;
pub mod show;
pub mod submit;
