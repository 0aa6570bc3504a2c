//! Disks without room for the data of jobs.

use outrider_model::Outcome;
use serde_json::json;

use crate::common::small_disk::SmallDisk;
use crate::common::{World, submission, wait_for};
use crate::support::*;

/// More than there is room for.
const TOO_MUCH: &str = "mkdir kept && head -c 12000000 /dev/urandom > kept/file";

#[tokio::test]
async fn a_full_disk_of_the_server_costs_a_cache_and_fails_a_workspace() {
    let mut world = World::new();
    let Some(_disk) = SmallDisk::mount(world.path("server").join("blobs"), "8m") else {
        return;
    };
    let mut server = world.start_server(&["--min-free-space", "0"]).await;
    let _runner = world.start_runner("runner", &[]).await;
    let log = passes(&world, &one(json!([run(TOO_MUCH), save("k", "kept")]))).await;
    says(&log, &["Nothing is cached", "full"]);
    says(
        &passes(&world, &restoring("k")).await,
        &["No cache is found"],
    );

    let submission = submission(&one(json!([run(TOO_MUCH), persist("kept")])));
    let (outcome, log) = ran(&world, &submission).await;
    assert_ne!(outcome, Outcome::Passed);
    says(&log, &["full"]);
    // What fits works as before.
    server.kill9();
    let _server = world.start_server(&["--min-free-space", "0"]).await;
    wait_for("room", async || stored(&world).is_empty().then_some(())).await;
    passes(&world, &saving("k", "small")).await;
    says(&passes(&world, &restoring("k")).await, &["found: small"]);
}

#[tokio::test]
async fn a_server_that_wants_room_to_stay_refuses_caches_only() {
    let mut world = World::new();
    let Some(_disk) = SmallDisk::mount(world.path("server").join("blobs"), "8m") else {
        return;
    };
    let _server = world.start_server(&["--min-free-space", "16MiB"]).await;
    let _runner = world.start_runner("runner", &[]).await;
    let log = passes(&world, &saving("k", "x")).await;
    says(&log, &["Nothing is cached", "too little disk space"]);
    let jobs = json!({
        "one": job(json!([run("echo x > handed"), persist("handed")])),
        "two": job(json!([attach(), run("test -e handed")])),
    });
    passes(
        &world,
        &config(jobs, json!(["one", {"two": {"requires": ["one"]}}])),
    )
    .await;
}

#[tokio::test]
async fn a_full_disk_of_the_runner_is_a_miss() {
    let mut world = World::new();
    let Some(_disk) = SmallDisk::mount(world.path("small"), "8m") else {
        return;
    };
    let _server = world.start_server(&[]).await;
    let mut big = world.start_runner("big", &[]).await;
    passes(
        &world,
        &one(json!([run(TOO_MUCH), save("k", "kept"), persist("kept")])),
    )
    .await;
    big.kill9();
    let _small = world.start_runner("small", &[]).await;
    let log = passes(&world, &one(json!([restore("k")]))).await;
    says(&log, &["No cache is restored", "the disk is full"]);
    // It has its room back.
    passes(&world, &saving("l", "small")).await;
    says(&passes(&world, &restoring("l")).await, &["found: small"]);
}
