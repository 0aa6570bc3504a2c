//! A small Debian, of which tests make an image. `testkit/src/docker/layer.rs` reads it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{folder, install_packages, remove};
use crate::command::{is_root, run};

const RELEASE: &str = "bookworm";

/// What it has besides the least: a database that is a service, and what steps call.
const PACKAGES: &str = "openssh-client,redis-server,sudo";

/// Its user may become root, as in the usual images for CI.
const SUDOERS: &str = "ci ALL=(ALL) NOPASSWD: ALL\n";

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

/// Makes it, if it is not there with all of its packages.
pub fn install() -> Result<()> {
    let archive = folder().join("debian-root.tar");
    let recipe = archive.with_extension("packages");
    let made_of = std::fs::read_to_string(&recipe).unwrap_or_default();
    if archive.is_file() && made_of == PACKAGES {
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
    std::fs::rename(&fresh, &archive).context("could not move the small Debian to its place")?;
    std::fs::write(&recipe, PACKAGES).context("could not write what the small Debian consists of")
}

fn make(root: &Path) -> Result<()> {
    run(Command::new("debootstrap")
        .arg("--variant=minbase")
        .arg(format!("--include={PACKAGES}"))
        .arg(RELEASE)
        .arg(root))?;
    run(Command::new("chroot").arg(root).args([
        "useradd",
        "--create-home",
        "--uid=1000",
        "--shell=/bin/bash",
        "ci",
    ]))?;
    std::fs::write(root.join("etc/sudoers.d/ci"), SUDOERS).context("could not write who may sudo")
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
