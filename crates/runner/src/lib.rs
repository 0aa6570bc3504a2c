//! The agent: claims tasks, runs them, and reports what happened.

pub mod server_api;

pub use server_api::ServerApi;
