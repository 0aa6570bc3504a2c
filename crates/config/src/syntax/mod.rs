//! The typed form of a config: what its keys mean, one part at a time.
//!
//! [`Packages`] keep definitions (jobs, commands, executors) as trees, because what they say is
//! known only once their parameters are. The readers here turn such a tree, expanded, into types;
//! run leniently, they also check definitions as they stand.

mod config;
mod container;
mod duration;
mod job;
mod keys;
mod package;
mod parameter;
mod read;
mod registry;
mod step;
mod workflow;

pub(crate) use config::Version;
pub(crate) use job::KINDS;
pub(crate) use keys::MATCHES;
pub(crate) use package::{Definition, Kind, Packages};
pub(crate) use parameter::{Declarations, Declares, Type};
pub(crate) use read::Reader;
pub(crate) use step::{Call, Command, Step};
pub(crate) use workflow::{Invocation, Requires, Workflow};
