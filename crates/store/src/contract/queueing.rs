//! Submitting, claiming, releasing, listing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use outrider_model::{JobId, Outcome, PipelineId, RunnerId, Status, TaskId};

use super::world::{
    World, build, class_name, empty, end, finished, held, job, payload, pipeline, requires, tasks,
};
use crate::{Claim, NewPipeline, PipelineFilter, StoreError};
use outrider_model::report::{Report, ReportAnswer};

pub async fn a_task_lives_from_submit_to_finish(w: World) {
    let submitted = w
        .store
        .submit_pipeline(pipeline(vec![job("build")]), w.now())
        .await
        .unwrap();
    assert_eq!(submitted.number, 1);
    assert_eq!(submitted.woken.0, [(class_name("linux"), 1)]);
    let id = submitted.pipeline;
    assert_eq!(w.pipeline(id).await.summary.status, Status::Queued);

    w.pass(Duration::from_secs(1));
    let task = w.claim_one().await;
    assert_eq!(w.pipeline(id).await.summary.status, Status::Running);
    let claimed_at = w.now();

    w.pass(Duration::from_secs(1));
    w.start(&task).await;
    let started_at = w.now();

    w.pass(Duration::from_secs(1));
    let log = b"hello\n";
    let reported = w
        .accept(Report {
            log: super::world::chunk(0, log),
            finished: Some(end(Outcome::Passed, log)),
            ..empty(&task)
        })
        .await;
    assert_eq!(
        reported.answers,
        [ReportAnswer::Accepted {
            log_length: 6,
            stop: false
        }]
    );
    assert_eq!(reported.touched, [task.attempt]);
    assert_eq!(
        reported.edges,
        [(Status::Running, finished(Outcome::Passed))]
    );

    let detail = w.store.task(task.task).await.unwrap();
    let [attempt] = &detail.attempts[..] else {
        panic!("one attempt")
    };
    assert_eq!(attempt.claimed_at, claimed_at);
    assert_eq!(attempt.started_at, Some(started_at));
    assert_eq!(attempt.ended_at, Some(w.now()));
    assert_eq!(attempt.outcome, Some(Outcome::Passed));
    assert_eq!(w.log(task.attempt).await, log);
    let summary = w.job(id, "build").await.summary;
    assert_eq!(summary.started_at, Some(started_at));
    assert_eq!(summary.finished_at, Some(w.now()));
    assert_eq!(
        (summary.status, summary.tasks_finished),
        (finished(Outcome::Passed), 1)
    );
    let summary = w.pipeline(id).await.summary;
    assert_eq!(
        (summary.status, summary.finished_at),
        (finished(Outcome::Passed), Some(w.now()))
    );
}

pub async fn a_payload_is_what_was_submitted(w: World) {
    let mut new = pipeline(vec![job("odd \"name\" \\ \u{1f980}"), tasks("wide", 3)]);
    new.trigger.branch = Some("main".to_owned());
    let id = w
        .store
        .submit_pipeline(new.clone(), w.now())
        .await
        .unwrap()
        .pipeline;
    let claimed = w.claim(9).await;
    assert_eq!(
        claimed.iter().map(|task| task.index).collect::<Vec<_>>(),
        [0, 0, 1, 2]
    );
    let detail = w.pipeline(id).await;
    let first = payload(&claimed[0]);
    assert_eq!(first.job_name, new.plan.workflows[0].jobs[0].name);
    assert_eq!((first.pipeline, first.pipeline_number), (id, 1));
    assert_eq!(first.workflow, detail.workflows[0].id);
    assert_eq!((first.job_number, first.parallelism), (1, 1));
    assert_eq!(
        (first.trigger, first.spec),
        (
            new.trigger,
            new.plan.workflows[0].jobs[0]
                .kind
                .build()
                .expect("runs")
                .spec
                .clone()
        )
    );
    let last = payload(&claimed[3]);
    assert_eq!((last.job_number, last.parallelism), (2, 3));
    assert_eq!(last.job, w.job_id(id, "wide").await);
}

pub async fn the_longest_queued_is_claimed_first(w: World) {
    for name in ["a", "b", "c"] {
        w.submit(vec![job(name)]).await;
    }
    let names: Vec<_> = w
        .claim(2)
        .await
        .iter()
        .map(|task| payload(task).job_name)
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(w.run_all().await, ["c"]);
}

pub async fn classes_do_not_mix(w: World) {
    let mut other = job("mac");
    build(&mut other).class = class_name("mac");
    w.submit(vec![other, job("linux")]).await;
    let runner = RunnerId::from_bytes([1; 16]);
    assert_eq!(w.claim_as(runner, "unknown", 5).await.len(), 0);
    assert_eq!(w.claim_as(runner, "mac", 5).await.len(), 1);
    assert_eq!(w.claim_as(runner, "linux", 5).await.len(), 1);
}

pub async fn no_task_is_claimed_twice(w: World) {
    w.submit(vec![tasks("wide", 60), tasks("wider", 40)]).await;
    let claim = |number: u8| Claim {
        class: class_name("linux"),
        runner: RunnerId::from_bytes([number; 16]),
        runner_name: format!("runner-{number}"),
        slots: 7,
        lease: super::world::CLAIMED,
    };
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (store, claim, now) = (Arc::clone(&w.store), claim(number), w.now());
        claims.spawn(async move { store.claim(claim, now).await.unwrap() });
    }
    let mut seen = HashSet::new();
    while let Some(claimed) = claims.join_next().await {
        for task in claimed.unwrap() {
            assert!(seen.insert(task.task), "{} was claimed twice", task.task);
        }
    }
    assert_eq!(seen.len(), 100);
    assert_eq!(w.claim(1).await.len(), 0);
}

pub async fn a_released_task_keeps_its_place(w: World) {
    w.submit(vec![job("a")]).await;
    w.submit(vec![job("b")]).await;
    let task = w.claim_one().await;
    let woken = w.store.release(vec![held(&task)], w.now()).await.unwrap();
    assert_eq!(woken.0, [(class_name("linux"), 1)]);
    // Repeated, it changes nothing.
    assert_eq!(
        w.store.release(vec![held(&task)], w.now()).await.unwrap().0,
        []
    );
    let again = w.claim_one().await;
    assert_eq!(again.task, task.task);
    assert_ne!(again.attempt, task.attempt);
    // The old lease gives nothing back any more, and neither does one that has started.
    assert_eq!(
        w.store.release(vec![held(&task)], w.now()).await.unwrap().0,
        []
    );
    w.start(&again).await;
    assert_eq!(
        w.store
            .release(vec![held(&again)], w.now())
            .await
            .unwrap()
            .0,
        []
    );
    let attempts = w.store.task(task.task).await.unwrap().attempts;
    assert_eq!(
        attempts.iter().map(|a| a.id).collect::<Vec<_>>(),
        [task.attempt, again.attempt]
    );
    assert_eq!(
        (attempts[0].outcome, attempts[0].ended_at),
        (None, Some(w.now()))
    );
}

pub async fn depths_equal_a_recount(w: World) {
    let id = w.submit(vec![tasks("a", 5), requires("b", &["a"])]).await;
    let queued_at = w.now();
    let depth = || async { w.store.queue_depths().await.unwrap().pop().unwrap() };
    let now = depth().await;
    assert_eq!(
        (now.queued, now.running, now.oldest_queued_at),
        (5, 0, Some(queued_at))
    );
    w.pass(Duration::from_secs(1));
    let claimed = w.claim(2).await;
    assert_eq!((depth().await.queued, depth().await.running), (3, 2));
    w.end(&claimed[0], Outcome::Passed).await;
    w.store
        .release(vec![held(&claimed[1])], w.now())
        .await
        .unwrap();
    assert_eq!((depth().await.queued, depth().await.running), (4, 0));
    w.run_all().await;
    let now = depth().await;
    assert_eq!(
        (now.queued, now.running, now.oldest_queued_at),
        (0, 0, None)
    );
    assert_eq!(
        w.pipeline(id).await.summary.status,
        finished(Outcome::Passed)
    );
}

pub async fn numbers_count_up_in_each_project(w: World) {
    let of = |project: &str| {
        let mut new = pipeline(vec![job("a"), job("b")]);
        new.trigger.project = project.to_owned();
        new
    };
    for (project, number) in [("x", 1), ("y", 1), ("x", 2), ("x", 3), ("y", 2)] {
        let submitted = w.store.submit_pipeline(of(project), w.now()).await.unwrap();
        assert_eq!(submitted.number, number);
        let jobs = &w.pipeline(submitted.pipeline).await.workflows[0].jobs;
        let numbers: Vec<_> = jobs.iter().map(|job| job.number).collect();
        assert_eq!(numbers, [number * 2 - 1, number * 2]);
    }
}

pub async fn an_idempotency_key_makes_one_pipeline(w: World) {
    let new = NewPipeline {
        idempotency_key: Some("k".to_owned()),
        reserved: None,
        ..pipeline(vec![job("a")])
    };
    let first = w.store.submit_pipeline(new.clone(), w.now()).await.unwrap();
    let again = w.store.submit_pipeline(new, w.now()).await.unwrap();
    assert_eq!(
        (first.pipeline, first.number),
        (again.pipeline, again.number)
    );
    assert_eq!(w.claim(9).await.len(), 1);
}

pub async fn a_bad_plan_changes_nothing(w: World) {
    let mut none = pipeline(Vec::new());
    let unknown = pipeline(vec![job("a"), requires("b", &["nobody"])]);
    let twice = pipeline(vec![job("a"), requires("b", &["a", "a"])]);
    let empty = pipeline(vec![tasks("a", 0)]);
    none.plan.workflows.clear();
    for bad in [none, unknown, twice, empty] {
        let refused = w.store.submit_pipeline(bad, w.now()).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
    assert_eq!(w.claim(9).await.len(), 0);
    let submitted = w
        .store
        .submit_pipeline(pipeline(vec![job("a")]), w.now())
        .await
        .unwrap();
    assert_eq!(submitted.number, 1);
}

pub async fn lists_are_newest_first_and_page(w: World) {
    let mut ids = Vec::new();
    for number in 0..5 {
        let mut new = pipeline(vec![job("a")]);
        new.trigger.project = if number % 2 == 0 { "even" } else { "odd" }.to_owned();
        // All in the same millisecond.
        ids.insert(
            0,
            w.store
                .submit_pipeline(new, w.now())
                .await
                .unwrap()
                .pipeline,
        );
    }
    let list = async |project: Option<&str>, before, limit| {
        let filter = PipelineFilter {
            project: project.map(str::to_owned),
            before,
            limit,
        };
        let found = w.store.pipelines(filter).await.unwrap();
        found
            .into_iter()
            .map(|summary| summary.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 9).await, ids);
    assert_eq!(list(None, None, 2).await, ids[..2]);
    assert_eq!(list(None, Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(list(Some("even"), None, 9).await, [ids[0], ids[2], ids[4]]);
    assert_eq!(list(Some("odd"), Some(ids[1]), 9).await, [ids[3]]);
    assert_eq!(list(Some("nobody's"), None, 9).await, []);
}

pub async fn what_is_not_there_is_not_found(w: World) {
    let not_found = |error| matches!(error, StoreError::NotFound { .. });
    let (pipeline, job) = (PipelineId::from_bytes([7; 16]), JobId::from_bytes([7; 16]));
    let task = TaskId::from_bytes([7; 16]);
    assert!(not_found(w.store.pipeline(pipeline).await.unwrap_err()));
    assert!(not_found(w.store.job(job).await.unwrap_err()));
    assert!(not_found(w.store.task(task).await.unwrap_err()));
    assert!(not_found(w.store.explain(task, w.now()).await.unwrap_err()));
    let cancel = crate::CancelTarget::Job(job);
    assert!(not_found(
        w.store
            .cancel(cancel, "x".to_owned(), w.now())
            .await
            .unwrap_err()
    ));
    let cancel = crate::CancelTarget::Pipeline(pipeline);
    assert!(not_found(
        w.store
            .cancel(cancel, "x".to_owned(), w.now())
            .await
            .unwrap_err()
    ));
    let attempt = outrider_model::AttemptId::from_bytes([7; 16]);
    assert!(not_found(
        w.store.read_log(attempt, 0, 9).await.unwrap_err()
    ));
    assert!(not_found(
        w.store
            .events(pipeline, crate::EventSeq(0), 9)
            .await
            .unwrap_err()
    ));
    let token = outrider_model::TokenId::from_bytes([7; 16]);
    assert!(not_found(
        w.store.revoke_token(token, w.now()).await.unwrap_err()
    ));
}
