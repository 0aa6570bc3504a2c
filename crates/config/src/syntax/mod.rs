//! The typed form of a config: what its keys mean, one part at a time.
//!
//! [`Packages`] keep definitions (jobs, commands, executors) as trees, because what they say is
//! known only once their parameters are. The readers here turn such a tree, expanded, into types;
//! run leniently, they also check definitions as they stand.

mod config;
mod container;
mod duration;
mod job;
pub(crate) mod keys;
mod package;
mod parameter;
pub(crate) mod place;
mod read;
mod registry;
mod step;
mod workflow;

pub(crate) use config::Version;
pub(crate) use job::{KINDS, WORKING_DIRECTORY};
pub(crate) use package::{Definition, Kind, Packages};
pub(crate) use parameter::{Declarations, Declares, Type};
pub(crate) use read::Reader;
pub(crate) use step::{Call, Command, NO_OUTPUT_TIMEOUT, Step, name_of};
pub(crate) use workflow::{Invocation, Requires, STATUSES, Workflow};
