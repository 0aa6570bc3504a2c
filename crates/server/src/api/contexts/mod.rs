//! Contexts: variables under a name, for the jobs that name it.

pub mod create;
pub mod delete;
pub mod list;
