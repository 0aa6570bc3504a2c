//! A small Debian, of which tests make an image. `testkit/src/docker/layer.rs` reads it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{folder, install_packages, remove};
use crate::command::{is_root, run};

const RELEASE: &str = "bookworm";

/// What it can do without. Its licences stay.
const LEFT_OUT: &[&str] = &[
    "./usr/share/doc/*/*.gz",
    "./usr/share/info",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./usr/share/zoneinfo",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
    "./dev/*",
];

/// Makes it, if it is not there.
pub fn install() -> Result<()> {
    let archive = folder().join("debian-root.tar");
    if archive.is_file() {
        return Ok(());
    }
    if !is_root() {
        bail!(
            "{} is not there, of which tests make an image: run `sudo cargo xtask test` once",
            archive.display()
        );
    }
    install_packages(&[("/usr/sbin/debootstrap", "debootstrap")])?;
    let root = folder().join("debian-root");
    remove(&root)?;
    make(&root).context("could not make a small Debian: it takes the network, once")?;
    // What breaks off half way is never taken for whole.
    let fresh = archive.with_extension("new");
    pack(&root, &fresh)?;
    remove(&root)?;
    std::fs::rename(&fresh, &archive).context("could not move the small Debian to its place")
}

fn make(root: &Path) -> Result<()> {
    run(Command::new("debootstrap")
        .args(["--variant=minbase", RELEASE])
        .arg(root))?;
    run(Command::new("chroot").arg(root).args([
        "useradd",
        "--create-home",
        "--uid=1000",
        "--shell=/bin/bash",
        "ci",
    ]))
}

fn pack(root: &Path, archive: &Path) -> Result<()> {
    run(Command::new("tar")
        .args(["--create", "--numeric-owner", "--sort=name"])
        .args(LEFT_OUT.iter().map(|path| format!("--exclude={path}")))
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(root)
        .arg("."))
}
