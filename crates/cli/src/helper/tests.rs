//! `circleci tests`

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use clap::{Args, Subcommand};
use indexmap::IndexSet;

use super::glob;
use super::names::{self, Names};
use super::split::SplitArgs;
use crate::failure::{Failure, code};
use crate::show::hint;

#[derive(Subcommand)]
pub enum TestsVerb {
    /// Print the files that match patterns, sorted, one a line.
    Glob(GlobArgs),
    /// Print this task's share of names, one a line.
    Split(SplitNamesArgs),
    /// Give this task's share of the names on stdin to a command.
    Run(RunArgs),
}

#[derive(Args)]
pub struct GlobArgs {
    /// `*` and `?` match within one folder, `**` any number of folders, `[a-z]` one of some
    /// characters, `{a,b}` one of several patterns. Quote them, or the shell reads them.
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<OsString>,
}

#[derive(Args)]
pub struct SplitNamesArgs {
    /// A file with the names, one a line; without it they are read from stdin.
    #[arg(value_name = "FILENAME")]
    file: Option<PathBuf>,
    #[command(flatten)]
    split: SplitArgs,
}

#[derive(Args)]
pub struct RunArgs {
    /// What to run with the names on its stdin, for example "xargs bundle exec rspec".
    #[arg(long, value_name = "COMMAND")]
    command: OsString,
    #[command(flatten)]
    split: SplitArgs,
}

pub fn run(verb: TestsVerb) -> Result<ExitCode, Failure> {
    match verb {
        TestsVerb::Glob(args) => print_matches(&args),
        TestsVerb::Split(args) => print_share(&args),
        TestsVerb::Run(args) => run_share(&args),
    }
}

fn print_matches(args: &GlobArgs) -> Result<ExitCode, Failure> {
    let mut found = IndexSet::new();
    for pattern in &args.patterns {
        found.extend(glob::find(pattern.as_bytes())?);
    }
    names::print(found.iter().map(Vec::as_slice))?;
    Ok(ExitCode::SUCCESS)
}

fn print_share(args: &SplitNamesArgs) -> Result<ExitCode, Failure> {
    let names = Names::read(args.file.as_deref())?;
    names::print(args.split.share(&names.lines())?)?;
    Ok(ExitCode::SUCCESS)
}

fn run_share(args: &RunArgs) -> Result<ExitCode, Failure> {
    let names = Names::read_stdin()?;
    let share = args.split.share(&names.lines())?;
    if share.is_empty() {
        hint!("This task has no tests to run: the command is not started.");
        return Ok(ExitCode::SUCCESS);
    }
    if args.split.verbose {
        hint!(
            "Running {} with {} names on its stdin",
            args.command.display(),
            share.len()
        );
    }
    let ended = feed(&args.command, share).map_err(|error| {
        let text = format!("cannot run {}: {error}", args.command.display());
        Failure::new(code::FAILED, text)
    })?;
    Ok(exit_code(ended))
}

/// Runs a command in a shell, with these lines on its stdin.
fn feed(command: &OsString, share: Vec<&[u8]>) -> io::Result<ExitStatus> {
    let bash = Path::new("/bin/bash");
    let shell = if bash.exists() {
        bash
    } else {
        Path::new("/bin/sh")
    };
    let mut child = Command::new(shell)
        .arg("-c")
        .arg(command)
        .stdin(Stdio::piped())
        .spawn()?;
    let fed = match child.stdin.take() {
        Some(stdin) => names::write(stdin, share),
        None => Ok(()),
    };
    let ended = child.wait()?;
    fed.map(|()| ended)
}

/// As a shell tells it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let number = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    let number = number.and_then(|number| u8::try_from(number).ok());
    number.map_or(ExitCode::FAILURE, ExitCode::from)
}
