//! What cargo knows of the workspace and of everything that it depends on.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::cargo;

/// The part of `cargo metadata` that is used here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// The workspace's packages and all of their dependencies, on all platforms.
    pub packages: Vec<Package>,
    workspace_members: Vec<String>,
}

/// A package.
#[derive(Debug, Deserialize)]
pub struct Package {
    id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX expression, if it names one.
    pub license: Option<String>,
    /// Where it comes from; nothing where it is a folder.
    pub source: Option<String>,
    /// What its manifest names.
    pub dependencies: Vec<Dependency>,
}

/// A dependency as a manifest names it.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// What it is for.
    #[serde(default, deserialize_with = "kind")]
    pub kind: Kind,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// It is part of the library or the program.
    #[default]
    Normal,
    /// It is used by tests only.
    Dev,
    /// It is used by a build script.
    Build,
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    Ok(
        match Option::<String>::deserialize(deserializer)?.as_deref() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        },
    )
}

impl Metadata {
    /// Asks cargo.
    pub fn load() -> Result<Self> {
        let output = cargo(["metadata", "--format-version", "1", "--all-features"])
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("could not start cargo")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed: {}", output.status);
        }
        serde_json::from_slice(&output.stdout).context("could not read what `cargo metadata` says")
    }

    /// The workspace's own packages.
    pub fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}
