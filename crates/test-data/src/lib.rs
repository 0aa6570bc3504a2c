//! Results of tests, as data: read from reports, kept, and used to split tests over tasks.
//!
//! - [`junit`] reads reports in JUnit XML and its dialects; [`collect`] those of a directory;
//! - [`stored`] is the form in which results travel and are kept;
//! - [`timings`] says how long each file, class or test took, and [`split`] balances by that.
//!
//! Nothing here knows a server, a runner or a store. Memory is bounded whatever is read.

pub mod collect;
pub mod junit;
mod result;
pub mod split;
pub mod stored;
pub mod timings;

pub use collect::{CollectError, Collected, Collector, Note};
pub use result::{Summary, TestOutcome, TestResult};
pub use split::Partition;
pub use timings::{Kind, Timings};
