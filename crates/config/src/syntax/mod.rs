//! The typed form of a config: what its keys mean, one part at a time.
//!
//! [`Packages`] keep definitions (jobs, commands, executors) as trees, because what they say is
//! known only once their parameters are. The readers here turn such a tree, expanded, into types;
//! run leniently, they also check definitions as they stand.

mod config;
mod container;
mod duration;
mod filters;
mod group;
mod invocation;
mod job;
pub(crate) mod keys;
mod matrix;
mod package;
mod parameter;
pub(crate) mod place;
mod read;
mod registry;
mod requires;
mod schedule;
mod step;
mod workflow;

pub(crate) use config::Version;
pub(crate) use filters::WrittenFilters;
pub(crate) use group::Group;
pub(crate) use invocation::Invocation;
pub(crate) use job::{JobType, KINDS, WORKING_DIRECTORY};
pub(crate) use keys::{GROUP_USE, MATCHES};
pub(crate) use matrix::{Axis, Matrix, shown};
pub(crate) use package::{Definition, Kind, Lookup, Packages};
pub(crate) use parameter::{Declarations, Declares, Type};
pub(crate) use read::Reader;
pub(crate) use requires::{Requires, STATUSES};
pub(crate) use step::{Call, Command, NO_OUTPUT_TIMEOUT, Step, name_of};
pub(crate) use workflow::{Use, Workflow};
