//! The `outrider` command: one binary, a verb for each role.

mod args;
mod artifacts;
mod bench;
mod completions;
mod config;
mod connection;
mod context;
mod docker_args;
mod doctor;
mod explain;
mod failure;
mod helper;
mod job;
mod local_runner;
mod orbs;
mod paths;
mod pipeline;
mod project;
mod quantity;
mod queue;
mod run;
mod runner;
mod secret_input;
mod secret_key;
mod secrets;
mod server;
mod show;
mod task_step;
mod test_results;
mod token;
mod variables;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(arguments) = helper::called(&arguments) {
        return helper::main(arguments);
    }
    if let Some(called) = task_step::called(&arguments) {
        return task_step::main(called);
    }
    if arguments
        .get(1)
        .is_some_and(|verb| verb == outrider_executor::init::VERB)
    {
        return outrider_executor::init::main();
    }
    let cli = args::Cli::parse_from(runner::with_settings_file(arguments));
    outrider_service::telemetry::start(&cli.log, cli.log_format);
    let runtime = match cli.verb.runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::internal("start", error).report(),
    };
    let ended = runtime.block_on(cli.verb.run());
    // Blocking reads of a terminal or a pipe must not hold up the end.
    runtime.shutdown_background();
    ended.unwrap_or_else(|failure| failure.report())
}
