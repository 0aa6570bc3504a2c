//! Faults in a whole system of real processes, and what survives them.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests run beside real processes, in real time"
)]

#[path = "../common/mod.rs"]
mod common;

mod checkout;
mod disk;
mod logs;
mod proxy;
mod runner_dies;
mod server_dies;
