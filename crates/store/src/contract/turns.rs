//! Groups that admit one job at a time.

use std::time::Duration;

use outrider_model::plan::{JobKind, JobPlan, JobType};
use outrider_model::reason::{EndReason, TurnHolder, WaitReason};
use outrider_model::{JobId, Outcome, PipelineId, Status};

use super::world::{World, finished, job, kind, payload, pipeline, requires};
use crate::{CancelTarget, LONGEST_TURN_WAIT, NewPipeline};

fn serial(job: JobPlan) -> JobPlan {
    JobPlan {
        serial_group: Some("deploy".to_owned()),
        ..job
    }
}

fn lock(name: &str, required: &[&str]) -> JobPlan {
    let key = "db".to_owned();
    kind(requires(name, required), JobKind::Lock { key })
}

fn unlock(name: &str, required: &[&str]) -> JobPlan {
    let key = "db".to_owned();
    kind(requires(name, required), JobKind::Unlock { key })
}

/// Submits jobs for a project of this name.
async fn submit_to(w: &World, project: &str, jobs: Vec<JobPlan>) -> PipelineId {
    let mut new: NewPipeline = pipeline(jobs);
    new.trigger.project = project.to_owned();
    let submitted = w.store.submit_pipeline(new, w.now()).await;
    submitted.unwrap().pipeline
}

async fn wait(w: &World, job: JobId) -> Option<WaitReason> {
    let task = w.store.job(job).await.unwrap().tasks[0].id;
    w.store.explain(task, w.now()).await.unwrap().wait
}

pub async fn one_job_of_a_serial_group_runs_at_a_time(w: World) {
    let (mut pipelines, mut names) = (Vec::new(), Vec::new());
    for project in ["acme/a", "acme/b", "acme/c"] {
        pipelines.push(submit_to(&w, project, vec![serial(job(project))]).await);
    }
    assert_eq!(w.status(pipelines[1], "acme/b").await, Status::Blocked);
    let depth = &w.store.queue_depths().await.unwrap()[0];
    assert_eq!(depth.queued, 1, "who waits for a turn is not queued");
    let outcomes = [Outcome::Passed, Outcome::Failed, Outcome::TimedOut];
    for outcome in outcomes {
        let claimed = w.claim(9).await;
        assert_eq!(claimed.len(), 1);
        names.push(payload(&claimed[0]).job_name);
        let ended = w.end(&claimed[0], outcome).await;
        let next = usize::from(names.len() < outcomes.len());
        assert_eq!(ended.woken.0.len(), next, "the next one can be claimed");
    }
    assert_eq!(names, ["acme/a", "acme/b", "acme/c"]);
}

pub async fn a_wait_for_a_turn_says_who_has_it(w: World) {
    let first = submit_to(&w, "acme/a", vec![serial(job("one"))]).await;
    submit_to(&w, "acme/b", vec![serial(job("two"))]).await;
    let third = submit_to(&w, "acme/c", vec![serial(job("three"))]).await;
    let (holder, waiting) = (w.job_id(first, "one").await, w.job_id(third, "three").await);
    let turn = WaitReason::Turn {
        group: "deploy".to_owned(),
        holder: TurnHolder {
            project: "acme/a".to_owned(),
            pipeline: 1,
            job: holder,
            name: "one".to_owned(),
            job_type: JobType::Build,
        },
        ahead: 1,
        until: w.now() + LONGEST_TURN_WAIT,
    };
    assert_eq!(wait(&w, waiting).await, Some(turn));
}

pub async fn an_older_pipeline_is_skipped_in_the_line(w: World) {
    let jobs = vec![job("a"), serial(requires("deploy", &["a"]))];
    let older = submit_to(&w, "acme/a", jobs).await;
    let newer = submit_to(&w, "acme/a", vec![serial(job("deploy"))]).await;
    assert_eq!(w.run_all().await, ["a", "deploy"]);
    let again = submit_to(&w, "acme/b", vec![serial(job("deploy"))]).await;
    assert_eq!(w.status(older, "deploy").await, finished(Outcome::NotRun));
    let reason = w.job(older, "deploy").await.summary.reason;
    let group = "deploy".to_owned();
    assert_eq!(reason, Some(EndReason::Overtaken { group, by: 2 }));
    assert_eq!(w.status(newer, "deploy").await, finished(Outcome::Passed));
    assert_eq!(w.status(again, "deploy").await, Status::Queued);
}

pub async fn jobs_of_one_pipeline_take_turns(w: World) {
    let jobs = vec![serial(job("a")), serial(job("b")), serial(job("c"))];
    let id = w.submit(jobs).await;
    let b = CancelTarget::Job(w.job_id(id, "b").await);
    w.store.cancel(b, "ann".to_owned(), w.now()).await.unwrap();
    assert_eq!(w.run_all().await, ["a", "c"], "who waits can be canceled");
}

pub async fn a_wait_for_a_turn_ends_after_a_time(w: World) {
    let first = submit_to(&w, "acme/a", vec![serial(job("deploy"))]).await;
    w.pass(Duration::from_secs(60));
    let jobs = vec![serial(job("deploy")), requires("after", &["deploy"])];
    let second = submit_to(&w, "acme/b", jobs).await;
    let until = w.now() + LONGEST_TURN_WAIT;
    let early = w.store.end_long_waits(w.now(), 9).await.unwrap();
    assert_eq!((early.ended, early.next), (0, Some(until)));
    w.pass(LONGEST_TURN_WAIT);
    let late = w.store.end_long_waits(w.now(), 9).await.unwrap();
    assert_eq!((late.ended, late.next), (1, None));
    let deploy = w.job(second, "deploy").await.summary;
    assert_eq!(deploy.status, finished(Outcome::Canceled));
    let why = deploy.reason.unwrap().to_string();
    assert_eq!(why, "it waited 5h for its turn in serial group \"deploy\"");
    assert_eq!(w.status(second, "after").await, finished(Outcome::NotRun));
    assert_eq!(w.status(first, "deploy").await, Status::Queued);
}

pub async fn a_lock_is_kept_until_it_is_given_back(w: World) {
    let jobs = || {
        vec![
            lock("take", &[]),
            requires("migrate", &["take"]),
            unlock("give", &["migrate"]),
            requires("report", &["give"]),
        ]
    };
    let first = submit_to(&w, "acme/a", jobs()).await;
    let second = submit_to(&w, "acme/b", jobs()).await;
    assert_eq!(w.status(first, "take").await, finished(Outcome::Passed));
    assert_eq!(w.status(second, "take").await, Status::Blocked);
    let turn = wait(&w, w.job_id(second, "take").await).await;
    let text = turn.unwrap().to_string();
    assert!(
        text.contains("serial group \"db\"") && text.contains("acme/a #1"),
        "{text}"
    );
    let migrate = w.claim_one().await;
    w.end(&migrate, Outcome::Passed).await;
    assert_eq!(w.status(first, "give").await, finished(Outcome::Passed));
    assert_eq!(w.status(second, "take").await, finished(Outcome::Passed));
    assert_eq!(w.run_all().await, ["report", "migrate", "report"]);
}

pub async fn a_lock_goes_back_when_its_workflow_ends(w: World) {
    let jobs = || vec![lock("take", &[]), requires("migrate", &["take"])];
    let first = submit_to(&w, "acme/a", jobs()).await;
    let second = submit_to(&w, "acme/b", jobs()).await;
    let all = CancelTarget::Pipeline(first);
    let canceled = w.store.cancel(all, "ann".to_owned(), w.now()).await;
    assert_eq!(canceled.unwrap().woken.0.len(), 1);
    assert_eq!(w.status(second, "take").await, finished(Outcome::Passed));
    assert_eq!(w.run_all().await, ["migrate"]);
}

/// A group of jobs that is serial takes a lock of the group's name.
pub async fn a_lock_is_a_turn_in_the_group_of_its_name(w: World) {
    let jobs = vec![
        lock("take", &[]),
        requires("a", &["take"]),
        unlock("give", &["a"]),
    ];
    submit_to(&w, "acme/a", jobs).await;
    let single = JobPlan {
        serial_group: Some("db".to_owned()),
        ..job("single")
    };
    let other = submit_to(&w, "acme/b", vec![single]).await;
    assert_eq!(w.status(other, "single").await, Status::Blocked);
    assert_eq!(w.run_all().await, ["a", "single"]);
}
