//! What steps find on their `PATH` as `circleci` and `circleci-agent`: this same program.
//!
//! Nothing of the rest is loaded: a step may call this often, and it must start in milliseconds.
//! `docs/helper.md` says what each command does.

mod glob;
mod halt;
mod names;
mod next;
mod split;
mod subst;
mod tests;
mod timings;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::failure::{Failure, code};
use crate::show::say;

/// The names by which jobs call it.
const NAMES: [&str; 2] = ["circleci", "circleci-agent"];
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+outrider");

/// Splits tests, stops jobs early, fills in variables: for steps of jobs.
#[derive(Parser)]
#[command(
    name = "circleci",
    max_term_width = 100,
    disable_version_flag = true,
    arg_required_else_help = true
)]
struct Helper {
    /// Print the version.
    #[arg(long)]
    version: bool,
    /// With --version: nothing but the version.
    #[arg(long, requires = "version")]
    short: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Find tests, split them over the job's tasks, run them.
    #[command(subcommand)]
    Tests(tests::TestsVerb),
    /// Stop the job early.
    #[command(subcommand, alias = "task")]
    Step(StepVerb),
    /// Fill in variables.
    #[command(subcommand)]
    Env(EnvVerb),
    /// Print the version.
    Version,
    /// Calls of CircleCI's own services; there are none here.
    Run(ServiceArgs),
}

#[derive(Subcommand)]
enum StepVerb {
    /// End the job after this step, as passed; also called `task halt`. A step that fails still
    /// fails the job.
    Halt,
}

#[derive(Subcommand)]
enum EnvVerb {
    /// Print a text with its $VAR and ${VAR} filled in.
    Subst(subst::SubstArgs),
}

/// Something that only CircleCI's service has.
#[derive(Args)]
struct ServiceArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// What the helper is to do, if it is the helper that was called: by one of its names, or as
/// `outrider helper`.
pub fn called(arguments: &[OsString]) -> Option<&[OsString]> {
    let name = Path::new(arguments.first()?).file_name();
    if NAMES.iter().any(|own| name == Some(OsStr::new(own))) {
        return Some(arguments);
    }
    let rest = &arguments[1..];
    rest.first()
        .is_some_and(|verb| verb == "helper")
        .then_some(rest)
}

/// Does it.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let helper = match Helper::try_parse_from(arguments) {
        Ok(helper) => helper,
        Err(error) if error.kind() == ErrorKind::InvalidSubcommand => {
            return next::pass_on(arguments).unwrap_or_else(|| end(&error));
        }
        Err(error) => return end(&error),
    };
    let done = match helper.verb {
        Some(verb) => run(verb),
        None => version(),
    };
    done.unwrap_or_else(|failure| failure.report())
}

/// Prints help, or what is wrong with the arguments.
fn end(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn run(verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Tests(verb) => tests::run(verb),
        Verb::Step(StepVerb::Halt) => halt::run(),
        Verb::Env(EnvVerb::Subst(args)) => subst::run(args),
        Verb::Version => version(),
        Verb::Run(service) => Err(not_here(&service.words)),
    }
}

fn version() -> Result<ExitCode, Failure> {
    say!("{VERSION}");
    Ok(ExitCode::SUCCESS)
}

fn not_here(words: &[String]) -> Failure {
    let (what, advice) = match words.first().map(String::as_str) {
        Some("oidc") => (
            "`run oidc` is not supported yet",
            "There is no issuer of OpenID Connect tokens here. Give the job what it needs to log \
             in as a variable of a context or of the project.",
        ),
        Some("release") => (
            "`run release` is not supported",
            "Releases are followed by CircleCI's service, and only there. Leave the step out.",
        ),
        _ => ("`run` has nothing to run here", "Leave the step out."),
    };
    Failure::new(code::FAILED, what).advise(advice)
}
