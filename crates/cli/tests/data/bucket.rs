//! The blob store is a bucket of a real server that speaks S3.

use std::time::Duration;

use outrider_model::Outcome;
use outrider_testkit::relay::{Fate, Relay};
use outrider_testkit::s3::{self, S3Server};
use serde_json::json;

use crate::common::{Process, World, submission};
use crate::support::*;

/// A server with its blobs in a bucket, and a runner.
async fn start_on(location: &str) -> (World, [Process; 2]) {
    let mut world = World::new();
    let arguments = ["--blobs", location];
    let server = world
        .start_server_with(&arguments, &s3::environment())
        .await;
    let runner = world.start_runner("runner", &[]).await;
    (world, [server, runner])
}

/// All kinds of steps that move data, on some megabytes.
fn everything() -> String {
    let make = "mkdir -p kept && seq 1 600000 > kept/numbers && echo good > kept/file
                head -c 3000000 /dev/urandom > kept/noise && sha256sum kept/* > kept-sums
                echo '<testsuite name=\"s\"><testcase name=\"t\"/></testsuite>' > junit.xml";
    let jobs = json!({
        "make": job(json!([
            run(make),
            save("k-{{ .BuildNum }}", "kept"),
            persist("kept*"),
            {"store_artifacts": {"path": "kept"}},
            {"store_test_results": {"path": "junit.xml"}},
        ])),
        "use": job(json!([
            attach(),
            run("sha256sum -c kept-sums && rm -r kept"),
            restore("k-"),
            run("sha256sum -c kept-sums"),
        ])),
    });
    config(jobs, json!(["make", {"use": {"requires": ["make"]}}]))
}

#[tokio::test]
async fn everything_works_with_a_bucket_straight_and_through_the_server() {
    for options in ["", "&signed_urls=false"] {
        let bucket = S3Server::start();
        let (world, _processes) = start_on(&format!("{}{options}", bucket.location())).await;
        passes(&world, &everything()).await;
        assert!(objects(&bucket.objects()).len() >= 4);
        assert!(stored(&world).is_empty(), "nothing lies on the server");
    }
}

#[tokio::test]
async fn answers_and_uploads_that_are_cut_half_way_are_tried_again() {
    let bucket = S3Server::start();
    let cuts = [
        Fate::CutRequest(200_000),
        Fate::CutRequest(1_000_000),
        Fate::CutAnswer(150),
        Fate::CutRequest(2_000_000),
        Fate::CutAnswer(500_000),
        Fate::CutAnswer(2_000_000),
    ];
    let relay = Relay::start(bucket.address(), &cuts).await;
    let (world, _processes) = start_on(&s3::location_at(relay.address)).await;
    passes(&world, &everything()).await;
    assert!(relay.met() > 0, "none was cut");
}

#[tokio::test]
async fn a_bucket_that_goes_away_for_seconds_is_waited_for() {
    let mut bucket = S3Server::start();
    let (world, _processes) = start_on(&bucket.location()).await;
    let saving = one(json!([
        run("mkdir kept && echo good > kept/file && head -c 2000000 /dev/urandom > kept/noise"),
        save("k", "kept"),
    ]));
    bucket.kill();
    let submitted = world
        .admin()
        .submit_pipeline(&submission(&saving), None)
        .await;
    let id = submitted.unwrap().id;
    until_it_says(&world, id, "Saving kept under the key k").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bucket.start_again();
    assert_eq!(world.outcome(id).await, Outcome::Passed);

    bucket.kill();
    let id = world.submit(&restoring("k")).await;
    until_it_says(&world, id, "Restoring the cache k").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bucket.start_again();
    assert_eq!(world.outcome(id).await, Outcome::Passed);
    says(&logs(&world, id).await, &["found: good"]);
}
