//! `cargo xtask test`: all tests of the workspace.

use std::io::{BufRead, BufReader, Write};
use std::process::{ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::command::{answers, cargo, is_root, status};
use crate::engine::{self, Engine};
use crate::{prerequisites, tools};

/// Tests that only root can run, by how their names begin.
const FOR_ROOT: &str = "own_engine::";

/// Runs doc tests, then all others, and ends with the test runner's summary. With arguments, only
/// the tests that they select.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    prerequisites::check()?;
    tools::install()?;
    let engine = Engine::provide()?;
    let address = engine.address();
    // First, so that the summary that counts is the last thing on the screen.
    let documented = match arguments {
        [] => Some(status(&mut cargo([
            "test",
            "--quiet",
            "--workspace",
            "--doc",
        ]))?),
        _ => None,
    };
    let left_out = (!is_root()).then(|| {
        println!("left out: {FOR_ROOT}*, which start Docker Engines of their own: run `sudo cargo xtask test`");
        FOR_ROOT
    });
    let tested = if answers(&mut cargo(["nextest", "--version"])) {
        status(
            cargo(["nextest", "run", "--workspace", "--no-fail-fast"])
                .args(left_out.map(|tests| format!("--filterset=not test(/^{tests}/)")))
                .args(arguments)
                .env(engine::VARIABLE, address),
        )?
    } else {
        plain(arguments, left_out, &address)?
    };
    let failed = documented.filter(|ended| !ended.success());
    if failed.is_some() {
        eprintln!("error: a doc test failed; its output stands above that of the other tests");
    }
    Ok(exit_code(
        failed.filter(|_| tested.success()).unwrap_or(tested),
    ))
}

/// Without nextest: cargo's own runner, which has a summary for each binary only. It is passed on
/// line by line, and added up.
fn plain(arguments: &[String], left_out: Option<&str>, engine: &str) -> Result<ExitStatus> {
    let mut command = cargo(["test", "--workspace", "--tests", "--no-fail-fast"]);
    command.args(arguments);
    if let Some(tests) = left_out {
        let separated = arguments.iter().any(|argument| argument == "--");
        command.args((!separated).then_some("--"));
        command.args(["--skip", tests]);
    }
    command.env(engine::VARIABLE, engine).stdout(Stdio::piped());
    println!(
        "$ cargo test --workspace --tests --no-fail-fast {}",
        arguments.join(" ")
    );
    let mut child = command.spawn().context("could not start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut total = Total::default();
    let mut screen = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("could not read cargo's output")?;
        total.add(&String::from_utf8_lossy(&line));
        screen.write_all(&line)?;
        screen.write_all(b"\n")?;
    }
    let ended = child.wait().context("could not wait for cargo")?;
    writeln!(
        screen,
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.ignored
    )?;
    Ok(ended)
}

/// The sum of several summaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Total {
    /// Takes `test result: ok. 3 passed; 0 failed; 1 ignored; …`, and passes over all else.
    fn add(&mut self, line: &str) {
        let Some(summary) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in summary.split([';', '.']) {
            let Some((number, word)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    match status.code().map(u8::try_from) {
        Some(Ok(code)) => ExitCode::from(code),
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::Total;

    #[test]
    fn summaries_add_up() {
        let mut total = Total::default();
        for line in [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
            "running 3 tests",
            "test tests::a_name ... ok",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            total.add(line);
        }
        assert_eq!(
            total,
            Total {
                passed: 13,
                failed: 2,
                ignored: 1
            }
        );
    }
}
