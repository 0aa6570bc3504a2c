//! Calls of CircleCI's own API that jobs make.

pub mod continue_pipeline;
