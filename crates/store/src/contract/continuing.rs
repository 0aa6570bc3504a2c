//! Pipelines that their own jobs continue.

use std::collections::BTreeMap;

use outrider_model::plan::{JobPlan, Plan};
use outrider_model::secret::{ContinuationKey, TokenHash};
use outrider_model::{Outcome, PipelineId, Status};

use super::world::{World, empty, finished, job, payload, pipeline, requires};
use crate::{
    CancelTarget, Continuable, Continuation, EventSeq, EventSubject, LONGEST_SETUP, RawClaimedTask,
    Result, StoreError, Woken,
};

/// A pipeline with a setup config, of which its one job runs.
async fn start(w: &World) -> (PipelineId, RawClaimedTask) {
    let mut new = pipeline(vec![job("setup")]);
    new.plan.setup = true;
    new.parameters = BTreeMap::from([("who".to_owned(), "ann".to_owned())]);
    let submitted = w.store.submit_pipeline(new, w.now()).await.unwrap();
    let task = w.claim_one().await;
    w.start(&task).await;
    (submitted.pipeline, task)
}

fn key(task: &RawClaimedTask) -> TokenHash {
    task.continuation_key.as_ref().expect("a key").hash()
}

fn plan(jobs: Vec<JobPlan>) -> Plan {
    pipeline(jobs).plan
}

async fn continue_with(w: &World, key: TokenHash, plan: Plan) -> Result<Woken> {
    let config = "version: 2.1 # more".to_owned();
    let new = Continuation { key, plan, config };
    w.store.continue_pipeline(new, w.now()).await
}

#[track_caller]
fn conflict<T: std::fmt::Debug>(answer: Result<T>, words: &str) {
    match answer {
        Err(StoreError::Conflict(why)) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    }
}

pub async fn a_setup_job_continues_its_pipeline_once(w: World) {
    let (id, task) = start(&w).await;
    let other = w.submit(vec![job("other")]).await;
    let known = w.store.continuable(key(&task), w.now()).await.unwrap();
    let Continuable {
        reserved,
        trigger,
        parameters,
    } = known.expect("the key is known");
    assert_eq!((reserved.pipeline, reserved.number), (id, 1));
    assert_eq!(trigger.project, "acme/shop");
    assert_eq!(parameters["who"], "ann");

    let more = || plan(vec![job("build"), requires("deploy", &["build"])]);
    let woken = continue_with(&w, key(&task), more()).await.unwrap();
    assert_eq!(woken.0.len(), 1);
    conflict(continue_with(&w, key(&task), more()).await, "already");
    conflict(w.store.continuable(key(&task), w.now()).await, "already");

    w.end(&task, Outcome::Passed).await;
    let detail = w.pipeline(id).await;
    assert_eq!(detail.summary.status, Status::Running);
    let jobs = |ix: usize| {
        let jobs = detail.workflows[ix].jobs.iter();
        jobs.map(|job| (job.name.clone(), job.number))
            .collect::<Vec<_>>()
    };
    assert_eq!(jobs(0), [("setup".to_owned(), 1)]);
    assert_eq!(jobs(1), [("build".to_owned(), 3), ("deploy".to_owned(), 4)]);
    assert_eq!(w.run_all().await, ["other", "build", "deploy"]);
    let status = w.pipeline(id).await.summary.status;
    assert_eq!(status, finished(Outcome::Passed));
    assert_eq!(w.pipeline(other).await.workflows[0].jobs.len(), 1);
    let events = w.store.events(id, EventSeq(0), 99).await.unwrap();
    let of_jobs = events.iter().filter_map(|event| match event.subject {
        EventSubject::Job(job) => Some(job),
        _ => None,
    });
    assert_eq!(of_jobs.collect::<std::collections::HashSet<_>>().len(), 3);
}

pub async fn only_tasks_of_a_setup_config_get_a_key(w: World) {
    let (_, task) = start(&w).await;
    let key = key(&task);
    assert!(!format!("{task:?}").contains(task.continuation_key.as_ref().unwrap().reveal()));
    continue_with(&w, key, plan(vec![job("build")]))
        .await
        .unwrap();
    let next = w.claim_one().await;
    assert_eq!(payload(&next).job_name, "build");
    assert_eq!(next.continuation_key, None, "what continues it cannot");
    w.submit(vec![job("plain")]).await;
    assert_eq!(w.claim_one().await.continuation_key, None);
}

pub async fn a_pipeline_continued_with_nothing_ends_with_its_setup(w: World) {
    let (id, task) = start(&w).await;
    let mut nothing = plan(Vec::new());
    nothing.workflows.clear();
    continue_with(&w, key(&task), nothing).await.unwrap();
    let again = continue_with(&w, key(&task), plan(vec![job("more")])).await;
    conflict(again, "already");
    w.end(&task, Outcome::Passed).await;
    let status = w.pipeline(id).await.summary.status;
    assert_eq!(status, finished(Outcome::Passed));
}

pub async fn a_continuation_comes_in_time(w: World) {
    let more = || plan(vec![job("build")]);
    let (ended, task) = start(&w).await;
    w.end(&task, Outcome::Passed).await;
    conflict(continue_with(&w, key(&task), more()).await, "has ended");
    assert_eq!(w.pipeline(ended).await.workflows.len(), 1);

    let (_, task) = start(&w).await;
    w.pass(LONGEST_SETUP);
    w.accept(empty(&task)).await;
    w.pass(std::time::Duration::from_millis(1));
    conflict(continue_with(&w, key(&task), more()).await, "6 hours");

    let unknown = ContinuationKey::presented("outrider_continuation_0").hash();
    assert_eq!(w.store.continuable(unknown, w.now()).await.unwrap(), None);
    conflict(continue_with(&w, unknown, more()).await, "unknown");
}

pub async fn a_bad_continuation_changes_nothing(w: World) {
    let (id, task) = start(&w).await;
    let mut again = plan(vec![job("a")]);
    again.setup = true;
    conflict(continue_with(&w, key(&task), again).await, "setup");
    let nobody = plan(vec![job("a"), requires("b", &["nobody"])]);
    conflict(continue_with(&w, key(&task), nobody).await, "nobody");
    assert_eq!(w.pipeline(id).await.workflows.len(), 1);
    let good = plan(vec![job("a")]);
    continue_with(&w, key(&task), good).await.unwrap();
    assert_eq!(w.pipeline(id).await.workflows.len(), 2);
}

pub async fn canceling_reaches_what_a_pipeline_was_continued_with(w: World) {
    let (id, task) = start(&w).await;
    let more = plan(vec![job("a"), job("b")]);
    continue_with(&w, key(&task), more).await.unwrap();
    let all = CancelTarget::Pipeline(id);
    let canceled = w.store.cancel(all, "ann".to_owned(), w.now()).await;
    let canceled = canceled.unwrap();
    assert_eq!((canceled.ended, canceled.stopping.len()), (2, 1));
    w.end(&task, Outcome::Canceled).await;
    let status = w.pipeline(id).await.summary.status;
    assert_eq!(status, finished(Outcome::Canceled));
}
