//! Jobs that wait for people, and pipelines that their jobs continue, over real sockets.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;

use std::collections::BTreeMap;

use common::{World, passed, submission};
use outrider_api::ErrorCode;
use outrider_api::client::ClientError;
use outrider_api::continuation::{CONTINUE_PATH, ContinuePipeline};
use outrider_api::runner::ReportRequest;
use outrider_model::claim::ClaimedTask;
use outrider_model::plan::{JobKind, JobPlan, JobType, Plan, Requirement, Trigger};
use outrider_model::report::Report;
use outrider_model::secret::ContinuationKey;
use outrider_model::{JobId, Outcome, PipelineId, Status};
use outrider_service::{Clock, SystemClock};
use outrider_store::{NewPipeline, Store};
use serde_json::{Value, json};

/// A job that requires others.
fn job(name: &str, required: &[&str], kind: JobKind) -> JobPlan {
    let entry = |job: &&str| Requirement {
        job: (*job).to_owned(),
        accepts: vec![Outcome::Passed],
    };
    JobPlan {
        name: name.to_owned(),
        requires: required.iter().map(entry).collect(),
        contexts: Vec::new(),
        serial_group: None,
        kind,
    }
}

fn build() -> JobKind {
    let build = json!({
        "type": "build", "class": "acme/linux", "parallelism": 1,
        "spec": {
            "environment_kind": { "kind": "machine" }, "working_directory": "~", "steps": [],
        },
    });
    serde_json::from_value(build).unwrap()
}

/// Submits a plan, and gives the jobs by name.
async fn submit(world: &World, jobs: Vec<JobPlan>) -> (PipelineId, BTreeMap<String, JobId>) {
    let workflow = json!({ "name": "main", "jobs": jobs });
    let plan: Plan = serde_json::from_value(json!({ "workflows": [workflow] })).unwrap();
    let new = NewPipeline {
        trigger: Trigger {
            project: "acme/shop".to_owned(),
            ..Trigger::default()
        },
        plan,
        parameters: BTreeMap::new(),
        config: String::new(),
        idempotency_key: None,
        reserved: None,
    };
    let submitted = world.store.submit_pipeline(new, SystemClock.now()).await;
    let id = submitted.unwrap().pipeline;
    let detail = world.admin.pipeline(id).await.unwrap();
    let jobs = detail.workflows[0].jobs.iter();
    (id, jobs.map(|job| (job.name.clone(), job.id)).collect())
}

#[tokio::test]
async fn a_job_on_hold_goes_on_when_somebody_approves_it() {
    let world = World::start().await;
    let jobs = vec![
        job("hold", &[], JobKind::Approval),
        job("deploy", &["hold"], build()),
    ];
    let (id, jobs) = submit(&world, jobs).await;
    let hold = world.admin.job(jobs["hold"]).await.unwrap();
    assert_eq!(
        (hold.job.status, hold.job.job_type, hold.job.class),
        (Status::OnHold, JobType::Approval, None)
    );
    let explained = world.admin.explain(hold.tasks[0].id).await.unwrap();
    assert_eq!(explained.summary, "waits for approval");
    let command = format!("`outrider job approve {}`", jobs["hold"]);
    assert!(explained.advice.contains(&command), "{}", explained.advice);
    let queue = world.admin.queue().await.unwrap();
    assert!(
        queue.items.iter().all(|depth| depth.queued == 0),
        "{queue:?}"
    );

    let refused = world.admin.approve_job(jobs["deploy"]).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Conflict));
    let request = world.claim_request(60_000);
    let (claimed, approved) = tokio::join!(
        world.runner.claim(&request),
        world.admin.approve_job(jobs["hold"])
    );
    let approved = approved.unwrap().job;
    assert_eq!(approved.status, Status::Finished(Outcome::Passed));
    assert!(approved.approved_by.is_some());
    assert_eq!(claimed.unwrap().tasks[0].payload.job_name, "deploy");
    world.admin.approve_job(jobs["hold"]).await.unwrap();
    let pipeline = world.admin.pipeline(id).await.unwrap();
    assert_eq!(pipeline.pipeline.status, Status::Running);
}

const SETUP: &str = "
version: 2.1
setup: true
parameters:
  who: {type: string, default: nobody}
jobs:
  build:
    machine: true
    resource_class: acme/linux
    steps:
      - run: outrider pipeline continue more.yml
";

const MORE: &str = "
version: 2.1
parameters:
  who: {type: string, default: nobody}
  deploy: {type: boolean, default: false}
jobs:
  build:
    machine: true
    resource_class: acme/linux
    environment:
      WHO: << pipeline.parameters.who >>
      DEPLOY: << pipeline.parameters.deploy >>
    steps:
      - run: echo hello
";

/// A pipeline with a setup config, and the task that may continue it.
async fn start_setup(world: &World) -> (PipelineId, ClaimedTask) {
    let mut request = submission(SETUP);
    request.parameters = BTreeMap::from([("who".to_owned(), "ann".to_owned())]);
    let submitted = world.admin.submit_pipeline(&request, None).await.unwrap();
    (submitted.id, world.claim_one().await)
}

fn continuation(task: &ClaimedTask, config: &str, parameters: Value) -> ContinuePipeline {
    ContinuePipeline {
        continuation_key: task.continuation_key.clone().expect("a key"),
        configuration: config.to_owned(),
        parameters: serde_json::from_value(parameters).unwrap(),
        orbs: BTreeMap::new(),
    }
}

/// It is refused with this status, and says this.
async fn refused(world: &World, request: &ContinuePipeline, status: u16, words: &[&str]) {
    let Err(ClientError::Refused {
        status: found,
        detail,
    }) = world.runner.continue_pipeline(request).await
    else {
        panic!("it is not refused: {words:?}");
    };
    assert_eq!(found, status, "{}", detail.message);
    for word in words {
        assert!(
            detail.message.contains(word),
            "{word} in {}",
            detail.message
        );
    }
}

#[tokio::test]
async fn a_job_of_a_setup_config_continues_its_pipeline() {
    let world = World::start().await;
    let (id, task) = start_setup(&world).await;
    let with = |config, parameters| continuation(&task, config, parameters);
    let broken = MORE.replace("machine: true", "machin: true");
    refused(
        &world,
        &with(&broken, json!({})),
        400,
        &["machin", "configuration:"],
    )
    .await;
    refused(&world, &with(SETUP, json!({})), 400, &["setup"]).await;
    let again = with(MORE, json!({ "who": "bob" }));
    refused(
        &world,
        &again,
        400,
        &["conflicting pipeline parameters", "who"],
    )
    .await;
    refused(
        &world,
        &with(MORE, json!({ "deploy": [] })),
        400,
        &["deploy"],
    )
    .await;
    let unknown = ContinuePipeline {
        continuation_key: ContinuationKey::presented("outrider_continuation_0"),
        ..with(MORE, json!({}))
    };
    refused(&world, &unknown, 404, &["no such continuation key"]).await;

    let with_orb = with("version: 2.1\norbs: {x: acme/x@1.0}\n", json!({}));
    let refusal = world.runner.continue_pipeline(&with_orb).await;
    let Err(ClientError::Refused { detail, .. }) = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!(detail.missing_orbs, ["acme/x@1.0"]);

    let good = with(MORE, json!({ "deploy": true }));
    let answer = world.runner.continue_pipeline(&good).await.unwrap();
    assert_eq!(answer.message, "Accepted.");
    refused(&world, &good, 400, &["already"]).await;
    let next = world.claim_one().await;
    assert_eq!(
        (next.payload.pipeline, &*next.payload.job_name),
        (id, "build")
    );
    let variables = &next.payload.spec.environment;
    assert_eq!((&*variables["WHO"], &*variables["DEPLOY"]), ("ann", "true"));
    assert_eq!(next.continuation_key, None);
}

#[tokio::test]
async fn a_key_is_good_while_its_job_runs() {
    let world = World::start().await;
    let (_, task) = start_setup(&world).await;
    let end = Report {
        started: true,
        ..passed(&task, b"")
    };
    let reports = vec![end];
    world
        .runner
        .report(&ReportRequest { reports })
        .await
        .unwrap();
    let late = continuation(&task, MORE, json!({}));
    refused(&world, &late, 400, &["has ended"]).await;
}

#[tokio::test]
async fn what_is_no_continuation_is_refused_as_a_message() {
    let world = World::start().await;
    let url = format!("{}{CONTINUE_PATH}", world.url);
    let response = reqwest::Client::new()
        .post(url)
        .json(&json!({ "key": 1 }))
        .send();
    let response = response.await.unwrap();
    assert_eq!(response.status().as_u16(), 400);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("continuation-key"), "{message}");
}
