//! What a machine must have to build and test Outrider: Rust, git, a C compiler, and pip.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command::answers;
use crate::tools;

/// The oldest Rust that compiles the workspace.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Says all that is missing at once, and how to get it.
pub fn check() -> Result<()> {
    let mut missing = Vec::new();
    match rust_version() {
        Some(found) if at_least(&found, RUST) => {}
        Some(found) => missing.push(format!(
            "rustc {found} is too old: Outrider needs {RUST}. Run `rustup update`."
        )),
        None => missing.push("rustc does not answer. See https://rustup.rs.".to_owned()),
    }
    if !answers(Command::new("git").arg("--version")) {
        missing
            .push("git is missing: tests make repositories. Install the package `git`.".to_owned());
    }
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    if !answers(Command::new(&compiler).arg("--version")) {
        missing.push(format!(
            "the C compiler `{}` is missing: SQLite is compiled from source. \
             Install `gcc` or `clang` (Debian: build-essential), or name one in CC.",
            compiler.to_string_lossy()
        ));
    }
    if !tools::installed() && !answers(Command::new("python3").args(["-m", "pip", "--version"])) {
        missing.push(
            "python3 with pip is missing: it installs the S3 server that tests run against. \
             Install it (Debian: python3-pip)."
                .to_owned(),
        );
    }
    if !missing.is_empty() {
        bail!(
            "this machine lacks something:\n  - {}",
            missing.join("\n  - ")
        );
    }
    Ok(())
}

/// `1.95.0` from `rustc 1.95.0 (59807616e 2026-04-14)`.
fn rust_version() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

/// Compares major and minor version; what cannot be read counts as new enough.
fn at_least(found: &str, needed: &str) -> bool {
    let parse = |version: &str| -> Option<(u32, u32)> {
        let mut numbers = version.split(['.', '-']).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    match (parse(found), parse(needed)) {
        (Some(found), Some(needed)) => found >= needed,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::at_least;

    #[test]
    fn versions_are_numbers_not_text() {
        assert!(at_least("1.95.0", "1.90"));
        assert!(at_least("1.90.0-nightly", "1.90"));
        assert!(at_least("2.0.0", "1.90"));
        assert!(!at_least("1.9.0", "1.90"));
        assert!(!at_least("1.89.1", "1.90"));
        assert!(at_least("unknown", "1.90"));
    }
}
