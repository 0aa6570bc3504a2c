//! `cargo xtask ci`: what must hold besides the tests.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{cargo, run as run_command};
use crate::{check_deps, policy, snapshot};

/// How a stage ended that did not fail.
pub enum Verdict {
    /// All is well.
    Passed,
    /// It could not be tried, and why.
    Skipped(String),
}

/// One thing that must hold.
struct Stage {
    name: &'static str,
    run: fn() -> Result<Verdict>,
}

/// All stages: the quick ones first, then those that share what they compile.
const STAGES: &[Stage] = &[
    Stage {
        name: "format",
        run: || passed(run_command(&mut cargo(["fmt", "--all", "--check"]))),
    },
    Stage {
        name: "check-deps",
        run: || passed(check_deps::run()),
    },
    Stage {
        name: "policy",
        run: || passed(policy::run()),
    },
    Stage {
        name: "advisories",
        run: policy::advisories,
    },
    Stage {
        name: "clippy",
        run: clippy,
    },
    Stage {
        name: "docs",
        run: docs,
    },
    Stage {
        name: "generated",
        run: || {
            passed(
                snapshot::OPENAPI
                    .check()
                    .and_then(|()| snapshot::DOCS.check()),
            )
        },
    },
];

fn clippy() -> Result<Verdict> {
    passed(run_command(&mut cargo([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])))
}

fn docs() -> Result<Verdict> {
    let mut command = cargo([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    passed(run_command(command.env("RUSTDOCFLAGS", "-D warnings")))
}

fn passed(ended: Result<()>) -> Result<Verdict> {
    ended.map(|()| Verdict::Passed)
}

/// Runs all stages, or those that are named, and goes on after one that failed.
pub fn run(names: &[String]) -> Result<ExitCode> {
    let stages = select(names)?;
    let mut rows = Vec::new();
    for stage in stages {
        println!("\n== {} ==", stage.name);
        let start = now();
        let ended = (stage.run)();
        let took = start.elapsed();
        let row = Row::new(stage.name, &ended, took);
        if let Err(error) = ended {
            eprintln!("error: {error:#}");
        }
        println!("-- {}", row.line(stage.name.len()));
        rows.push(row);
    }
    print!("\n{}", table(&rows));
    let failed = rows.iter().any(|row| row.failed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The stages with these names, in their own order; all of them where there is no name.
fn select(names: &[String]) -> Result<Vec<&'static Stage>> {
    let known = || {
        STAGES
            .iter()
            .map(|stage| stage.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    for name in names {
        if !STAGES.iter().any(|stage| stage.name == name) {
            bail!("there is no stage `{name}`; there are {}", known());
        }
    }
    let wanted = |stage: &&Stage| names.is_empty() || names.iter().any(|name| name == stage.name);
    Ok(STAGES.iter().filter(wanted).collect())
}

/// A line of the summary.
struct Row {
    name: &'static str,
    verdict: String,
    failed: bool,
    took: Duration,
}

impl Row {
    fn new(name: &'static str, ended: &Result<Verdict>, took: Duration) -> Self {
        let verdict = match ended {
            Ok(Verdict::Passed) => "passed".to_owned(),
            Ok(Verdict::Skipped(why)) => format!("skipped: {why}"),
            Err(_) => "FAILED".to_owned(),
        };
        Self {
            name,
            verdict,
            failed: ended.is_err(),
            took,
        }
    }

    fn line(&self, width: usize) -> String {
        format!(
            "{:width$}  {:>7.1} s  {}",
            self.name,
            self.took.as_secs_f64(),
            self.verdict
        )
    }
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    rows.iter().map(|row| row.line(width) + "\n").collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a stage took is only shown to people"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_chosen_by_name_and_keep_their_order() {
        let names = ["clippy".to_owned(), "format".to_owned()];
        let chosen: Vec<_> = select(&names)
            .expect("known")
            .iter()
            .map(|stage| stage.name)
            .collect();
        assert_eq!(chosen, ["format", "clippy"]);
        assert_eq!(select(&[]).expect("all").len(), STAGES.len());
    }

    #[test]
    fn an_unknown_stage_is_an_error_that_names_the_known_ones() {
        let error = select(&["fmt".to_owned()])
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("`fmt`") && text.contains("format, ")));
    }

    #[test]
    fn the_summary_shows_every_stage() {
        let rows = [
            Row::new("format", &Ok(Verdict::Passed), Duration::from_millis(300)),
            Row::new(
                "check-deps",
                &Err(anyhow::anyhow!("no")),
                Duration::from_secs(61),
            ),
            Row::new(
                "docs",
                &Ok(Verdict::Skipped("why".to_owned())),
                Duration::ZERO,
            ),
        ];
        assert_eq!(
            table(&rows),
            "format          0.3 s  passed\n\
             check-deps     61.0 s  FAILED\n\
             docs            0.0 s  skipped: why\n"
        );
    }
}
