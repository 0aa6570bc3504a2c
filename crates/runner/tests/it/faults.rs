//! Cancellation, lost leases, and a network that does what it wants.

use std::time::Duration;

use crate::support::executor::noise;
use crate::support::rig::{Rig, soon};
use crate::support::server::seeded;
use crate::support::tasks::{run, task, when};
use outrider_model::Outcome;
use outrider_model::plan::When;
use outrider_model::reason::EndReason;
use outrider_runner::RunnerError;

#[tokio::test]
async fn a_cancel_ends_the_task_at_once() {
    for script in ["print x\nhang", "stubborn"] {
        let rig = Rig::new();
        let life = rig.start();
        let id = rig
            .server
            .queue(task([run(script), when(When::Always, "print never")]));
        soon(rig.world.running(script)).await;
        rig.server
            .change(|state| state.tasks.get_mut(&id).unwrap().stop = true);
        let finished = soon(rig.server.finished(id)).await;
        assert_eq!(finished.outcome, Outcome::Canceled);
        assert!(matches!(finished.reason, Some(EndReason::Canceled { .. })));
        assert_eq!(rig.world.scripts().len(), 1);
        assert!(
            rig.server
                .log(id)
                .ends_with("[outrider] Canceled: everything is being ended.\n")
        );
        rig.end(life).await;
    }
}

#[tokio::test]
async fn nothing_is_claimed_while_no_task_can_start() {
    let rig = Rig::new();
    rig.world
        .with(|world| world.obstacle = Some("there is no engine"));
    let life = rig.start();
    let id = rig.server.queue(task([run("print x")]));
    let asked = |times| {
        rig.world
            .until(move |world| world.counters.get("obstacle") > Some(&times))
    };
    soon(asked(2)).await;
    assert_eq!(rig.server.state().claims, 0);
    rig.world.with(|world| world.obstacle = None);
    assert_eq!(soon(rig.server.finished(id)).await.outcome, Outcome::Passed);
    rig.end(life).await;
}

#[tokio::test]
async fn a_task_that_comes_when_none_can_start_goes_back_to_the_queue() {
    let rig = Rig::new();
    let life = rig.start();
    soon(rig.server.until(|state| state.claims > 0)).await;
    rig.world
        .with(|world| world.obstacle = Some("there is no engine"));
    let id = rig.server.queue(task([run("print x")]));
    soon(rig.server.until(|state| state.tasks[&id].released)).await;
    rig.world.with(|world| world.obstacle = None);
    let next = rig.server.queue(task([run("print next")]));
    assert_eq!(
        soon(rig.server.finished(next)).await.outcome,
        Outcome::Passed
    );
    rig.end(life).await;
    assert_eq!(rig.world.scripts(), ["print next"]);
}

#[tokio::test]
async fn a_cancel_ends_the_pause_before_a_rerun() {
    let rig = Rig::new();
    let life = rig.start();
    let mut step = run("exit 1");
    (step.max_auto_reruns, step.auto_rerun_delay) = (1, Duration::from_secs(500));
    let id = rig.server.queue(task([step]));
    soon(rig.server.until(|state| !state.tasks[&id].log.is_empty())).await;
    rig.server
        .change(|state| state.tasks.get_mut(&id).unwrap().stop = true);
    assert_eq!(
        soon(rig.server.finished(id)).await.outcome,
        Outcome::Canceled
    );
    rig.end(life).await;
}

#[tokio::test]
async fn a_lost_lease_ends_the_work_and_nothing_is_said_about_it_again() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([run("print x\nhang")]));
    soon(rig.server.until(|state| state.tasks[&id].started)).await;
    rig.server
        .change(|state| state.tasks.get_mut(&id).unwrap().stale = true);
    soon(rig.world.until(|world| world.live.is_empty())).await;
    assert!(rig.server.state().tasks[&id].finished.is_none());
    // The runner goes on with other work.
    let next = rig.server.queue(task([run("print next")]));
    assert_eq!(
        soon(rig.server.finished(next)).await.outcome,
        Outcome::Passed
    );
    rig.end(life).await;
}

#[tokio::test]
async fn a_lease_lost_while_preparing_means_that_no_step_starts() {
    let rig = Rig::new();
    rig.world.with(|world| world.slow_prepare = true);
    let life = rig.start();
    let id = rig.server.queue(task([run("print x")]));
    soon(
        rig.world
            .until(|world| world.counters.contains_key("preparing")),
    )
    .await;
    rig.server
        .change(|state| state.tasks.get_mut(&id).unwrap().stale = true);
    soon(rig.server.until(|state| state.told_stale > 0)).await;
    let other = rig.server.queue(task([run("print other")]));
    rig.world.open("prepare");
    soon(rig.server.finished(other)).await;
    rig.end(life).await;
    assert!(rig.server.state().tasks[&id].finished.is_none());
    assert_eq!(rig.world.scripts(), ["print other"]);
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_the_server_loses_nothing() {
    let rig = Rig::new();
    let life = rig.start();
    let script = format!(
        "print before\n{}print after",
        "bytes 3000\nsleep 60\n".repeat(70)
    );
    let id = rig.server.queue(task([run(&script), run("bytes 300000")]));
    rig.server
        .until(|state| !state.tasks[&id].log.is_empty())
        .await;
    rig.server.change(|state| state.faults.away = true);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(rig.world.scripts().len(), 1, "the step goes on");
    rig.server.change(|state| state.faults.away = false);
    assert_eq!(rig.server.finished(id).await.outcome, Outcome::Passed);
    let part = noise(3000);
    let parts = std::iter::repeat_n(part, 70).flatten();
    let mut expected: Vec<u8> = b"before\n".iter().copied().chain(parts).collect();
    expected.extend(b"after\n");
    expected.extend(noise(300_000));
    assert!(
        rig.server.state().tasks[&id].log == expected,
        "the log is another one"
    );
    rig.end(life).await;
}

#[tokio::test(start_paused = true)]
async fn results_wait_for_the_server_and_work_is_bounded() {
    let rig = Rig::new();
    let life = rig.start();
    rig.server
        .change(|state| state.faults.lose_report_answers = true);
    let ids: Vec<_> = (0..200)
        .map(|_| rig.server.queue(task([run("print x")])))
        .collect();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let claimed = rig
        .server
        .state()
        .tasks
        .values()
        .filter(|record| record.claimed)
        .count();
    assert!(claimed <= 5 * 4 + 64 + 4, "{claimed} tasks were taken");
    rig.server
        .change(|state| state.faults.lose_report_answers = false);
    for id in ids {
        rig.server.finished(id).await;
    }
    rig.end(life).await;
}

#[tokio::test(start_paused = true)]
async fn a_network_that_cuts_delays_repeats_and_reorders_changes_nothing() {
    for seed in 0..25 {
        let rig = Rig::new();
        rig.server
            .change(|state| state.faults.chaos = Some(seeded(seed)));
        let life = rig.start();
        let ids: Vec<_> = (0..12)
            .map(|n| {
                let script = format!("print task {n}\nbytes {}\nsleep 1", n * n * 1000);
                rig.server
                    .queue(task([run(&script), run("print end"), run("exit 1")]))
            })
            .collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(
                rig.server.finished(*id).await.outcome,
                Outcome::Failed,
                "seed {seed}"
            );
            let noise = noise(n * n * 1000);
            let expected = [format!("task {n}\n").as_bytes(), &noise, b"end\n"].concat();
            assert!(
                rig.server.state().tasks[id].log == expected,
                "seed {seed}, task {n}"
            );
        }
        rig.server.change(|state| state.faults.chaos = None);
        rig.end(life).await;
    }
}

#[tokio::test]
async fn draining_finishes_what_runs_and_takes_nothing_more() {
    let rig = Rig::new();
    let life = rig.start();
    let script = "print x\ngate go";
    let id = rig.server.queue(task([run(script)]));
    soon(rig.world.running(script)).await;
    life.shutdown.drain();
    let late = rig.server.queue(task([run("print late")]));
    rig.world.open("go");
    rig.end(life).await;
    let state = rig.server.state();
    assert_eq!(
        state.tasks[&id].finished.as_ref().unwrap().outcome,
        Outcome::Passed
    );
    assert!(!state.tasks[&late].claimed);
}

#[tokio::test]
async fn the_server_can_ask_a_runner_to_drain() {
    let rig = Rig::new();
    let life = rig.start();
    rig.server.change(|state| state.drain = true);
    soon(life.ended).await.unwrap().unwrap();
    assert_eq!(rig.server.state().goodbyes, 1);
}

#[tokio::test]
async fn stopping_ends_what_runs_and_says_so() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([
        run("print x\nhang"),
        when(When::Always, "print never"),
    ]));
    soon(rig.world.running("print x\nhang")).await;
    life.shutdown.stop();
    soon(life.ended).await.unwrap().unwrap();
    rig.server.assert_lawful();
    let finished = rig.server.finished(id).await;
    assert_eq!(finished.outcome, Outcome::Lost);
    assert!(matches!(
        finished.reason,
        Some(EndReason::RunnerStopped { .. })
    ));
    let log = rig.server.log(id);
    assert!(
        log.ends_with("runner anna was stopped before the task ended.\n"),
        "{log}"
    );
}

#[tokio::test]
async fn stopping_gives_back_what_has_not_started() {
    let rig = Rig::new();
    rig.world.with(|world| world.slow_prepare = true);
    let life = rig.start();
    let id = rig.server.queue(task([run("print x")]));
    soon(
        rig.world
            .until(|world| world.counters.contains_key("preparing")),
    )
    .await;
    life.shutdown.stop();
    rig.world.open("prepare");
    soon(life.ended).await.unwrap().unwrap();
    assert!(rig.server.state().tasks[&id].released);
    assert_eq!(rig.leftovers(), 0);
    rig.server.assert_lawful();
}

#[tokio::test(start_paused = true)]
async fn stopping_without_a_server_leaves_the_end_to_the_next_start() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([run("print x\nhang")]));
    rig.world.running("print x\nhang").await;
    rig.server.change(|state| state.faults.away = true);
    life.shutdown.stop();
    life.ended.await.unwrap().unwrap();
    assert_eq!(rig.leftovers(), 1);
    rig.server.change(|state| state.faults.away = false);
    let next = rig.start();
    let finished = rig.server.finished(id).await;
    assert!(matches!(
        finished.reason,
        Some(EndReason::RunnerStopped { .. })
    ));
    rig.end(next).await;
}

#[tokio::test]
async fn a_refused_token_ends_the_runner_with_advice() {
    let rig = Rig::new();
    rig.server.change(|state| state.faults.unauthorized = true);
    let error = soon(rig.start().ended).await.unwrap().unwrap_err();
    assert!(matches!(error, RunnerError::NotAllowed(_)));
    assert!(error.to_string().contains("outrider token create"));
}

#[tokio::test]
async fn a_spool_belongs_to_one_runner() {
    let rig = Rig::new();
    let life = rig.start();
    soon(rig.server.until(|state| state.claims > 0)).await;
    let error = soon(rig.start().ended).await.unwrap().unwrap_err();
    assert!(matches!(error, RunnerError::SpoolLocked { .. }), "{error}");
    rig.end(life).await;
}

#[tokio::test]
async fn a_spool_that_cannot_be_made_is_an_error_with_its_path() {
    let mut rig = Rig::new();
    let file = rig.directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    rig.settings.spool = file.join("spool");
    let error = soon(rig.start().ended).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("file/spool"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_runner_says_nothing_but_its_claim() {
    let rig = Rig::new();
    let life = rig.start();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    {
        let state = rig.server.state();
        assert_eq!((state.heartbeats, state.reports), (0, 0));
        assert!(state.claims <= 121, "{} claims", state.claims);
    }
    rig.end(life).await;
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_as_often_as_told_and_no_more() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([run("print x\nsleep 500")]));
    rig.server.finished(id).await;
    let beats = rig.server.state().heartbeats;
    assert!((95..=105).contains(&beats), "{beats} heartbeats in 500 s");
    rig.end(life).await;
}

#[tokio::test]
async fn a_single_task_runner_ends_after_one_task() {
    let mut rig = Rig::new();
    rig.settings.single_task = true;
    let ids = [(); 2].map(|()| rig.server.queue(task([run("print x")])));
    let life = rig.start();
    soon(life.ended).await.unwrap().unwrap();
    let state = rig.server.state();
    assert!(state.tasks[&ids[0]].finished.is_some());
    assert!(!state.tasks[&ids[1]].claimed);
}

#[tokio::test(start_paused = true)]
async fn a_runner_without_work_ends_after_its_idle_timeout() {
    let mut rig = Rig::new();
    rig.settings.idle_timeout = Some(Duration::from_secs(300));
    let before = tokio::time::Instant::now();
    let life = rig.start();
    rig.server.queue(task([run("print x\nsleep 500")]));
    life.ended.await.unwrap().unwrap();
    let took = before.elapsed().as_secs();
    assert!((800..820).contains(&took), "{took} s");
    rig.server.assert_lawful();
}

#[tokio::test(start_paused = true)]
async fn draining_for_too_long_becomes_stopping() {
    let mut rig = Rig::new();
    rig.settings.drain_timeout = Some(Duration::from_secs(60));
    let life = rig.start();
    let id = rig.server.queue(task([run("hang")]));
    rig.world.running("hang").await;
    life.shutdown.drain();
    life.ended.await.unwrap().unwrap();
    let finished = rig.server.finished(id).await;
    assert!(matches!(
        finished.reason,
        Some(EndReason::RunnerStopped { .. })
    ));
}

#[tokio::test]
async fn a_spool_without_room_holds_the_step_back_and_loses_nothing() {
    let rig = Rig::new();
    let life = rig.start();
    let script = "print x\ngate go\nbytes 200000\nprint end";
    let id = rig.server.queue(task([run(script)]));
    soon(rig.server.until(|state| !state.tasks[&id].log.is_empty())).await;
    // Without its directory, no file can be made in the spool.
    let aside = rig.directory.path().join("aside");
    std::fs::rename(&rig.settings.spool, &aside).unwrap();
    rig.world.open("go");
    let other = rig.server.queue(task([run("print y")]));
    soon(rig.server.until(|state| state.tasks[&other].released)).await;
    assert_eq!(rig.server.log(id), "x\n");
    std::fs::rename(&aside, &rig.settings.spool).unwrap();
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Passed);
    let expected = [b"x\n".as_slice(), &noise(200_000), b"end\n"].concat();
    assert!(rig.server.state().tasks[&id].log == expected);
    rig.end(life).await;
}
