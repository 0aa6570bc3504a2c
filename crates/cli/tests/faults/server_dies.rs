//! The server is killed, and started again on the same data.

use std::collections::BTreeSet;

use outrider_model::Outcome;
use tokio::task::{JoinSet, LocalSet};

use crate::common::{World, config, one_job, submission, wait_for};

/// Short leases, so that what nobody holds any more is soon queued again.
const SHORT: [&str; 4] = ["--claim-lease", "2s", "--startup-grace", "1s"];

/// A crash point is passed for the nth time: the server dies there. Two jobs pass all the same, each
/// started once, with complete logs.
async fn survives_death_at(point: String) {
    let mut world = World::new();
    let arguments = [&SHORT[..], &["--crash-at", &point]].concat();
    let mut server = world.start_server(&arguments).await;
    let counter = world.path("counter").display().to_string();
    // One log stays in the store; the other one moves into a file.
    let first = format!("echo first >> {counter}\necho one\nsleep 0.1\necho two");
    let second = format!("echo second >> {counter}\nseq 1 30000");
    let pipeline = world
        .submit(&config(&[
            ("first", &first, &[]),
            ("second", &second, &["first"]),
        ]))
        .await;
    let _runner = world.start_runner("runner", &[]).await;
    server.wait_killed().await;
    let _server = world.start_server(&SHORT).await;

    assert_eq!(world.outcome(pipeline).await, Outcome::Passed, "{point}");
    assert_eq!(world.read("counter"), "first\nsecond\n", "{point}");
    let numbers = (1..=30_000).map(|n| format!("{n}\n")).collect::<String>();
    let expected = ["one\ntwo\n".to_owned(), numbers];
    for (job, expected) in world.jobs(pipeline).await.iter().zip(&expected) {
        let task = world.admin().job(job.id).await.unwrap().tasks[0].id;
        assert!(
            world.log(task).await == expected.as_bytes(),
            "{point}: the log of {} is not what its step wrote",
            job.name
        );
    }
    world.nothing_runs().await;
}

async fn survives_death_at_each(points: &[&str]) {
    // They mostly wait: all at once.
    let all = LocalSet::new();
    let mut tests = JoinSet::new();
    for point in points {
        tests.spawn_local_on(survives_death_at((*point).to_owned()), &all);
    }
    all.await;
    while let Some(ended) = tests.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn the_server_dies_while_it_hands_out_a_task() {
    survives_death_at_each(&[
        "claim.applied",
        "claim.committed",
        "claim.applied:2",
        "claim.committed:2",
    ])
    .await;
}

#[tokio::test]
async fn the_server_dies_while_it_takes_starts_and_ends() {
    survives_death_at_each(&[
        "report.applied",
        "report.committed",
        "report.applied:2",
        "report.committed:2",
        "report.applied:3",
        "report.committed:3",
    ])
    .await;
}

#[tokio::test]
async fn the_server_dies_while_it_takes_a_log() {
    survives_death_at_each(&["log.written", "log.applied", "log.committed"]).await;
}

#[tokio::test]
async fn a_pipeline_whose_submission_was_not_answered_is_there_once() {
    for point in ["submit.applied", "submit.committed"] {
        let mut world = World::new();
        let mut server = world.start_server(&["--crash-at", point]).await;
        let body = submission(&one_job("echo once"));
        let answer = world.admin().submit_pipeline(&body, Some("key")).await;
        assert!(answer.unwrap_err().is_transient());
        server.wait_killed().await;
        let _server = world.start_server(&[]).await;
        let first = world.admin().submit_pipeline(&body, Some("key")).await;
        let again = world.admin().submit_pipeline(&body, Some("key")).await;
        assert_eq!(first.unwrap(), again.unwrap());
        let list = world.admin().pipelines(&Default::default()).await.unwrap();
        assert_eq!(list.items.len(), 1, "{point}");
    }
}

#[tokio::test]
async fn an_end_that_was_taken_and_not_answered_is_taken_once() {
    let mut world = World::new();
    // The one report of so short a task says all: started, log, finished.
    let crash = [&SHORT[..], &["--crash-at", "report.committed"]].concat();
    let mut server = world.start_server(&crash).await;
    let counter = world.path("counter").display().to_string();
    let pipeline = world
        .submit(&one_job(&format!("echo ran >> {counter}\necho done")))
        .await;
    let _runner = world.start_runner("runner", &[]).await;
    server.wait_killed().await;
    let _server = world.start_server(&SHORT).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let task = world.task(pipeline).await;
    let detail = world.attempts(task).await.unwrap();
    assert_eq!(detail.attempts.len(), 1, "{detail:?}");
    assert_eq!(world.log(task).await, b"done\n");
    assert_eq!(world.read("counter"), "ran\n");
    // The runner has got its answer by now, or gets it: its spool empties.
    let spool = world.path("runner").join("spool");
    wait_for("an empty spool", async || {
        let left = std::fs::read_dir(&spool).unwrap().flatten();
        let left: BTreeSet<_> = left.map(|entry| entry.file_name()).collect();
        left.iter()
            .all(|name| {
                !name
                    .to_string_lossy()
                    .contains(&detail.attempts[0].id.to_string())
            })
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_step_goes_on_while_the_server_is_away() {
    let mut world = World::new();
    let mut server = world.start_server(&SHORT).await;
    let (started, gate, wrote) = (
        world.path("started"),
        world.path("gate"),
        world.path("wrote"),
    );
    let script = format!(
        "seq 1 1000\ntouch {}\nuntil [ -e {} ]; do sleep 0.05; done\nseq 1001 40000\ntouch {}",
        started.display(),
        gate.display(),
        wrote.display()
    );
    let pipeline = world.submit(&one_job(&script)).await;
    let _runner = world.start_runner("runner", &[]).await;
    world.reaches(pipeline, &started).await;
    server.kill9();
    // The step only writes, and ends, once nobody can take it.
    std::fs::write(&gate, "").unwrap();
    wait_for("the step's last line", async || {
        wrote.exists().then_some(())
    })
    .await;
    let _server = world.start_server(&SHORT).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let numbers = (1..=40_000).map(|n| format!("{n}\n")).collect::<String>();
    let task = world.task(pipeline).await;
    assert!(world.log(task).await == numbers.as_bytes());
}
