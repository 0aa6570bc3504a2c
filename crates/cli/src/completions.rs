//! `outrider completions`

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::Failure;
use crate::show::say;

/// For which shell.
#[derive(Args)]
pub struct CompletionsArgs {
    /// For example: `outrider completions bash > ~/.local/share/bash-completion/completions/outrider`
    shell: Shell,
}

/// Prints them.
pub fn run(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "outrider", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
