//! `outrider config`: what a config says, without running it.

mod graph;
mod load;
mod merge;
mod process;
mod report;
mod validate;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::show;

pub use report::{invalid, warn};

/// What to do with a config.
#[derive(Subcommand)]
pub enum ConfigVerb {
    /// Say whether a config is right, and all that is wrong with it.
    #[command(after_help = validate::EXAMPLES)]
    Validate(Box<validate::ValidateArgs>),
    /// Print a config with everything in place: parameters, commands, executors, orbs, matrices.
    #[command(after_help = process::EXAMPLES)]
    Process(Box<process::ProcessArgs>),
    /// Draw what runs after what.
    #[command(after_help = graph::EXAMPLES)]
    Graph(Box<graph::GraphArgs>),
    /// Print several configs as one.
    Merge(merge::MergeArgs),
    /// Print a JSON schema of the language, for editors.
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
}

const SCHEMA_EXAMPLES: &str = "\
Examples:
  outrider config schema > circleci.schema.json
  # and as the first line of a config, for editors with a YAML language server:
  # yaml-language-server: $schema=../circleci.schema.json";

/// Does it.
pub async fn run(verb: ConfigVerb) -> Result<ExitCode, Failure> {
    match verb {
        ConfigVerb::Validate(args) => validate::run(&args).await,
        ConfigVerb::Process(args) => process::run(&args).await,
        ConfigVerb::Graph(args) => graph::run(&args).await,
        ConfigVerb::Merge(args) => merge::run(&args),
        ConfigVerb::Schema => {
            show::json(&outrider_config::reference::schema());
            Ok(ExitCode::SUCCESS)
        }
    }
}
