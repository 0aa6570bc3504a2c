//! A runner is killed, falls silent, comes back, or is told to end.

use outrider_api::client::Client;
use outrider_api::runner::{ClaimRequest, ReportRequest, RunnerIdentity};
use outrider_model::claim::ClaimedTask;
use outrider_model::reason::EndReason;
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::{Outcome, RunnerId, Status};
use outrider_service::{Clock, OsRandom, SystemClock};
use rustix::process::Signal;

use crate::common::{Process, World, config, one_job, wait_for};

/// A claim as a runner makes it.
async fn claim(client: &Client) -> Vec<ClaimedTask> {
    let runner = RunnerIdentity {
        id: RunnerId::new(SystemClock.now(), &OsRandom::new()),
        name: "silent".to_owned(),
        hostname: "silent.example".to_owned(),
        version: "1".to_owned(),
        slots: 1,
    };
    let request = ClaimRequest {
        runner,
        slots: 1,
        wait_ms: 10_000,
    };
    client.claim(&request).await.unwrap().tasks
}

#[tokio::test]
async fn a_task_whose_runner_falls_silent_before_the_first_step_is_run_by_another() {
    let mut world = World::new();
    let lease = ["--claim-lease", "1s", "--startup-grace", "0s"];
    let _server = world.start_server(&lease).await;
    let pipeline = world.submit(&one_job("echo hello")).await;
    let silent = world.client(&world.class_token().await);
    let claimed = claim(&silent).await.remove(0);
    let _runner = world.start_runner("runner", &[]).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
    let detail = world.attempts(claimed.task).await.unwrap();
    assert_eq!(detail.attempts.len(), 2, "{detail:?}");
    assert_eq!(detail.attempts[0].outcome, None);
    // The silent one speaks again: nobody listens.
    let late = Report {
        started: true,
        ..Report::empty(claimed.task, claimed.lease)
    };
    let reports = ReportRequest {
        reports: vec![late],
    };
    let answer = silent.report(&reports).await.unwrap().answers.remove(0);
    assert!(matches!(answer, ReportAnswer::Stale { .. }), "{answer:?}");
    assert_eq!(world.attempts(claimed.task).await.unwrap(), detail);
    assert_eq!(world.log(claimed.task).await, b"hello\n");
}

#[tokio::test]
async fn a_runner_killed_in_a_step_says_so_when_it_is_back() {
    let mut world = World::new();
    let _server = world.start_server(&["--startup-grace", "0s"]).await;
    let ready = world.path("ready");
    // It leaves a child in a session of its own, too.
    let script = format!(
        "echo before\nsetsid sleep 1000 &\nsleep 0.2\ntouch {}\nsleep 1000",
        ready.display()
    );
    let pipeline = world.submit(&one_job(&script)).await;
    let mut runner = world.start_runner("runner", &[]).await;
    world.reaches(pipeline, &ready).await;
    runner.kill9();
    assert!(!world.step_processes().is_empty(), "the step outlives it");

    let _runner = world.start_runner("runner", &[]).await;
    let task = world.task(pipeline).await;
    let detail = world.ended(task).await;
    assert_eq!(detail.task.status, Status::Finished(Outcome::Lost));
    let reason = detail.attempts[0].reason.clone().unwrap();
    assert!(
        matches!(&reason, EndReason::RunnerRestarted { runner } if *runner == world.runner_name("runner")),
        "{reason:?}"
    );
    let log = String::from_utf8(world.log(task).await).unwrap();
    assert_eq!(
        log,
        format!("before\n[outrider] The log ends here: {reason}.\n")
    );
    world.nothing_runs().await;
    // And it works on.
    let next = world.submit(&one_job("echo next")).await;
    assert_eq!(world.outcome(next).await, Outcome::Passed);
}

#[tokio::test]
async fn a_runner_that_wakes_after_its_lease_changes_nothing_and_ends_its_work() {
    let mut world = World::new();
    let leases = ["--running-lease", "2s", "--startup-grace", "0s"];
    let _server = world.start_server(&leases).await;
    let ready = world.path("ready");
    let script = format!(
        "echo before\ntouch {}\nwhile sleep 0.05; do echo more; done",
        ready.display()
    );
    let pipeline = world.submit(&one_job(&script)).await;
    let sleeper = world.start_runner("sleeper", &[]).await;
    world.reaches(pipeline, &ready).await;
    sleeper.signal(Signal::STOP);
    let task = world.task(pipeline).await;
    let lost = world.ended(task).await;
    assert_eq!(lost.task.status, Status::Finished(Outcome::Lost));
    let reason = lost.attempts[0].reason.clone().unwrap();
    assert!(
        matches!(reason, EndReason::RunnerSilent { .. }),
        "{reason:?}"
    );
    let log = world.log(task).await;
    assert!(!world.step_processes().is_empty(), "the step runs on");

    sleeper.signal(Signal::CONT);
    world.nothing_runs().await;
    assert_eq!(world.attempts(task).await.unwrap(), lost);
    assert_eq!(world.log(task).await, log);
    // It is of use again.
    let next = world.submit(&one_job("echo next")).await;
    assert_eq!(world.outcome(next).await, Outcome::Passed);
}

#[tokio::test]
async fn the_first_term_drains_a_runner() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let (ready, gate) = (world.path("ready"), world.path("gate"));
    let script = format!(
        "touch {}\nuntil [ -e {} ]; do sleep 0.05; done\necho done",
        ready.display(),
        gate.display()
    );
    let first = world.submit(&one_job(&script)).await;
    let mut runner = world
        .start_runner("runner", &["--slots", "2", "--log", "info"])
        .await;
    world.reaches(first, &ready).await;
    runner.signal(Signal::TERM);
    wait_for_draining(&runner).await;
    // Its parked claim has left the server too.
    wait_for("a claim that ends", async || {
        let metrics = reqwest::get(format!("{}/metrics", world.url())).await;
        let text = metrics.ok()?.text().await.ok()?;
        text.contains("outrider_waiting_runners 0").then_some(())
    })
    .await;
    let second = world.submit(&one_job("echo never")).await;
    std::fs::write(&gate, "").unwrap();
    assert_eq!(world.outcome(first).await, Outcome::Passed);
    assert!(runner.wait().await.success());
    let task = world.task(second).await;
    let detail = world.attempts(task).await.unwrap();
    assert_eq!(detail.task.status, Status::Queued);
    assert!(detail.attempts.is_empty(), "{detail:?}");
}

/// The first signal has been understood; a second one is another.
async fn wait_for_draining(runner: &Process) {
    wait_for("draining", async || {
        runner.output().contains("draining").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_second_term_stops_a_runner_with_all_that_it_runs() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let ready = world.path("ready");
    let script = format!(
        "trap '' TERM\nsetsid bash -c 'trap \"\" TERM; while :; do sleep 1; done' &\n\
         touch {}\nwhile :; do sleep 1; done",
        ready.display()
    );
    let pipeline = world.submit(&one_job(&script)).await;
    let mut runner = world.start_runner("runner", &["--log", "info"]).await;
    world.reaches(pipeline, &ready).await;
    runner.signal(Signal::TERM);
    wait_for_draining(&runner).await;
    assert!(runner.ended().is_none(), "it drains");
    runner.signal(Signal::TERM);
    runner.wait().await;
    assert!(world.step_processes().is_empty());
    let task = world.task(pipeline).await;
    let detail = world.ended(task).await;
    let reason = detail.attempts[0].reason.clone();
    assert!(
        matches!(reason, Some(EndReason::RunnerStopped { .. })),
        "{detail:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_told_to_end_lets_go_of_waiting_runners() {
    let mut world = World::new();
    let mut server = world.start_server(&[]).await;
    let _runner = world.start_runner("runner", &[]).await;
    wait_for("a waiting runner", async || {
        let runners = world.admin().runners(&Default::default()).await.unwrap();
        (!runners.items.is_empty()).then_some(())
    })
    .await;
    server.signal(Signal::TERM);
    let begun = tokio::time::Instant::now();
    assert!(server.wait().await.success());
    assert!(
        begun.elapsed().as_secs() < 9,
        "it waited for its runner: {:?}",
        begun.elapsed()
    );
    let _server = world.start_server(&[]).await;
    let pipeline = world.submit(&one_job("echo again")).await;
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
}

#[tokio::test]
async fn nothing_is_left_of_a_canceled_step_that_does_all_to_stay() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let ready = world.path("ready");
    // Forked twice, in a session of its own, deaf to TERM, adopted by nobody who waits for it.
    let script = format!(
        "trap '' TERM HUP INT\n\
         ( setsid bash -c 'trap \"\" TERM HUP INT; ( while :; do sleep 1; done ) & \
         touch {}; while :; do sleep 1; done' & ) &\n\
         while :; do sleep 1; done",
        ready.display()
    );
    let pipeline = world.submit(&config(&[("build", &script, &[])])).await;
    let _runner = world.start_runner("runner", &[]).await;
    world.reaches(pipeline, &ready).await;
    assert!(world.step_processes().len() > 3);
    let job = world.jobs(pipeline).await[0].id;
    let canceled = world.admin().cancel_job(job).await.unwrap();
    assert_eq!(canceled.stopping, 1);
    assert_eq!(world.outcome(pipeline).await, Outcome::Canceled);
    assert!(
        world.step_processes().is_empty(),
        "its end was told before its processes had ended"
    );
}
