//! Canceling in every state.

use outrider_model::reason::EndReason;
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::{Outcome, RunnerId, Status};

use super::world::{
    DURATIONS, RUNNING, World, accepts, chunk, empty, end, finished, held, job, requires, tasks,
};
use crate::{CancelTarget, Canceled, LeaseAnswer};

async fn cancel(w: &World, what: CancelTarget) -> Canceled {
    w.store
        .cancel(what, "ann".to_owned(), w.now())
        .await
        .unwrap()
}

fn by_ann() -> EndReason {
    EndReason::Canceled {
        by: "ann".to_owned(),
    }
}

pub async fn canceling_ends_what_has_not_started(w: World) {
    let id = w.submit(vec![tasks("a", 3), requires("b", &["a"])]).await;
    let claimed = w.claim(1).await;
    let canceled = cancel(&w, CancelTarget::Pipeline(id)).await;
    assert_eq!((canceled.ended, canceled.stopping.len()), (4, 0));
    assert_eq!(
        w.pipeline(id).await.summary.status,
        finished(Outcome::Canceled)
    );
    for name in ["a", "b"] {
        let job = w.job(id, name).await.summary;
        assert_eq!(
            (job.status, job.reason),
            (finished(Outcome::Canceled), Some(by_ann()))
        );
    }
    let attempt = w
        .store
        .task(claimed[0].task)
        .await
        .unwrap()
        .attempts
        .pop()
        .unwrap();
    assert_eq!(
        (attempt.outcome, attempt.ended_at),
        (Some(Outcome::Canceled), Some(w.now()))
    );
    assert_eq!(w.claim(9).await.len(), 0);
    let depth = &w.store.queue_depths().await.unwrap()[0];
    assert_eq!((depth.queued, depth.running), (0, 0));
}

pub async fn canceling_stops_what_runs(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    let canceled = cancel(&w, CancelTarget::Pipeline(id)).await;
    let runner = RunnerId::from_bytes([9; 16]);
    assert_eq!(
        (canceled.ended, &canceled.stopping[..]),
        (0, &[(task.task, runner)][..])
    );
    assert_eq!(w.status(id, "a").await, Status::Running);
    let answers = w
        .store
        .renew_leases(runner, vec![held(&task)], DURATIONS, w.now())
        .await
        .unwrap();
    assert_eq!(answers, [LeaseAnswer::Stop]);
    let answer = w
        .accept(Report {
            log: chunk(0, b"x"),
            ..empty(&task)
        })
        .await
        .answers;
    assert_eq!(
        answer,
        [ReportAnswer::Accepted {
            log_length: 1,
            stop: true
        }]
    );
    // The runner does not know who canceled it.
    let mut ended = end(Outcome::Canceled, b"x");
    ended.reason = Some(EndReason::Canceled {
        by: "the server".to_owned(),
    });
    w.accept(Report {
        finished: Some(ended),
        ..empty(&task)
    })
    .await;
    let job = w.job(id, "a").await.summary;
    assert_eq!(
        (job.status, job.reason),
        (finished(Outcome::Canceled), Some(by_ann()))
    );
}

pub async fn canceling_twice_is_canceling_once(w: World) {
    let id = w.submit(vec![job("a"), job("b")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    cancel(&w, CancelTarget::Pipeline(id)).await;
    let before = w.store.explain(task.task, w.now()).await.unwrap();
    let again = w
        .store
        .cancel(CancelTarget::Pipeline(id), "bob".to_owned(), w.now())
        .await
        .unwrap();
    assert_eq!((again.ended, again.stopping.len()), (0, 1));
    assert_eq!(w.store.explain(task.task, w.now()).await.unwrap(), before);
    w.end(&task, Outcome::Canceled).await;
    assert_eq!(
        w.store.explain(task.task, w.now()).await.unwrap().end,
        Some(by_ann())
    );
}

pub async fn canceling_a_job_reaches_its_dependents(w: World) {
    let jobs = vec![
        job("a"),
        requires("b", &["a"]),
        accepts("c", "a", &[Outcome::Canceled]),
        job("other"),
    ];
    let id = w.submit(jobs).await;
    let a = w.job_id(id, "a").await;
    let canceled = cancel(&w, CancelTarget::Job(a)).await;
    assert_eq!(canceled.ended, 1);
    assert_eq!(canceled.woken.0.len(), 1);
    assert_eq!(w.status(id, "a").await, finished(Outcome::Canceled));
    assert_eq!(w.status(id, "b").await, finished(Outcome::NotRun));
    assert_eq!(w.status(id, "c").await, Status::Queued);
    assert_eq!(w.run_all().await, ["other", "c"]);
}

pub async fn a_canceled_claim_is_stale(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    cancel(&w, CancelTarget::Pipeline(id)).await;
    let answers = w
        .report(Report {
            started: true,
            ..empty(&task)
        })
        .await
        .answers;
    assert!(matches!(answers[..], [ReportAnswer::Stale { .. }]));
    assert_eq!(w.task_status(task.task).await, finished(Outcome::Canceled));
}

pub async fn a_stopping_task_whose_runner_is_silent_is_canceled(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    cancel(&w, CancelTarget::Pipeline(id)).await;
    w.pass(RUNNING);
    assert_eq!(w.store.expire_leases(w.now(), 9).await.unwrap().ended, 1);
    let job = w.job(id, "a").await.summary;
    assert_eq!(
        (job.status, job.reason),
        (finished(Outcome::Canceled), Some(by_ann()))
    );
    assert!(
        w.store
            .read_log(task.attempt, 0, 9)
            .await
            .unwrap()
            .mark
            .is_some()
    );
}

pub async fn a_stopping_task_may_still_pass(w: World) {
    let id = w.submit(vec![job("a")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    cancel(&w, CancelTarget::Pipeline(id)).await;
    w.end(&task, Outcome::Passed).await;
    let job = w.job(id, "a").await.summary;
    assert_eq!((job.status, job.reason), (finished(Outcome::Passed), None));
    assert_eq!(w.store.explain(task.task, w.now()).await.unwrap().end, None);
}

pub async fn old_pipelines_are_forgotten_whole(w: World) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(w.submit(vec![tasks("a", 2), requires("b", &["a"])]).await);
        cancel(&w, CancelTarget::Pipeline(ids[ids.len() - 1])).await;
    }
    let open = w.submit(vec![job("a")]).await;
    assert_eq!(w.store.forget_pipelines(2, w.now()).await.unwrap(), 2);
    let filter = crate::PipelineFilter {
        project: None,
        before: None,
        limit: 10,
    };
    let left = w.store.pipelines(filter).await.unwrap();
    let left: Vec<_> = left.iter().map(|pipeline| pipeline.id).collect();
    assert_eq!(left, [open, ids[2]]);
    assert!(w.store.pipeline(ids[0]).await.is_err());
    assert_eq!(
        w.job(ids[2], "b").await.summary.status,
        finished(Outcome::Canceled)
    );
    // What is still open works on, and nothing is forgotten twice.
    assert_eq!(w.claim(2).await.len(), 1);
    assert_eq!(w.store.forget_pipelines(0, w.now()).await.unwrap(), 1);
    assert_eq!(w.store.forget_pipelines(0, w.now()).await.unwrap(), 0);
}
