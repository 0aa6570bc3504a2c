//! Data steps where the runner does not see the files.

use std::fmt::Write;
use std::time::Duration;

use outrider_model::Outcome;
use outrider_testkit::s3::{self, S3Server};
use serde_json::json;
use tokio::time::Instant;

use crate::common::{Process, World};
use crate::contained::ContainedRunner;
use crate::support::*;

async fn start_contained() -> (World, Process, ContainedRunner) {
    let mut world = World::new();
    let server = world.start_server(&[]).await;
    let runner = ContainedRunner::start(&world).await;
    (world, server, runner)
}

#[tokio::test]
async fn a_cache_comes_back_as_it_was_saved() {
    let (world, _server, runner) = start_contained().await;
    let make = "mkdir -p kept ../.home/empty && echo good > kept/file && ln -s file kept/link\n\
                head -c 20000000 /dev/urandom > kept/large && chmod 600 kept/large\n\
                sha256sum kept/large > ../.home/sum && echo one > lock";
    let key = "v1-{{ checksum \"lock\" }}";
    let save = json!({"save_cache": {"key": key, "paths": ["kept", "~/.home"]}});
    let log = passes(&world, &one(json!([run(make), save]))).await;
    says(&log, &["Saving kept, ~/.home under the key v1-"]);
    let check = "sha256sum -c ../.home/sum && test -L kept/link && test -d ../.home/empty\n\
                 test \"$(stat -c %a kept/large)\" = 600";
    let steps = json!([run("echo one > lock"), restore(key), run(check)]);
    says(
        &passes(&world, &one(steps)).await,
        &["Restoring the cache v1-"],
    );
    runner.end().await;
}

#[tokio::test]
async fn blobs_go_to_a_store_whose_urls_are_not_seen_inside() {
    let bucket = S3Server::start();
    let mut world = World::new();
    let arguments = ["--blobs", &bucket.location()];
    let _server = world
        .start_server_with(&arguments, &s3::environment())
        .await;
    let runner = ContainedRunner::start(&world).await;
    passes(&world, &saving("there", "good")).await;
    says(&passes(&world, &restoring("there")).await, &["found: good"]);
    runner.end().await;
}

#[tokio::test]
async fn workspaces_artifacts_and_results_are_kept() {
    let (world, _server, runner) = start_contained().await;
    let results = r#"echo '<testsuite><testcase name="one"/></testsuite>' > junit.xml"#;
    let jobs = json!({
        "first": job(json!([run("mkdir d && echo good > d/file"), persist("d")])),
        "second": job(json!([
            attach(),
            run("cat d/file"),
            run(results),
            {"store_test_results": {"path": "junit.xml"}},
            {"store_artifacts": {"path": "d", "destination": "kept"}},
            {"persist_to_workspace": {"root": "nowhere", "paths": ["x"]}},
        ])),
    });
    let order = json!(["first", {"second": {"requires": ["first"]}}]);
    let log = fails(&world, &config(jobs, order)).await;
    let words = [
        "Attaching what \"first\" has persisted",
        "good\n",
        "1 tests in 1 reports: 0 failed, 0 skipped",
        "1 file stored, 5 bytes",
        "there is no directory nowhere",
    ];
    says(&log, &words);
    runner.end().await;
}

#[tokio::test]
async fn a_tool_that_lies_fails_its_own_step_only() {
    let (world, _server, runner) = start_contained().await;
    passes(&world, &saving("there", "good")).await;
    let forbidden = frame(r#"{"call":{"call":1,"request":"workspace"}}"#);
    let unknown = frame(r#"{"call":{"call":1,"request":"timings"}}"#);
    for (script, problem) in [
        ("yes", "a frame is too long"),
        (
            r"printf '\377\377\377\377\377\377\377\377'; cat > /dev/null",
            "a frame is too long",
        ),
        (r"printf '\0\0\0\004\0\0\0\0'", "from inside"),
        ("true", "from inside"),
        ("kill -9 $$", "for lack of memory: the limit is 64 MiB"),
        (&forbidden, "a call that is not of this step"),
        (&unknown, "from inside"),
    ] {
        runner.replace_tool(script);
        let log = fails(&world, &restoring("there")).await;
        says(&log, &[problem]);
    }
    runner.restore_tool();
    says(&passes(&world, &restoring("there")).await, &["found: good"]);
    runner.end().await;
}

/// A script that writes a frame, and waits.
fn frame(header: &str) -> String {
    let mut octal = String::new();
    for byte in (header.len() as u64).rotate_left(32).to_be_bytes() {
        write!(octal, "\\{byte:03o}").unwrap();
    }
    format!("printf '{octal}'; printf %s '{header}'; cat > /dev/null")
}

#[tokio::test]
async fn whoever_cancels_waits_neither_for_a_store_nor_for_a_tool() {
    let mut bucket = S3Server::start();
    let mut world = World::new();
    let arguments = ["--blobs", &bucket.location()];
    let _server = world
        .start_server_with(&arguments, &s3::environment())
        .await;
    let runner = ContainedRunner::start(&world).await;
    passes(&world, &saving("there", "good")).await;
    bucket.kill();
    for tool in [None, Some("exec sleep 1000")] {
        tool.inspect(|script| runner.replace_tool(script));
        let ready = world.path("ready");
        let touch = run(&format!("touch {}", ready.display()));
        let id = world.submit(&one(json!([touch, restore("there")]))).await;
        world.reaches(id, &ready).await;
        let asked = Instant::now();
        world.admin().cancel_pipeline(id).await.unwrap();
        assert_eq!(world.outcome(id).await, Outcome::Canceled, "{tool:?}");
        world.ended(world.task(id).await).await;
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(20), "{tool:?}: {took:?}");
        std::fs::remove_file(ready).unwrap();
    }
    runner.end().await;
}

#[tokio::test]
async fn a_step_waits_for_a_server_that_is_away() {
    let (mut world, mut server, runner) = start_contained().await;
    let go = world.path("go");
    let ready = world.path("ready");
    let wait = format!(
        "mkdir kept && echo good > kept/file && touch {} && until [ -e {} ]; do sleep 0.05; done",
        ready.display(),
        go.display()
    );
    let id = world
        .submit(&one(json!([run(&wait), save("late", "kept")])))
        .await;
    world.reaches(id, &ready).await;
    server.kill9();
    std::fs::write(&go, "").unwrap();
    let _server = world.start_server(&[]).await;
    assert_eq!(world.outcome(id).await, Outcome::Passed);
    says(&passes(&world, &restoring("late")).await, &["found: good"]);
    runner.end().await;
}
