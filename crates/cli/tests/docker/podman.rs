//! Podman instead of Docker: the main paths, at a service of its own.

use outrider_executor::docker::DockerExecutor;
use outrider_executor::{Executor, Verdict};
use outrider_testkit::docker::{Podman, at_podman};

use super::support::settings;

/// Tests of this program that a Podman must pass too.
const SELECTED: [&str; 13] = [
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
    "warm::a_job_takes_a_container_that_waits_and_another_one_takes_its_place",
    "warm::a_killed_runner_leaves_nothing_that_waits",
    "whole_tree_ends",
];

#[tokio::test]
async fn podman_passes_the_same_tests() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: Podman without root needs what not every host gives its users");
        return;
    }
    Podman::start().await.passes(&SELECTED);
}

/// Not a test of its own: `podman_passes_the_same_tests` runs it at Podman.
#[tokio::test]
async fn it_is_told_apart() {
    if !at_podman() {
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
