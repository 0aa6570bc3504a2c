//! What runners call.

pub mod append_log;
pub mod claim;
pub mod data;
pub mod goodbye;
pub mod heartbeat;
pub mod release;
pub mod report;
pub mod secrets;
