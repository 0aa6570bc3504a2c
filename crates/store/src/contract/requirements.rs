//! What jobs require of each other.

use outrider_model::reason::EndReason;
use outrider_model::{Outcome, Status};

use super::world::{World, accepts, class_name, finished, job, payload, requires, tasks};

pub async fn a_diamond_runs_in_order(w: World) {
    let jobs = vec![
        requires("bottom", &["left", "right"]),
        requires("left", &["top"]),
        requires("right", &["top"]),
        job("top"),
    ];
    let id = w.submit(jobs).await;
    assert_eq!(w.status(id, "left").await, Status::Blocked);
    let top = w.claim(9).await;
    assert_eq!(top.len(), 1);
    let woken = w.end(&top[0], Outcome::Passed).await.woken;
    assert_eq!(woken.0, [(class_name("linux"), 2)]);
    let sides = w.claim(9).await;
    assert_eq!(sides.len(), 2);
    w.end(&sides[0], Outcome::Passed).await;
    assert_eq!(w.status(id, "bottom").await, Status::Blocked);
    assert_eq!(w.job(id, "bottom").await.summary.queued_at, None);
    w.end(&sides[1], Outcome::Passed).await;
    assert_eq!(w.job(id, "bottom").await.summary.queued_at, Some(w.now()));
    assert_eq!(w.run_all().await, ["bottom"]);
    assert_eq!(
        w.pipeline(id).await.summary.status,
        finished(Outcome::Passed)
    );
    assert_eq!(
        w.job(id, "bottom").await.summary.requires,
        ["left", "right"]
    );
}

pub async fn a_failure_ends_what_requires_it(w: World) {
    let jobs = vec![
        job("a"),
        requires("b", &["a"]),
        requires("c", &["b"]),
        job("free"),
    ];
    let id = w.submit(jobs).await;
    let claimed = w.claim(9).await;
    let reported = w.end(&claimed[0], Outcome::Failed).await;
    assert_eq!(reported.edges.len(), 3);
    for (name, required, outcome) in [("b", "a", Outcome::Failed), ("c", "b", Outcome::NotRun)] {
        let job = w.job(id, name).await;
        assert_eq!(job.summary.status, finished(Outcome::NotRun));
        let reason = EndReason::RequirementNotMet {
            job: required.to_owned(),
            outcome,
        };
        assert_eq!(job.summary.reason.as_ref(), Some(&reason));
        let explained = w.store.explain(job.tasks[0].id, w.now()).await.unwrap();
        assert_eq!(explained.end, Some(reason));
    }
    assert_eq!(w.pipeline(id).await.summary.status, Status::Running);
    w.end(&claimed[1], Outcome::Passed).await;
    assert_eq!(
        w.pipeline(id).await.summary.status,
        finished(Outcome::Failed)
    );
}

pub async fn a_job_may_require_a_failure(w: World) {
    let jobs = vec![
        job("a"),
        accepts("on-failure", "a", &[Outcome::Failed]),
        accepts("always", "a", &[Outcome::Passed, Outcome::Failed]),
        requires("on-success", &["a"]),
    ];
    let id = w.submit(jobs).await;
    w.end(&w.claim_one().await, Outcome::Failed).await;
    assert_eq!(w.status(id, "on-success").await, finished(Outcome::NotRun));
    let mut names = w.run_all().await;
    names.sort();
    assert_eq!(names, ["always", "on-failure"]);
}

pub async fn parallel_tasks_end_their_job_together(w: World) {
    let id = w
        .submit(vec![tasks("wide", 4), requires("after", &["wide"])])
        .await;
    let claimed = w.claim(9).await;
    assert_eq!(claimed.len(), 4);
    for (done, task) in claimed.iter().enumerate() {
        assert_eq!(w.status(id, "after").await, Status::Blocked);
        assert_eq!(
            w.job(id, "wide").await.summary.tasks_finished as usize,
            done
        );
        w.end(task, Outcome::Passed).await;
    }
    let next = w.claim_one().await;
    assert_eq!(payload(&next).job_name, "after");
}
