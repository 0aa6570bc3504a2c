//! `outrider config validate`

use std::process::ExitCode;

use clap::Args;
use outrider_config::{Diagnostics, ExpandedConfig, SourceFile};
use serde::Serialize;

use super::load::ConfigArgs;
use super::report::{self, Report};
use crate::failure::{Failure, code};
use crate::show::{self, say};

pub const EXAMPLES: &str = "\
Examples:
  outrider config validate
  outrider config validate --json .circleci/config.yml
  git show HEAD:.circleci/config.yml | outrider config validate -";

/// Which config.
#[derive(Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON, for editors.
    #[arg(long)]
    json: bool,
}

/// What editors get.
#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    valid: bool,
    workflows: usize,
    jobs: usize,
    diagnostics: Vec<Report<'a>>,
}

/// Says whether it is right.
pub async fn run(args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let loaded = args.config.load().await?;
    if args.json {
        let result = outrider_config::expand(&loaded.source, &loaded.options);
        return Ok(print_json(&loaded.source, &result));
    }
    let config = loaded.expand()?;
    say!("{} is valid: {}", loaded.source.name, counts(&config));
    Ok(ExitCode::SUCCESS)
}

fn print_json(source: &SourceFile, result: &Result<ExpandedConfig, Diagnostics>) -> ExitCode {
    let config = result.as_ref().ok();
    let diagnostics = result
        .as_ref()
        .map_or_else(|errors| errors, |config| &config.warnings);
    show::json(&Verdict {
        file: &source.name,
        valid: config.is_some(),
        workflows: config.map_or(0, |it| it.expanded.workflows.len()),
        jobs: config.map_or(0, jobs),
        diagnostics: report::for_editors(source, diagnostics),
    });
    match config {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::from(code::INVALID_CONFIG),
    }
}

fn jobs(config: &ExpandedConfig) -> usize {
    let workflows = config.expanded.workflows.iter();
    workflows.map(|workflow| workflow.jobs.len()).sum()
}

fn counts(config: &ExpandedConfig) -> String {
    let number = |count: usize, thing: &str| match count {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    };
    format!(
        "{}, {}",
        number(config.expanded.workflows.len(), "workflow"),
        number(jobs(config), "job")
    )
}
