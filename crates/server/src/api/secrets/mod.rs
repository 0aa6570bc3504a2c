//! How secrets are sealed.

pub mod keys;
pub mod rotate;
