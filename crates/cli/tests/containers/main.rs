//! Jobs in containers of a real Engine, as their users meet them: by `outrider run`, and on a
//! server with a runner.

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod common;
#[path = "../docker/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod engine;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod program;
#[path = "../data/support.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod steps;

mod bench;
mod continuation;
mod data;
mod engine_away;
mod example;
mod killed;
mod memory;
mod remote_docker;
mod secrets;
mod services;
mod sudo;
mod support;
