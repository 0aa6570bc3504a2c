//! Development tasks. `cargo xtask help` lists them.
//!
//! Nothing here knows Outrider's own crates: it builds in seconds, and it works while one of them
//! does not compile.

mod check_deps;
mod ci;
mod command;
mod engine;
mod metadata;
mod policy;
mod prerequisites;
mod snapshot;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
Development tasks. Usage: cargo xtask TASK [ARGUMENTS]

  test [FILTER ...]   build and run all tests; arguments go to the test runner
  ci [STAGE ...]      everything else that must hold before a change is merged
  openapi [--check]   write docs/openapi.json from the code, or only compare it
  docs [--check]      write the tables in docs/config.md from the code, or only compare them
  check-deps          hold the crate graph of ARCHITECTURE.md
  policy              hold deny.toml: licences, banned crates, sources
  help                print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let ended = match task {
        "test" => test::run(rest),
        "ci" => ci::run(rest),
        "openapi" => snapshot::OPENAPI.run(rest).map(|()| ExitCode::SUCCESS),
        "docs" => snapshot::DOCS.run(rest).map(|()| ExitCode::SUCCESS),
        "check-deps" => check_deps::run().map(|()| ExitCode::SUCCESS),
        "policy" => policy::run().map(|()| ExitCode::SUCCESS),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        unknown => Err(anyhow::anyhow!("there is no task `{unknown}`\n{HELP}")),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
