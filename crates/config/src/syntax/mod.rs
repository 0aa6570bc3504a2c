//! The typed form of a config: what its keys mean, one part at a time.
//!
//! [`Config`] keeps definitions (jobs, commands, executors) as trees, because what they say is
//! known only once their parameters are. The readers here turn such a tree, expanded, into types;
//! run leniently, they also check definitions as they stand.

mod config;
mod container;
mod duration;
mod job;
mod keys;
mod parameter;
mod place;
mod read;
mod step;
mod workflow;

pub(crate) use config::{Config, Definition, Version};
pub(crate) use job::WORKING_DIRECTORY;
pub(crate) use parameter::{Declarations, Declares, Type};
pub(crate) use read::Reader;
pub(crate) use step::{NO_OUTPUT_TIMEOUT, Step, name_of};
pub(crate) use workflow::{Invocation, Requires, STATUSES, Workflow};
