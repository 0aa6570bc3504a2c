//! Podman instead of Docker: the main paths, at a service of its own.

use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use outrider_executor::conformance::until;
use outrider_executor::docker::DockerExecutor;
use outrider_executor::{Executor, Verdict};
use tempfile::TempDir;

use super::support::settings;

const SERVICE: &str = include_str!("podman.sh");

/// Tests of this program that a Podman must pass too.
const SELECTED: [&str; 11] = [
    "binary_output",
    "cleanup_leaves_nothing",
    "exit_codes",
    "faults::a_container_that_is_removed_from_outside_is_told",
    "faults::a_killed_runner_leaves_nothing",
    "podman::it_is_told_apart",
    "recovery",
    "services::a_service_is_reached_by_its_name",
    "services::services_end_with_their_runner",
    "ten_megabytes",
    "whole_tree_ends",
];

/// Says that a test runs at the Podman of this test.
const AT_PODMAN: &str = "OUTRIDER_AT_PODMAN";

/// Ends with all its containers when it is dropped.
struct Podman {
    service: Child,
    folder: TempDir,
}

impl Podman {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        // Its first process ends with this one, and takes all others along.
        let service = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork"])
            .args(["--kill-child", "--mount-proc"])
            .args(["sh", "-c", SERVICE, "podman"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare can be started");
        let mut podman = Self { service, folder };
        let socket = podman.folder.path().join("podman.sock");
        until("Podman answers", || {
            podman.assert_running();
            UnixStream::connect(&socket).is_ok()
        })
        .await;
        podman
    }

    fn assert_running(&mut self) {
        if let Some(status) = self.service.try_wait().expect("a child") {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            panic!(
                "Podman has ended with {status}:\n{}`cargo xtask test` installs it",
                log.unwrap_or_default()
            );
        }
    }

    fn address(&self) -> String {
        let socket = self.folder.path().join("podman.sock");
        format!("unix://{}", socket.display())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

#[tokio::test]
async fn podman_passes_the_same_tests() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: Podman without root needs what not every host gives its users");
        return;
    }
    let podman = Podman::start().await;
    let tests = Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "--test-threads=2"])
        .args(SELECTED)
        .env("OUTRIDER_TEST_ENGINE", podman.address())
        .env(AT_PODMAN, "1")
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&tests.stdout);
    let all = format!("{} passed", SELECTED.len());
    assert!(tests.status.success() && said.contains(&all), "{said}");
}

/// Not a test of its own: `podman_passes_the_same_tests` runs it at Podman.
#[tokio::test]
async fn it_is_told_apart() {
    if std::env::var_os(AT_PODMAN).is_none() {
        return;
    }
    let place = tempfile::tempdir().expect("a folder");
    let findings = DockerExecutor::new(settings(place.path())).check().await;
    let limited = |subject: &str| {
        let mut all = findings.iter();
        all.any(|found| found.subject == subject && found.verdict == Verdict::Limited)
    };
    for subject in ["ends of containers", "health checks", "names of images"] {
        assert!(limited(subject), "{subject}: {findings:?}");
    }
    assert!(
        findings.iter().all(|it| it.verdict != Verdict::Missing),
        "{findings:?}"
    );
}
