//! The inventory.

pub mod drain;
pub mod list;
