//! Steps that move data, in environments whose files the host does not see.
//!
//! The runner starts this program inside as a tool ([`VERB`]), which runs the step as it runs on a
//! host ([`step`]). All that the step asks of the server goes through the tool's stdout and stdin
//! to the runner, which makes the call with its own lease (`serve`): neither the lease nor any
//! signed URL is ever seen inside. What is inside belongs to the job, so the runner answers only
//! what the step needs, in frames of a bounded length. [`code`] is the tool of `checkout`.

mod allowed;
pub mod code;
pub(crate) mod protocol;
mod proxy;
pub(crate) mod serve;
pub mod step;
mod transfers;

/// The hidden verb of the program that runs a step inside.
pub const VERB: &str = "task-step";
