//! `outrider bench`: what this build does on this host, each figure beside its floor: what the host
//! itself does in the same run without Outrider. Compare ratios, not figures of different hosts.

mod child;
mod config;
mod data;
mod dispatch;
mod docker;
mod floors;
mod idle;
mod logs;
mod memory;
mod platform;
mod table;
mod tap;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// What to measure.
#[derive(Subcommand)]
pub enum BenchVerb {
    /// How fast a config becomes a plan, and in how much memory.
    Config(BenchArgs),
    /// Caches and workspaces beside `tar` and `cp`, and how fast tests are split.
    Data(data::DataArgs),
    /// Whole lives of tasks: how many a second, and how soon a step's first byte is there.
    Dispatch(BenchArgs),
    /// Jobs in containers beside `docker run` and `docker exec`.
    Docker(docker::DockerBenchArgs),
    /// Memory of a runner and a server that have nothing to do.
    Idle(BenchArgs),
    /// How fast a step's output goes from its shell to the server's disk.
    Logs(BenchArgs),
}

/// How to measure.
#[derive(Args, Clone, Copy)]
pub struct BenchArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// A tenth of the work: to see that it works, not to quote.
    #[arg(long)]
    pub quick: bool,
}

/// Measures it.
pub async fn run(verb: BenchVerb) -> Result<ExitCode, Failure> {
    outrider_api::client::use_ring();
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: the figures say nothing. Build with --release.");
    }
    match verb {
        BenchVerb::Config(args) => config::run(args)?,
        BenchVerb::Data(args) => data::run(args).await?,
        BenchVerb::Dispatch(args) => dispatch::run(args).await?,
        BenchVerb::Docker(args) => docker::run(args).await?,
        BenchVerb::Idle(args) => idle::run(args).await?,
        BenchVerb::Logs(args) => logs::run(args).await?,
    }
    Ok(ExitCode::SUCCESS)
}
