//! What this host offers to the process executor.

use std::path::Path;
use std::process::Command;

use rustix::fs::{Access, access, statvfs};
use rustix::process::{PidfdFlags, Resource, getpid, getrlimit, pidfd_open};

use super::cgroup;
use crate::{Finding, Verdict};

/// Below this much free space a checkout of any size is likely to fail.
const LITTLE_SPACE: u64 = 1 << 30;
/// A slot needs fewer than 16 open files, the runner itself fewer than 200.
const FEW_FILES: u64 = 512;

/// All findings, in the order in which they matter. Runs `git --version`.
pub(super) fn all(root: &Path, cgroups: bool) -> Vec<Finding> {
    let root = existing_ancestor(root);
    vec![
        kernel(),
        bash(),
        git(),
        containment(cgroups),
        writable(root),
        space(root),
        open_files(),
    ]
}

fn finding(subject: &str, verdict: Verdict, detail: String, advice: Option<&str>) -> Finding {
    let advice = advice.map(str::to_owned);
    Finding {
        subject: subject.to_owned(),
        verdict,
        detail,
        advice,
    }
}

fn good(subject: &str, detail: String) -> Finding {
    finding(subject, Verdict::Good, detail, None)
}

fn kernel() -> Finding {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => good("kernel", format!("Linux {release}")),
        Err(error) => {
            let detail = format!("Linux {release} has no process descriptors: {error}");
            let advice = "use Linux 5.4 or later, and let the container call pidfd_open";
            finding("kernel", Verdict::Missing, detail, Some(advice))
        }
    }
}

fn bash() -> Finding {
    match access("/bin/bash", Access::EXEC_OK) {
        Ok(()) => good("bash", "/bin/bash".to_owned()),
        Err(error) => {
            let advice = "install bash: steps run in `/bin/bash` unless they name another `shell`";
            finding(
                "bash",
                Verdict::Missing,
                format!("/bin/bash: {error}"),
                Some(advice),
            )
        }
    }
}

fn git() -> Finding {
    let advice = Some("install git 2.18 or later: `checkout` needs it");
    match Command::new("git").arg("--version").output() {
        Ok(output) if output.status.success() => good(
            "git",
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ),
        Ok(output) => {
            let detail = format!("`git --version` ended with {}", output.status);
            finding("git", Verdict::Limited, detail, advice)
        }
        Err(error) => finding("git", Verdict::Limited, format!("git: {error}"), advice),
    }
}

fn containment(wanted: bool) -> Finding {
    let found = if wanted {
        cgroup::find()
    } else {
        Err("switched off".to_owned())
    };
    match found {
        Ok(path) => good("cgroup v2", format!("below {}", path.display())),
        Err(why) => {
            let detail = format!("{why}; processes of a task are found by searching /proc instead");
            let advice = "give the runner a cgroup of its own: `Delegate=yes` in its systemd unit";
            finding("cgroup v2", Verdict::Limited, detail, Some(advice))
        }
    }
}

fn writable(root: &Path) -> Finding {
    let shown = root.display().to_string();
    match access(root, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => good("working directory", shown),
        Err(error) => {
            let advice = "let the runner's user write there, or set another working directory";
            let detail = format!("{shown}: {error}");
            finding("working directory", Verdict::Missing, detail, Some(advice))
        }
    }
}

fn space(root: &Path) -> Finding {
    let subject = "disk space";
    let advice = Some("free some space, or set another working directory");
    match statvfs(root) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{} MiB free in {}", free >> 20, root.display());
            match free {
                0 => finding(subject, Verdict::Missing, detail, advice),
                free if free < LITTLE_SPACE => finding(subject, Verdict::Limited, detail, advice),
                _ => good(subject, detail),
            }
        }
        Err(error) => finding(
            subject,
            Verdict::Limited,
            format!("{}: {error}", root.display()),
            advice,
        ),
    }
}

fn open_files() -> Finding {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return good("open files", "no limit".to_owned());
    };
    let detail = format!("at most {limit}");
    if limit >= FEW_FILES {
        return good("open files", detail);
    }
    let advice = "raise it: `ulimit -n 4096`, or `LimitNOFILE=` in the systemd unit";
    finding("open files", Verdict::Limited, detail, Some(advice))
}

/// The directory itself, or the closest one above it: it is made when it is needed.
fn existing_ancestor(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}
