//! Podman instead of Docker: what is pulled, at a service of its own.

use outrider_testkit::docker::Podman;

/// Tests of this program that a Podman must pass too.
const SELECTED: [&str; 9] = [
    "images::a_pull_that_stands_still_is_tried_again",
    "images::another_processor_is_warned_of",
    "images::by_tag_and_by_digest",
    "images::jobs_that_want_the_same_share_a_pull",
    "images::old_images_are_removed_unless_they_are_in_use_or_not_ours",
    "images::the_hosts_own_login_is_used",
    "images::what_a_job_may_see_is_not_for_others",
    "images::what_a_job_took_elsewhere_is_not_for_others",
    "images::what_is_not_there_is_the_users_fault_and_a_dead_registry_is_not",
];

#[tokio::test]
async fn podman_passes_the_same_tests() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: Podman without root needs what not every host gives its users");
        return;
    }
    Podman::start().await.passes(&SELECTED);
}
