//! `cargo xtask policy`: what we may depend on. `deny.toml` says it, in cargo-deny's words.
//!
//! Licences, banned crates and sources are checked here, from what cargo knows already, so that it
//! needs no network and no other tool. The file means the same to cargo-deny, which also knows
//! security advisories.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::ci::Verdict;
use crate::command::{answers, cargo, root, run as run_command};
use crate::metadata::{Metadata, Package};

/// The part of deny.toml that is checked here.
#[derive(Debug, Deserialize)]
struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// More licences for one crate.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
    allow_git: Vec<String>,
}

/// Holds the policy.
pub fn run() -> Result<()> {
    let path = root().join("deny.toml");
    let text = std::fs::read_to_string(&path).context("could not read deny.toml")?;
    let policy: Policy = toml::from_str(&text).context("could not understand deny.toml")?;
    let metadata = Metadata::load()?;
    let wrong: Vec<String> = metadata
        .packages
        .iter()
        .flat_map(|package| policy.complaints(package))
        .collect();
    if !wrong.is_empty() {
        bail!(
            "dependencies break the policy of deny.toml:\n  - {}\n\
             `cargo tree --invert CRATE --target all` shows who brings a crate along.",
            wrong.join("\n  - ")
        );
    }
    for twice in duplicates(&metadata.packages) {
        println!("warning: {twice}");
    }
    for unused in policy.unused(&metadata.packages) {
        println!("warning: deny.toml: {unused}");
    }
    println!(
        "{} packages: licences, bans and sources as deny.toml says",
        metadata.packages.len()
    );
    Ok(())
}

/// Asks cargo-deny about security advisories, where it is there and can fetch them.
pub fn advisories() -> Result<Verdict> {
    if !answers(&mut cargo(["deny", "--version"])) {
        return Ok(Verdict::Skipped(
            "cargo-deny is not installed (cargo install --locked cargo-deny)".to_owned(),
        ));
    }
    if !answers(&mut cargo(["deny", "fetch", "db"])) {
        return Ok(Verdict::Skipped(
            "the advisory database could not be fetched".to_owned(),
        ));
    }
    run_command(&mut cargo(["deny", "check", "advisories"]))?;
    Ok(Verdict::Passed)
}

impl Policy {
    /// What is wrong with a package.
    fn complaints(&self, package: &Package) -> Vec<String> {
        [
            self.license(package),
            self.ban(package),
            self.source(package),
        ]
        .into_iter()
        .flatten()
        .map(|complaint| format!("{} {}: {complaint}", package.name, package.version))
        .collect()
    }

    fn license(&self, package: &Package) -> Option<String> {
        let Some(text) = &package.license else {
            return Some("its manifest names no licence".to_owned());
        };
        let expression = match Expression::parse_mode(text, ParseMode::LAX) {
            Ok(expression) => expression,
            Err(error) => {
                return Some(format!(
                    "its licence `{text}` cannot be read: {}",
                    error.reason
                ));
            }
        };
        let allowed: BTreeSet<&str> = self.allowed(&package.name).collect();
        let allows = expression.evaluate(|wanted| allowed.contains(wanted.to_string().as_str()));
        (!allows).then(|| format!("its licence `{text}` is not on the list"))
    }

    /// The licences that this package may have.
    fn allowed(&self, package: &str) -> impl Iterator<Item = &str> {
        let more = self
            .licenses
            .exceptions
            .iter()
            .filter(move |more| more.name == package);
        self.licenses
            .allow
            .iter()
            .chain(more.flat_map(|more| &more.allow))
            .map(String::as_str)
    }

    fn ban(&self, package: &Package) -> Option<String> {
        let ban = self.bans.deny.iter().find(|ban| ban.name == package.name)?;
        Some(format!("it is banned: {}", ban.reason))
    }

    fn source(&self, package: &Package) -> Option<String> {
        let source = package.source.as_deref()?;
        let known = match source.split_once('+') {
            Some(("registry" | "sparse", registry)) => self
                .sources
                .allow_registry
                .iter()
                .any(|known| known == registry),
            Some(("git", repository)) => self
                .sources
                .allow_git
                .iter()
                .any(|known| repository.starts_with(known)),
            _ => false,
        };
        (!known).then(|| format!("it comes from {source}, which is not on the list"))
    }

    /// Exceptions that nothing needs any more.
    fn unused(&self, packages: &[Package]) -> Vec<String> {
        let there = |name: &str| packages.iter().any(|package| package.name == name);
        let exceptions = self
            .licenses
            .exceptions
            .iter()
            .filter(|more| !there(&more.name));
        exceptions
            .map(|more| format!("the exception for {} is not needed", more.name))
            .collect()
    }
}

/// Packages that are there in several versions: each is compiled, and may be vulnerable, by itself.
fn duplicates(packages: &[Package]) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        versions
            .entry(&package.name)
            .or_default()
            .push(&package.version);
    }
    let several = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| format!("{name} is there as {}", versions.join(" and ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "registry+https://example.org/index";

    fn policy() -> Policy {
        toml::from_str(
            r#"
            [licenses]
            allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
            exceptions = [{ crate = "data", allow = ["MPL-2.0"] }]
            [bans]
            multiple-versions = "warn"
            deny = [{ crate = "openssl", reason = "rustls does it" }]
            [sources]
            allow-registry = ["https://example.org/index"]
            allow-git = []
            "#,
        )
        .expect("the policy is well-formed")
    }

    fn package(name: &str, license: &str, source: &str) -> Package {
        let text = format!(
            r#"{{"id": "x", "name": "{name}", "version": "1.2.3", "license": "{license}",
                 "source": "{source}", "dependencies": []}}"#
        );
        serde_json::from_str(&text).expect("a package")
    }

    #[test]
    fn a_licence_is_an_expression() {
        let accepted = [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "MIT AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ];
        for license in accepted {
            let package = package("some", license, INDEX);
            assert_eq!(
                policy().complaints(&package),
                Vec::<String>::new(),
                "{license}"
            );
        }
        for license in [
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "MPL-2.0",
            "no such thing",
        ] {
            let package = package("some", license, INDEX);
            assert_eq!(policy().complaints(&package).len(), 1, "{license}");
        }
    }

    #[test]
    fn an_exception_is_for_one_crate() {
        assert!(
            policy()
                .complaints(&package("data", "MPL-2.0", INDEX))
                .is_empty()
        );
        assert_eq!(
            policy().unused(&[]),
            ["the exception for data is not needed"]
        );
    }

    #[test]
    fn a_ban_says_why() {
        let said = policy().complaints(&package("openssl", "MIT", INDEX));
        assert_eq!(said, ["openssl 1.2.3: it is banned: rustls does it"]);
    }

    #[test]
    fn only_known_sources() {
        let elsewhere = [
            "registry+https://example.com/index",
            "git+https://example.org/index#1",
        ];
        for source in elsewhere {
            assert_eq!(
                policy().complaints(&package("some", "MIT", source)).len(),
                1,
                "{source}"
            );
        }
    }

    #[test]
    fn duplicates_are_named_once() {
        let twice = [
            package("a", "MIT", INDEX),
            package("b", "MIT", INDEX),
            package("a", "MIT", INDEX),
        ];
        assert_eq!(duplicates(&twice), ["a is there as 1.2.3 and 1.2.3"]);
    }

    #[test]
    fn the_workspace_holds_the_policy() {
        run().expect("dependencies are as deny.toml says");
    }
}
