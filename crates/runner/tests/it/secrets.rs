//! Secrets get into nothing that leaves the runner.

use std::sync::Arc;

use outrider_executor::process::{ProcessExecutor, ProcessSettings};
use outrider_model::reason::EndReason;
use outrider_model::secret::ContinuationKey;
use outrider_runner::Secret;

use crate::support::rig::{Rig, soon};
use crate::support::tasks::{run, task};

const SECRET: &str = "hunter2-password";

fn rig() -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = ProcessSettings::new(directory.path().join("work"), "anna");
    settings.cgroups = false;
    let executor = Arc::new(ProcessExecutor::new(settings));
    let mut rig = Rig::with_executor(directory, Arc::default(), executor);
    rig.settings.secrets = vec![Secret::new(SECRET)];
    rig
}

#[tokio::test]
async fn they_are_masked_in_what_steps_write_and_so_is_the_continuation_key() {
    let rig = rig();
    let life = rig.start();
    let mut work = task([run(
        "printf 'x hunter2-'; printf 'password\\n'; set -x; echo $CIRCLE_CONTINUATION_KEY hunter2",
    )]);
    work.continuation_key = Some(ContinuationKey::presented("outrider_continuation_0123"));
    let id = rig.server.queue(work);
    soon(rig.server.finished(id)).await;
    let log = rig.server.log(id);
    assert!(log.contains("x ****\n"), "{log}");
    assert!(log.ends_with("\n**** hunter2\n"), "{log}");
    assert!(log.contains("+ echo **** hunter2\n"), "{log}");
    rig.end(life).await;
}

#[tokio::test]
async fn they_are_masked_in_what_a_step_leaves_behind_writes() {
    let rig = rig();
    let life = rig.start();
    let first = "( until [ -e go ]; do sleep 0.05; done\n\
                 printf 'late hunter2-'; printf 'password, hunter2-'; touch written ) &";
    let second = "touch go; until [ -e written ]; do sleep 0.05; done";
    let id = rig.server.queue(task([run(first), run(second)]));
    soon(rig.server.finished(id)).await;
    assert_eq!(rig.server.log(id), "late ****, hunter2-");
    rig.end(life).await;
}

#[tokio::test]
async fn they_are_masked_in_errors() {
    let rig = rig();
    let life = rig.start();
    let mut step = run("echo never");
    step.shell = Some(format!("/nowhere/{SECRET}"));
    let id = rig.server.queue(task([step]));
    let finished = soon(rig.server.finished(id)).await;
    let Some(EndReason::StepNotStarted { message, .. }) = finished.reason else {
        panic!("{finished:?}");
    };
    assert!(message.contains("/nowhere/****"), "{message}");
    let log = rig.server.log(id);
    assert!(
        log.contains("/nowhere/****") && !log.contains(SECRET),
        "{log}"
    );
    rig.end(life).await;
}
