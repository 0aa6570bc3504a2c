//! Tasks that are tried again when they have failed.

use outrider_model::plan::JobPlan;
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::{Outcome, PipelineId, Status};

use super::world::{World, empty, end, finished, job, pipeline, requires, tasks};
use crate::CancelTarget;

/// A pipeline whose workflow runs failed jobs again so often.
async fn submit(w: &World, reruns: u32, jobs: Vec<JobPlan>) -> PipelineId {
    let mut new = pipeline(jobs);
    new.plan.workflows[0].max_auto_reruns = reruns;
    let submitted = w.store.submit_pipeline(new, w.now()).await;
    submitted.unwrap().pipeline
}

pub async fn a_failed_task_is_tried_again_as_often_as_its_workflow_says(w: World) {
    let id = submit(&w, 2, vec![job("a"), requires("b", &["a"])]).await;
    let mut claimed = Vec::new();
    for _ in 0..2 {
        let task = w.claim_one().await;
        let ended = w.end(&task, Outcome::Failed).await;
        assert_eq!(ended.woken.0.len(), 1);
        assert_eq!(w.status(id, "a").await, Status::Queued);
        assert_eq!(w.job(id, "a").await.summary.reason, None);
        claimed.push(task);
    }
    assert_eq!(claimed[0].task, claimed[1].task);
    w.end(&w.claim_one().await, Outcome::Failed).await;
    assert_eq!(w.status(id, "a").await, finished(Outcome::Failed));
    assert_eq!(w.status(id, "b").await, finished(Outcome::NotRun));
    let attempts = w.store.task(claimed[0].task).await.unwrap().attempts;
    assert_eq!(attempts.len(), 3);
    let all_failed = |attempt: &crate::AttemptDetail| {
        attempt.outcome == Some(Outcome::Failed) && attempt.reason.is_some()
    };
    assert!(attempts.iter().all(all_failed), "{attempts:?}");
}

pub async fn what_passes_when_tried_again_has_passed(w: World) {
    let id = submit(&w, 1, vec![tasks("a", 2), requires("b", &["a"])]).await;
    let [first, second] = &w.claim(2).await[..] else {
        panic!("two tasks");
    };
    w.end(first, Outcome::Passed).await;
    w.end(second, Outcome::Failed).await;
    let again = w.claim_one().await;
    assert_eq!(again.task, second.task, "only what has failed");
    w.end(&again, Outcome::Passed).await;
    assert_eq!(w.run_all().await, ["b"]);
    let status = w.pipeline(id).await.summary.status;
    assert_eq!(status, finished(Outcome::Passed));
}

pub async fn the_end_before_a_rerun_can_be_told_twice(w: World) {
    let id = submit(&w, 1, vec![job("a")]).await;
    let task = w.claim_one().await;
    let report = || Report {
        started: true,
        finished: Some(end(Outcome::Failed, b"")),
        ..empty(&task)
    };
    w.accept(report()).await;
    w.accept(report()).await;
    let other = Report {
        finished: Some(end(Outcome::Passed, b"")),
        ..empty(&task)
    };
    let answers = w.report(other).await.answers;
    assert!(matches!(answers[..], [ReportAnswer::Stale { .. }]));
    let again = w.claim_one().await;
    let answers = w.report(report()).await.answers;
    assert!(matches!(answers[..], [ReportAnswer::Stale { .. }]));
    w.end(&again, Outcome::Passed).await;
    assert_eq!(w.status(id, "a").await, finished(Outcome::Passed));
}

pub async fn only_failures_are_tried_again(w: World) {
    let outcomes = [Outcome::TimedOut, Outcome::Lost, Outcome::Canceled];
    for outcome in outcomes {
        let id = submit(&w, 5, vec![job("a")]).await;
        w.end(&w.claim_one().await, outcome).await;
        assert_eq!(w.status(id, "a").await, finished(outcome));
    }
    let id = submit(&w, 5, vec![job("a")]).await;
    let task = w.claim_one().await;
    w.start(&task).await;
    let all = CancelTarget::Pipeline(id);
    w.store
        .cancel(all, "ann".to_owned(), w.now())
        .await
        .unwrap();
    w.end(&task, Outcome::Failed).await;
    assert_eq!(w.status(id, "a").await, finished(Outcome::Failed));
}
