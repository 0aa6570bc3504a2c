//! `cargo xtask openapi`: the snapshot of the API's description, `docs/openapi.json`.
//!
//! The comparison is a test, `tests/openapi_snapshot.rs`: so it runs with all others, and `xtask`
//! itself does not depend on the server.

use anyhow::{Context, Result, bail};

use crate::command::{cargo, run as run_command};

/// Tells the test to write instead of to compare.
const WRITE: &str = "OUTRIDER_WRITE_SNAPSHOTS";

/// Writes the snapshot, or compares it with `--check`.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => {
            run_command(snapshot().env(WRITE, "1"))?;
            println!("docs/openapi.json is written");
            Ok(())
        }
        [flag] if flag == "--check" => check(),
        other => bail!(
            "`openapi` takes --check or nothing, not `{}`",
            other.join(" ")
        ),
    }
}

/// Compares.
pub fn check() -> Result<()> {
    run_command(&mut snapshot())
        .context("the API and docs/openapi.json differ: run `cargo xtask openapi` and commit it")
}

/// The whole workspace is named, so that what `cargo xtask test` has built is used.
fn snapshot() -> std::process::Command {
    cargo([
        "test",
        "--quiet",
        "--workspace",
        "--test",
        "openapi_snapshot",
    ])
}
