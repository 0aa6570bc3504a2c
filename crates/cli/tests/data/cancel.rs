//! Whoever cancels a pipeline does not wait for its data.

use std::time::Duration;

use outrider_model::Outcome;
use outrider_testkit::s3::{self, S3Server};
use serde_json::json;
use tokio::time::Instant;

use crate::common::World;
use crate::support::*;

#[tokio::test]
async fn steps_that_wait_for_a_store_end_when_they_are_told_to() {
    let mut bucket = S3Server::start();
    let mut world = World::new();
    let arguments = ["--blobs", &bucket.location()];
    let _server = world
        .start_server_with(&arguments, &s3::environment())
        .await;
    let _runner = world.start_runner("runner", &[]).await;
    passes(&world, &saving("there", "good")).await;
    let kept = run("mkdir kept && echo $RANDOM > kept/file; echo \"<testsuite/>\" > junit.xml");
    bucket.kill();
    for step in [
        save("new", "kept"),
        restore("there"),
        persist("kept"),
        json!({"store_artifacts": {"path": "kept"}}),
        json!({"store_test_results": {"path": "junit.xml"}}),
    ] {
        let ready = world.path("ready");
        let touch = run(&format!("touch {}", ready.display()));
        let id = world.submit(&one(json!([kept, touch, step]))).await;
        world.reaches(id, &ready).await;
        // The step has come to where it waits, or soon will.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let asked = Instant::now();
        world.admin().cancel_pipeline(id).await.unwrap();
        assert_eq!(world.outcome(id).await, Outcome::Canceled, "{step}");
        world.ended(world.task(id).await).await;
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(10), "{step}: {took:?}");
        std::fs::remove_file(ready).unwrap();
    }
    bucket.start_again();
    let log = passes(&world, &restoring("new")).await;
    says(&log, &["No cache is found"]);
    says(&passes(&world, &restoring("there")).await, &["found: good"]);
}
