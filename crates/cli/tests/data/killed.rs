//! Servers and runners are killed in the middle, and two jobs want the same.

use outrider_model::{Outcome, Status};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

use crate::common::{World, wait_for};
use crate::support::*;

/// Makes a folder whose content nobody has seen before, and saves it as a cache.
fn saves_something_new(key: &str) -> Value {
    json!([
        run("mkdir kept && head -c 3000000 /dev/urandom > kept/noise && echo new > kept/file"),
        save(key, "kept"),
    ])
}

#[tokio::test]
async fn of_a_runner_killed_in_a_save_nothing_is_left() {
    let mut world = World::new();
    // The server is gone while the runner is killed: so the save is in the middle for sure.
    let crash = [&SHORT[..], &["--crash-at", "blob.put"]].concat();
    let mut server = world.start_server(&crash).await;
    let pipeline = world.submit(&one(saves_something_new("k"))).await;
    let mut runner = world.start_runner("runner", &[]).await;
    server.wait_killed().await;
    runner.kill9();
    assert_eq!(stored(&world).len(), 1, "a blob that no cache has");
    let mut server = world.start_server(&SHORT).await;
    let _runner = world.start_runner("runner", &[]).await;
    let task = world.task(pipeline).await;
    let detail = world.ended(task).await;
    assert_eq!(detail.task.status, Status::Finished(Outcome::Lost));

    let log = passes(&world, &one(json!([restore("k"), show()]))).await;
    says(&log, &["No cache is found", "found: nothing"]);
    passes(&world, &one(saves_something_new("k"))).await;
    says(&passes(&world, &restoring("k")).await, &["found: new"]);
    // The first thing that a server does is to collect garbage.
    server.kill9();
    let _server = world.start_server(&SHORT).await;
    wait_for("no more objects than the cache needs", async || {
        (stored(&world).len() == 2).then_some(())
    })
    .await;
    says(&passes(&world, &restoring("k")).await, &["found: new"]);
}

/// A crash point is passed: the server dies there, and comes back.
async fn survives_death_at(point: &str, before: Option<&str>, config: &str, found: &str) {
    let mut world = World::new();
    if let Some(before) = before {
        let mut server = world.start_server(&SHORT).await;
        let mut runner = world.start_runner("runner", &[]).await;
        passes(&world, before).await;
        server.kill9();
        runner.kill9();
    }
    let crash = [&SHORT[..], &["--crash-at", point]].concat();
    let mut server = world.start_server(&crash).await;
    let pipeline = world.submit(config).await;
    let _runner = world.start_runner("runner", &[]).await;
    server.wait_killed().await;
    let _server = world.start_server(&SHORT).await;
    let outcome = world.outcome(pipeline).await;
    let log = logs(&world, pipeline).await;
    assert_eq!(outcome, Outcome::Passed, "{point}: {log}");
    let log = passes(&world, &restoring("k")).await;
    assert!(log.contains(found), "{point}: {log}");
}

/// All at once: they mostly wait.
async fn all(tests: impl IntoIterator<Item = impl Future<Output = ()> + 'static>) {
    let (local, mut set) = (LocalSet::new(), JoinSet::new());
    for test in tests {
        set.spawn_local_on(test, &local);
    }
    local.await;
    while let Some(ended) = set.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn the_server_dies_in_a_save() {
    let points = [
        "announce.committed",
        "blob.put",
        "blobs-stored.applied",
        "blob.put:2",
    ];
    all(points.map(|point| async move {
        survives_death_at(point, None, &one(saves_something_new("k")), "found: new").await;
    }))
    .await;
}

#[tokio::test]
async fn the_server_dies_at_the_end_of_a_save() {
    let points = [
        "cache.indexed",
        "save-cache.applied",
        "save-cache.committed",
    ];
    all(points.map(|point| async move {
        survives_death_at(point, None, &one(saves_something_new("k")), "found: new").await;
    }))
    .await;
}

#[tokio::test]
async fn the_server_dies_in_a_restore() {
    let points = ["find-cache.committed", "blob.get", "blob.get:2"];
    all(points.map(|point| async move {
        let saved = saving("k", "good");
        let config = one(json!([
            restore("k"),
            run("test \"$(cat kept/file)\" = good")
        ]));
        survives_death_at(point, Some(&saved), &config, "found: good").await;
    }))
    .await;
}

#[tokio::test]
async fn the_server_dies_while_a_workspace_is_handed_on() {
    let points = [
        "layer.indexed",
        "add-layer.committed",
        "workspace.committed",
    ];
    all(points.map(|point| async move {
        let jobs = json!({
            "one": job(json!([run("echo good > handed"), persist("handed")])),
            "two": job(json!([
                attach(),
                run("mkdir kept && mv handed kept/file"),
                save("k", "kept"),
            ])),
        });
        let config = config(jobs, json!(["one", {"two": {"requires": ["one"]}}]));
        survives_death_at(point, None, &config, "found: good").await;
    }))
    .await;
}

#[tokio::test]
async fn of_two_that_save_one_key_at_once_one_is_kept() {
    let (world, _processes) = start_with(&[], &["--slots", "2"]).await;
    let meet = format!(
        "mkdir kept && echo $CIRCLE_JOB > kept/file && touch {0}-$CIRCLE_JOB\n\
         until [ -e {0}-left -a -e {0}-right ]; do sleep 0.02; done",
        world.path("here").display()
    );
    let one_of_two = job(json!([run(&meet), save("k", "kept")]));
    let jobs = json!({"left": one_of_two, "right": one_of_two});
    let log = passes(&world, &config(jobs, json!(["left", "right"]))).await;
    let too_late = ["that one stays.", "it stays as it is."].map(|text| log.matches(text).count());
    assert_eq!(too_late.iter().sum::<usize>(), 1, "{log}");
    let log = passes(&world, &restoring("k")).await;
    assert!(
        log.contains("found: left") || log.contains("found: right"),
        "{log}"
    );
}
