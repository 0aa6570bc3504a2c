//! Configs: what CircleCI's own command line asks about them.

pub mod compile;
pub mod compile_with_defaults;
