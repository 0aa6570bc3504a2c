//! Tasks from claim to finish.

use std::time::Duration;

use crate::support::executor::noise;
use crate::support::rig::{Rig, soon};
use crate::support::tasks::{run, task, when};
use outrider_executor::Fault;
use outrider_model::Outcome;
use outrider_model::plan::{RunStep, When};
use outrider_model::reason::EndReason;
use outrider_model::report::Exit;

/// Runs one task alone and tells how it ended.
async fn run_alone(rig: &Rig, steps: Vec<RunStep>) -> (Outcome, Option<EndReason>, String) {
    let life = rig.start();
    let id = rig.server.queue(task(steps));
    let finished = rig.server.finished(id).await;
    rig.end(life).await;
    (finished.outcome, finished.reason, rig.server.log(id))
}

#[tokio::test]
async fn a_task_passes_and_everything_about_it_is_told() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig
        .server
        .queue(task([run("print one"), run("print two\nprint three")]));
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!((finished.outcome, finished.reason), (Outcome::Passed, None));
    assert_eq!(rig.server.log(id), "one\ntwo\nthree\n");
    {
        let state = rig.server.state();
        let record = &state.tasks[&id];
        assert!(record.started);
        let spans: Vec<_> = record
            .spans
            .iter()
            .map(|span| (span.offset, span.step))
            .collect();
        assert_eq!(spans, [(0, 0), (4, 1)]);
        let ends: Vec<_> = record
            .steps
            .iter()
            .map(|step| step.ended.clone().unwrap())
            .collect();
        assert_eq!(ends.len(), 2);
        assert!(
            ends.iter()
                .all(|end| end.exit == Some(Exit::Code(0)) && end.usage.is_some())
        );
    }
    rig.end(life).await;
}

#[tokio::test]
async fn many_short_tasks_share_requests() {
    let mut rig = Rig::new();
    rig.settings.slots = 16;
    let life = rig.start();
    let ids: Vec<_> = (0..300)
        .map(|_| rig.server.queue(task([run("print hello")])))
        .collect();
    for id in &ids {
        assert_eq!(
            soon(rig.server.finished(*id)).await.outcome,
            Outcome::Passed
        );
    }
    let reports = rig.server.state().reports;
    rig.end(life).await;
    assert!(reports < 300, "{reports} requests for 300 tasks");
}

#[tokio::test]
async fn steps_run_as_their_when_says() {
    let rig = Rig::new();
    let (outcome, reason, log) = run_alone(
        &rig,
        vec![
            when(When::OnFail, "print not yet"),
            when(When::Always, "print always 1"),
            run("print bad\nexit 3"),
            run("print not any more"),
            when(When::OnFail, "print on fail"),
            when(When::Always, "print always 2\nexit 4"),
        ],
    )
    .await;
    assert_eq!(log, "always 1\nbad\non fail\nalways 2\n");
    assert_eq!(outcome, Outcome::Failed);
    let name = "print bad".to_owned();
    assert_eq!(
        reason,
        Some(EndReason::StepFailed {
            step: 2,
            name,
            exit: Exit::Code(3)
        })
    );
}

#[tokio::test]
async fn background_steps_end_with_the_job_and_do_not_fail_it() {
    let rig = Rig::new();
    let background = |command| RunStep {
        background: true,
        ..run(command)
    };
    let steps = vec![
        background("print server up\nhang"),
        background("exit 9"),
        run("print tested"),
    ];
    let (outcome, reason, log) = run_alone(&rig, steps).await;
    assert_eq!((outcome, reason), (Outcome::Passed, None));
    assert!(
        log.contains("server up\n") && log.contains("tested\n"),
        "{log}"
    );
    let state = rig.server.state();
    let record = state.tasks.values().next().unwrap();
    let ends: Vec<_> = record
        .steps
        .iter()
        .map(|step| step.ended.as_ref().unwrap().outcome)
        .collect();
    assert_eq!(ends, [Outcome::Passed, Outcome::Failed, Outcome::Passed]);
}

#[tokio::test(start_paused = true)]
async fn a_failing_step_is_run_again_as_often_as_it_may() {
    let reruns = |command, times| RunStep {
        max_auto_reruns: times,
        auto_rerun_delay: Duration::from_secs(30),
        ..run(command)
    };
    let rig = Rig::new();
    let before = tokio::time::Instant::now();
    let (outcome, _, log) = run_alone(&rig, vec![reruns("print try\nflaky 2", 2)]).await;
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(log.matches("try\n").count(), 3);
    assert!(
        log.contains("[outrider] Ended with code 3; run again (1 of 2) in 30s."),
        "{log}"
    );
    assert!(before.elapsed() >= Duration::from_secs(60));

    let rig = Rig::new();
    let (outcome, reason, _) = run_alone(&rig, vec![reruns("flaky 9", 1), run("print no")]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(matches!(
        reason,
        Some(EndReason::StepFailed { step: 0, .. })
    ));
    assert_eq!(rig.world.scripts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_step_is_ended_and_nothing_runs_after_it() {
    let rig = Rig::new();
    let limit = Duration::from_secs(600);
    let talks = "print a\nsleep 500\nprint b\nsleep 500\nprint c\nhang";
    let before = tokio::time::Instant::now();
    let (outcome, reason, log) =
        run_alone(&rig, vec![run(talks), when(When::Always, "print never")]).await;
    assert_eq!(outcome, Outcome::TimedOut);
    let name = "print a".to_owned();
    assert_eq!(
        reason,
        Some(EndReason::NoOutput {
            step: 0,
            name,
            limit
        })
    );
    assert!(log.starts_with("a\nb\nc\n[outrider] ") && log.contains("wrote nothing for 10m"));
    let took = before.elapsed().as_secs();
    assert!((1600..1610).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_too_long_is_ended() {
    let mut rig = Rig::new();
    rig.settings.max_run_time = Duration::from_secs(3600);
    let chatty = "print x\nsleep 500\n".repeat(20);
    let (outcome, reason, _) = run_alone(&rig, vec![run(&chatty), run("print never")]).await;
    assert_eq!(outcome, Outcome::TimedOut);
    let limit = rig.settings.max_run_time;
    assert_eq!(reason, Some(EndReason::MaxRunTime { limit }));
    assert_eq!(rig.world.scripts().len(), 1);
}

#[tokio::test]
async fn what_cannot_start_is_told_with_its_cause() {
    let rig = Rig::new();
    let (outcome, reason, log) = run_alone(
        &rig,
        vec![run("broken user"), when(When::Always, "print last words")],
    )
    .await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        matches!(reason, Some(EndReason::StepNotStarted { step: 0, .. })),
        "{reason:?}"
    );
    assert!(
        log.contains("no such shell") && log.ends_with("last words\n"),
        "{log}"
    );

    let rig = Rig::new();
    let (outcome, reason, _) = run_alone(
        &rig,
        vec![run("broken host"), when(When::Always, "print never")],
    )
    .await;
    assert_eq!(outcome, Outcome::Lost);
    assert!(
        matches!(reason, Some(EndReason::Infrastructure { .. })),
        "{reason:?}"
    );
    assert_eq!(rig.world.scripts().len(), 1);

    let rig = Rig::new();
    let shell = RunStep {
        shell: Some("bash '".to_owned()),
        ..run("print no")
    };
    let (outcome, reason, _) = run_alone(&rig, vec![shell]).await;
    assert_eq!(outcome, Outcome::Failed);
    assert!(
        matches!(reason, Some(EndReason::StepNotStarted { .. })),
        "{reason:?}"
    );
}

#[tokio::test]
async fn an_environment_that_cannot_be_made_is_told_with_its_cause() {
    for (fault, expected) in [
        (Fault::User, Outcome::Failed),
        (Fault::Infrastructure, Outcome::Lost),
    ] {
        let rig = Rig::new();
        rig.world.with(|world| world.broken = Some(fault));
        let (outcome, reason, _) = run_alone(&rig, vec![run("print never")]).await;
        assert_eq!(outcome, expected);
        let named = match fault {
            Fault::User => matches!(reason, Some(EndReason::NotPrepared { .. })),
            Fault::Infrastructure => matches!(reason, Some(EndReason::Infrastructure { .. })),
        };
        assert!(named, "{reason:?}");
    }
}

#[tokio::test]
async fn a_task_without_steps_passes() {
    let rig = Rig::new();
    assert_eq!(run_alone(&rig, vec![]).await.0, Outcome::Passed);
}

#[tokio::test]
async fn a_long_binary_log_arrives_byte_by_byte() {
    let rig = Rig::new();
    let life = rig.start();
    let id = rig.server.queue(task([
        run("print first"),
        run("bytes 5000000"),
        run("print last"),
    ]));
    let finished = soon(rig.server.finished(id)).await;
    assert_eq!(finished.outcome, Outcome::Passed);
    let expected = [b"first\n".as_slice(), &noise(5_000_000), b"last\n"].concat();
    {
        let state = rig.server.state();
        assert!(state.tasks[&id].log == expected, "the log is another one");
        assert!(state.appends > 0);
    }
    rig.end(life).await;
}

#[tokio::test]
async fn a_log_that_the_server_lost_is_sent_again() {
    for bytes in [1_000, 60_000, 400_000] {
        let rig = Rig::new();
        let life = rig.start();
        let id = rig
            .server
            .queue(task([run(&format!("bytes {bytes}\ngate go"))]));
        soon(
            rig.server
                .until(|state| state.tasks[&id].log.len() == bytes),
        )
        .await;
        // Another log first, then a shorter one.
        rig.server
            .change(|state| state.tasks.get_mut(&id).unwrap().mismatches = 2);
        rig.server
            .change(|state| state.tasks.get_mut(&id).unwrap().log.truncate(500));
        rig.world.open("go");
        soon(rig.server.until(|state| {
            let record = &state.tasks[&id];
            record.finished.is_some()
        }))
        .await;
        assert!(rig.server.state().tasks[&id].log == noise(bytes), "{bytes}");
        // What is checked here is that the server was given the whole log again.
        rig.server.change(|state| state.violations.clear());
        rig.end(life).await;
    }
}
