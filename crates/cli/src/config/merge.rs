//! `outrider config merge`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use outrider_config::SourceFile;

use super::report;
use crate::failure::Failure;
use crate::run::read_config;
use crate::show::say;

/// Which configs.
#[derive(Args)]
pub struct MergeArgs {
    /// The configs. Of what two of them say the later one counts, mappings aside: those are joined.
    #[arg(required = true, value_name = "FILE")]
    configs: Vec<PathBuf>,
}

/// Prints one config.
pub fn run(args: &MergeArgs) -> Result<ExitCode, Failure> {
    let configs = args.configs.iter().map(|path| {
        let text = read_config(path)?;
        Ok(SourceFile::new(path.display().to_string(), text))
    });
    let configs = configs.collect::<Result<Vec<_>, Failure>>()?;
    let text = outrider_config::merge(&configs)
        .map_err(|wrong| report::invalid(wrong.config, &wrong.diagnostics))?;
    say!("{}", text.strip_suffix('\n').unwrap_or(&text));
    Ok(ExitCode::SUCCESS)
}
