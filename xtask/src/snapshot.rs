//! Files that come from the code: `docs/openapi.json`, and the tables in `docs/config.md`.
//!
//! The comparison is a test of this crate: so it runs with all others, and `xtask` itself does not
//! depend on the code that the files come from.

use anyhow::{Context, Result, bail};

use crate::command::{cargo, run as run_command};

/// Tells a test to write instead of to compare.
const WRITE: &str = "OUTRIDER_WRITE_SNAPSHOTS";

/// A file, the task that writes it, and the test that compares it.
pub struct Snapshot {
    task: &'static str,
    file: &'static str,
    test: &'static str,
}

/// The API's description.
pub const OPENAPI: Snapshot = Snapshot {
    task: "openapi",
    file: "docs/openapi.json",
    test: "openapi_snapshot",
};

/// The tables of keys.
pub const DOCS: Snapshot = Snapshot {
    task: "docs",
    file: "docs/config.md",
    test: "docs_snapshot",
};

impl Snapshot {
    /// Writes the file, or compares it with `--check`.
    pub fn run(&self, arguments: &[String]) -> Result<()> {
        match arguments {
            [] => {
                run_command(self.test().env(WRITE, "1"))?;
                println!("{} is written", self.file);
                Ok(())
            }
            [flag] if flag == "--check" => self.check(),
            other => bail!(
                "`{}` takes --check or nothing, not `{}`",
                self.task,
                other.join(" ")
            ),
        }
    }

    /// Compares.
    pub fn check(&self) -> Result<()> {
        let Self { task, file, .. } = self;
        run_command(&mut self.test()).with_context(|| {
            format!("the code and {file} differ: run `cargo xtask {task}` and commit it")
        })
    }

    /// The whole workspace is named, so that what `cargo xtask test` has built is used.
    fn test(&self) -> std::process::Command {
        cargo(["test", "--quiet", "--workspace", "--test", self.test])
    }
}
