//! Jobs that wait for a person.

use outrider_model::plan::{JobKind, JobPlan};
use outrider_model::reason::WaitReason;
use outrider_model::{JobId, Outcome, Status};

use super::world::{World, finished, job, kind, requires};
use crate::{CancelTarget, Result, StoreError, Woken};

fn approval(name: &str, required: &[&str]) -> JobPlan {
    kind(requires(name, required), JobKind::Approval)
}

async fn approve(w: &World, job: JobId, by: &str) -> Result<Woken> {
    w.store.approve(job, by.to_owned(), w.now()).await
}

fn conflict(answer: Result<Woken>) -> String {
    match answer {
        Err(StoreError::Conflict(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub async fn an_approval_job_is_on_hold_until_somebody_approves_it(w: World) {
    let jobs = vec![
        job("a"),
        approval("hold", &["a"]),
        requires("deploy", &["hold"]),
    ];
    let id = w.submit(jobs).await;
    let hold = w.job_id(id, "hold").await;
    assert_eq!(w.run_all().await, ["a"], "nobody can claim what is on hold");
    assert_eq!(w.status(id, "hold").await, Status::OnHold);
    assert_eq!(w.status(id, "deploy").await, Status::Blocked);
    let pipeline = w.pipeline(id).await;
    assert_eq!(
        (pipeline.summary.status, pipeline.workflows[0].status),
        (Status::OnHold, Status::OnHold)
    );
    let depth = &w.store.queue_depths().await.unwrap()[0];
    assert_eq!((depth.queued, depth.running), (0, 0));
    let detail = w.job(id, "hold").await;
    assert_eq!((detail.summary.class, detail.tasks.len()), (None, 1));
    let task = detail.tasks[0].id;
    let explained = w.store.explain(task, w.now()).await.unwrap();
    assert_eq!(explained.wait, Some(WaitReason::Approval { job: hold }));

    let woken = approve(&w, hold, "ann").await.unwrap();
    assert_eq!(woken.0.len(), 1, "what requires it can be claimed");
    let job = w.job(id, "hold").await.summary;
    assert_eq!(job.status, finished(Outcome::Passed));
    assert_eq!(job.approved_by.as_deref(), Some("ann"));
    assert_eq!(w.run_all().await, ["deploy"]);
    let status = w.pipeline(id).await.summary.status;
    assert_eq!(status, finished(Outcome::Passed));
}

pub async fn approving_twice_is_approving_once(w: World) {
    let id = w.submit(vec![approval("hold", &[])]).await;
    let hold = w.job_id(id, "hold").await;
    assert_eq!(w.status(id, "hold").await, Status::OnHold);
    approve(&w, hold, "ann").await.unwrap();
    assert_eq!(approve(&w, hold, "bob").await.unwrap(), Woken::default());
    let approved_by = w.job(id, "hold").await.summary.approved_by;
    assert_eq!(approved_by.as_deref(), Some("ann"));
}

pub async fn a_job_that_is_not_on_hold_cannot_be_approved(w: World) {
    let jobs = vec![job("a"), approval("hold", &["a"]), approval("other", &[])];
    let id = w.submit(jobs).await;
    let hold = w.job_id(id, "hold").await;
    assert_eq!(
        conflict(approve(&w, hold, "ann").await),
        "job \"hold\" cannot be approved yet: it waits for a (queued)"
    );
    let a = w.job_id(id, "a").await;
    assert_eq!(
        conflict(approve(&w, a, "ann").await),
        "job \"a\" is of type build: only approval jobs are approved"
    );
    let other = w.job_id(id, "other").await;
    let cancel = CancelTarget::Job(other);
    let canceled = w.store.cancel(cancel, "ann".to_owned(), w.now()).await;
    assert_eq!(canceled.unwrap().ended, 1);
    assert_eq!(
        conflict(approve(&w, other, "ann").await),
        "job \"other\" has ended (canceled) and can no longer be approved"
    );
    assert_eq!(w.status(id, "other").await, finished(Outcome::Canceled));
    let unknown = approve(&w, JobId::from_bytes([7; 16]), "ann").await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound { .. })),
        "{unknown:?}"
    );
}

pub async fn what_runs_nothing_ends_by_itself(w: World) {
    let release = JobKind::Release {
        plan_name: "shop".to_owned(),
    };
    let jobs = vec![
        kind(job("start"), JobKind::NoOp),
        requires("a", &["start"]),
        kind(requires("join", &["a"]), JobKind::NoOp),
        kind(requires("release", &["join"]), release),
        requires("after", &["release"]),
    ];
    let id = w.submit(jobs).await;
    assert_eq!(w.status(id, "start").await, finished(Outcome::Passed));
    assert_eq!(w.run_all().await, ["a"]);
    assert_eq!(w.status(id, "join").await, finished(Outcome::Passed));
    let release = w.job(id, "release").await.summary;
    assert_eq!(release.status, finished(Outcome::Failed));
    let why = release.reason.unwrap().to_string();
    assert!(why.contains("CircleCI's service"), "{why}");
    assert_eq!(w.status(id, "after").await, finished(Outcome::NotRun));
}
