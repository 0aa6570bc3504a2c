//! What every long-running verb needs: a clock, randomness, a lifecycle with two-phase shutdown,
//! and logging.

pub mod clock;
pub mod crash;
pub mod lifecycle;
pub mod telemetry;

pub use clock::{Clock, OsRandom, SystemClock};
pub use lifecycle::{Shutdown, Tasks};
