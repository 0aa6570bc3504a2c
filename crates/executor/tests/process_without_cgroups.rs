//! The process executor as it is where there are no cgroups of version 2.

mod common;

use std::process::Command;

use common::subject;
use outrider_executor::conformance::until;

outrider_executor::conformance_suite!(|| subject(false));

#[tokio::test]
async fn doomed_runner() {
    common::doomed_runner(false).await;
}

#[tokio::test]
async fn recovery_after_the_runner_was_killed() {
    common::recovery_after_kill(false).await;
}

/// Orphans become children of this process. They must not stay as zombies, and waiting for them
/// must not take away how other children ended.
#[tokio::test]
async fn orphans_are_waited_for_and_other_children_are_not() {
    let subject = subject(false);
    let mut other = Command::new("/bin/sh")
        .args(["-c", "exit 5"])
        .spawn()
        .expect("spawned");
    let environment = subject.prepare().await;
    let shell = "(setsid bash -c 'echo $$ > orphan; exit 3' &)\nuntil test -s orphan; do :; done";
    subject.exec(&*environment, shell, "").await;
    let orphan = std::fs::read_to_string(environment.resolve("orphan")).expect("written");
    let zombie = format!("/proc/{}", orphan.trim());
    environment.cleanup().await.expect("cleanup");
    // It may have ended only just after the last look: the next cleanup finds it.
    let others = subject.prepare().await;
    others.cleanup().await.expect("cleanup");
    until("the orphan is gone", || {
        !std::path::Path::new(&zombie).exists()
    })
    .await;
    assert_eq!(other.wait().expect("still ours").code(), Some(5));
}

/// In a container that was started from a shell outside, the runner's session has no id of its own.
#[test]
fn session_outside_of_the_container() {
    let container = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ];
    let unshare = |program: &[&std::ffi::OsStr]| {
        let command = Command::new("unshare")
            .args(container)
            .args(program)
            .output();
        command.is_ok_and(|output| output.status.success())
    };
    if !unshare(&["true".as_ref()]) {
        eprintln!("skipped: this user cannot make namespaces here");
        return;
    }
    let own = std::env::current_exe().expect("known");
    let again = ["whole_tree_ends", "--exact"].map(std::ffi::OsStr::new);
    assert!(unshare(&[own.as_os_str(), again[0], again[1]]));
}
