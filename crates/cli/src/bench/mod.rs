//! `outrider bench`

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;

/// What to measure.
#[derive(Subcommand)]
pub enum BenchVerb {}

/// Measures it.
pub async fn run(verb: BenchVerb) -> Result<ExitCode, Failure> {
    match verb {}
}
