//! `outrider config process`

use std::process::ExitCode;

use clap::Args;

use super::load::ConfigArgs;
use crate::failure::Failure;
use crate::show::say;

pub const EXAMPLES: &str = "\
Examples:
  outrider config process
  outrider config process -p deploy=true --branch main > processed.yml
  outrider config process --parameters @parameters.json --pipeline-value trigger_source=api";

/// Which config, and for which pipeline.
#[derive(Args)]
pub struct ProcessArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Prints it.
pub async fn run(args: &ProcessArgs) -> Result<ExitCode, Failure> {
    let config = args.config.load().await?.expand()?;
    let text = outrider_config::process(&config.expanded);
    say!("{}", text.strip_suffix('\n').unwrap_or(&text));
    Ok(ExitCode::SUCCESS)
}
