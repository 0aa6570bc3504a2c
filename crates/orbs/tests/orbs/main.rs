//! Getting orbs from real folders and real servers.

mod common;
mod local;
mod network;
