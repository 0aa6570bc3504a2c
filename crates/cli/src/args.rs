//! The command line: all verbs.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use outrider_service::telemetry::LogFormat;
use tokio::runtime::Runtime;

use crate::failure::Failure;
use crate::{
    artifacts, bench, completions, config, context, doctor, explain, job, pipeline, project, queue,
    run, runner, secrets, server, test_results, token,
};

/// Runs pipelines written in CircleCI's config language, on machines of your own.
#[derive(Parser)]
#[command(
    name = "outrider",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(after_help = "Try `outrider run` in a folder that has a .circleci/config.yml.")]
pub struct Cli {
    /// What to log on stderr: a level (error, warn, info, debug) or directives such as
    /// info,outrider_server=debug.
    #[arg(
        long,
        global = true,
        help_heading = "Logging",
        env = "OUTRIDER_LOG",
        default_value = "warn",
        value_name = "FILTER"
    )]
    pub log: String,
    /// How log lines look: text or json.
    #[arg(
        long,
        global = true,
        help_heading = "Logging",
        env = "OUTRIDER_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `outrider` can do.
#[derive(Subcommand)]
pub enum Verb {
    /// Run a pipeline of a folder here and now: no server, no account, no network.
    Run(Box<run::RunArgs>),
    /// Check, expand and draw configs, without running anything.
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Serve: API, queue and logs, for runners and for the commands below.
    Server(Box<server::ServerArgs>),
    /// Run tasks for a server.
    #[command(subcommand)]
    Runner(runner::RunnerVerb),
    /// Trigger, list, show, continue and cancel pipelines on a server.
    #[command(subcommand)]
    Pipeline(pipeline::PipelineVerb),
    /// Show a job, read its log, approve it, cancel it.
    #[command(subcommand)]
    Job(job::JobVerb),
    /// List and download the files that jobs stored.
    #[command(subcommand)]
    Artifacts(artifacts::ArtifactsVerb),
    /// Show the tests of a job that failed, with their messages.
    Tests(test_results::TestsArgs),
    /// Set the secrets of a project: variables and SSH keys.
    #[command(subcommand)]
    Project(project::ProjectVerb),
    /// Make contexts, and set their variables.
    #[command(subcommand)]
    Context(context::ContextVerb),
    /// Show the keys that seal secrets, and change to a new one.
    #[command(subcommand)]
    Secrets(secrets::SecretsVerb),
    /// Say why a task waits, or why it ended as it did, and what to do.
    Explain(explain::ExplainArgs),
    /// Show how much is queued and running, by resource class.
    Queue(queue::QueueArgs),
    /// Make, list and revoke tokens.
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Say what this host offers to which executor, and what it lacks.
    Doctor(doctor::DoctorArgs),
    /// Measure this build on this host, beside floors measured in the same run.
    #[command(subcommand)]
    Bench(bench::BenchVerb),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

impl Verb {
    /// The threads that the verb runs on: few, so that an idle runner is small.
    pub fn runtime(&self) -> io::Result<Runtime> {
        let threads = match self {
            Self::Runner(_) => 2,
            _ => std::thread::available_parallelism()
                .map_or(2, usize::from)
                .max(2),
        };
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_keep_alive(Duration::from_secs(2))
            .enable_all()
            .build()
    }

    /// Does it.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Run(args) => run::run(*args).await,
            Self::Config(verb) => config::run(verb).await,
            Self::Server(args) => server::run(*args).await,
            Self::Runner(verb) => runner::run(verb).await,
            Self::Pipeline(verb) => pipeline::run(verb).await,
            Self::Job(verb) => job::run(verb).await,
            Self::Artifacts(verb) => artifacts::run(verb).await,
            Self::Tests(args) => test_results::run(args).await,
            Self::Project(verb) => project::run(verb).await,
            Self::Context(verb) => context::run(verb).await,
            Self::Secrets(verb) => secrets::run(verb).await,
            Self::Explain(args) => explain::run(args).await,
            Self::Queue(args) => queue::run(args).await,
            Self::Token(verb) => token::run(verb).await,
            Self::Doctor(args) => doctor::run(args).await,
            Self::Bench(verb) => bench::run(verb).await,
            Self::Completions(args) => completions::run(&args),
        }
    }
}

/// Where an Engine listens. An empty one is none: that is how a variable is taken back.
pub fn engine_address(text: &str) -> Result<String, String> {
    let is_one = match text.split_once("://") {
        Some(("unix", path)) => path.starts_with('/'),
        Some(("tcp" | "http", host)) => !host.is_empty(),
        _ => text.is_empty(),
    };
    match is_one {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{text}` is no address of an Engine: write for example unix:///run/docker.sock or \
             tcp://HOST:2375"
        )),
    }
}

/// A duration as people write it: `90s`, `10m`, `5h`, `250ms`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write for example 90s, 10m or 5h");
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| at + digits);
        let unit = match &rest[digits..unit_end] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return Err(wrong()),
        };
        sum += unit * number;
        rest = &rest[unit_end..];
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(sum)
    }
}

/// A number of bytes as people write it: `500MiB`, `20GB`, `1TiB`, `0`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write for example 500MiB, 20GiB or 0");
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit: u64 = match unit {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// `KEY=VALUE`.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not KEY=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_of_an_engine_has_a_scheme() {
        for address in ["unix:///run/docker.sock", "tcp://box:2375", ""] {
            assert_eq!(engine_address(address).as_deref(), Ok(address));
        }
        for wrong in [
            "/run/docker.sock",
            "box:2375",
            "ssh://me@box",
            "unix://",
            "tcp://",
        ] {
            assert!(engine_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("20GiB"), Ok(20 << 30));
        assert_eq!(bytes("500MB"), Ok(500_000_000));
        for wrong in [
            "",
            "GiB",
            "5 GiB",
            "-5GiB",
            "5gb",
            "5.5GiB",
            "99999999999TiB",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        for wrong in ["", "5", "m", "5 m", "5d", "-5s", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
