//! What jobs hand to each other, in a whole system of real processes: caches, workspaces, artifacts,
//! test results; and faults while it is handed on.

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod common;

mod bucket;
mod caches;
mod cancel;
mod contained;
mod damage;
mod full_disks;
mod inside;
mod isolation;
mod keys;
mod killed;
mod lies;
mod local;
mod outputs;
mod support;
mod workspaces;
