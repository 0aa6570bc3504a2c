//! A runner whose Engine comes later.

use std::os::unix::fs::symlink;

use outrider_model::Outcome;
use outrider_testkit::docker::{Image, engine};
use serde_json::json;

use crate::common::{World, wait_for};
use crate::steps::run;
use crate::support::*;

#[tokio::test]
async fn tasks_wait_until_there_is_an_engine() {
    let mut world = World::new();
    let _server = world.start_server(&SOON).await;
    let socket = world.path("engine.sock");
    let address = format!("unix://{}", socket.display());
    let arguments = ["--executor", "docker", "--docker-host", &address];
    let runner = world.start_runner("runner", &arguments).await;
    let image = Image::Busybox.provide().await;
    let job = alone(job_in(&image, json!([run("echo hi")])));
    let pipeline = world.submit(&job).await;
    wait_for("a word about the Engine", async || {
        let said = format!("no Docker Engine answers at {address}");
        runner.output().contains(&said).then_some(())
    })
    .await;
    let engine = engine();
    let there = engine.strip_prefix("unix://").expect("a socket");
    symlink(there, socket).expect("the Engine is there now");
    assert_eq!(world.outcome(pipeline).await, Outcome::Passed);
}
