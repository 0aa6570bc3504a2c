//! A runner that is killed while its containers run.

use std::collections::HashMap;

use bollard::query_parameters::ListContainersOptionsBuilder;
use outrider_model::reason::EndReason;
use outrider_model::{Outcome, Status, TaskId};
use outrider_testkit::docker::{Image, client};
use serde_json::json;

use crate::common::{World, wait_for};
use crate::engine::until_gone;
use crate::steps::{run, until_it_says};
use crate::support::*;

/// A job that talks, and goes on for ever, with a service beside it.
async fn endless() -> String {
    let image = Image::Busybox.provide().await;
    let service = json!({"image": Image::Service.provide().await, "name": "web"});
    let script = "trap '' TERM; echo it runs; sleep 1000000";
    alone(job_beside(&image, &[service], json!([run(script)])))
}

/// How many containers with this label there are, or how many of them run.
async fn labelled(label: &str, value: &str, ended_too: bool) -> usize {
    let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
    let options = ListContainersOptionsBuilder::new()
        .all(ended_too)
        .filters(&filters)
        .build();
    client().list_containers(Some(options)).await.unwrap().len()
}

async fn runs(world: &World) -> TaskId {
    let id = world.submit(&endless().await).await;
    until_it_says(world, id, "it runs\n").await;
    world.task(id).await
}

#[tokio::test]
async fn containers_go_with_a_runner_that_is_killed_and_the_task_is_told_when_it_is_back() {
    let (world, [_server, mut runner]) = start(&[]).await;
    let task = runs(&world).await;
    let attempt = world.attempts(task).await.unwrap().attempts[0].id;
    let name = world.runner_name("runner");
    assert_eq!(labelled("outrider.runner", &name, true).await, 2);
    runner.kill9();
    wait_for("the end of all containers", async || {
        let running = labelled("outrider.runner", &name, false).await;
        (running == 0).then_some(())
    })
    .await;

    let _runner = start_runner(&world, &[]).await;
    let detail = world.ended(task).await;
    assert_eq!(detail.task.status, Status::Finished(Outcome::Lost));
    let reason = detail.attempts[0].reason.clone().unwrap();
    assert!(
        matches!(reason, EndReason::RunnerRestarted { .. }),
        "{reason:?}"
    );
    until_gone(attempt).await;
    let next = alone(job_in(
        &Image::Busybox.provide().await,
        json!([run("echo next")]),
    ));
    let id = world.submit(&next).await;
    assert_eq!(world.outcome(id).await, Outcome::Passed);
    assert_eq!(labelled("outrider.runner", &name, true).await, 0);
}
