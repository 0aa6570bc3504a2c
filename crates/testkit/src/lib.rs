//! A whole Outrider in one process, for tests: real server, real store, real runners, on a clock
//! that tests move and a network that loses, repeats and reorders.
//!
//! Only tests depend on this crate.

pub mod clock;
pub mod docker;
mod git;
pub mod hidden;
mod listening;
pub mod network;
pub mod random;
pub mod relay;
pub mod s3;
pub mod simulation;
pub mod world;

pub use clock::MovingClock;
pub use git::git;
pub use network::{Faults, Link};
pub use random::Seeded;
pub use world::World;
