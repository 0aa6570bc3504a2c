//! Configs of jobs that move data, and what becomes of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use outrider_api::pipelines::SubmitPipeline;
use outrider_model::{Outcome, PipelineId};
use outrider_service::OsRandom;
use outrider_store::Store;
use outrider_store::sqlite::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};

use crate::common::{Process, World, submission, wait_for};

/// Short leases, so that what nobody holds any more is soon queued again.
pub const SHORT: [&str; 4] = ["--claim-lease", "2s", "--startup-grace", "1s"];

/// A job with these steps.
pub fn job(steps: Value) -> Value {
    Value::from_iter([("machine", Value::Bool(true)), ("steps", steps)])
}

/// A config. JSON is YAML, too.
pub fn config(jobs: Value, order: Value) -> String {
    let main = Value::from_iter([("jobs", order)]);
    let workflows = Value::from_iter([("main", main)]);
    let parts = [
        ("version", json!(2.1)),
        ("jobs", jobs),
        ("workflows", workflows),
    ];
    Value::from_iter(parts).to_string()
}

/// A config with one job of these steps.
pub fn one(steps: Value) -> String {
    config(json!({"build": job(steps)}), json!(["build"]))
}

pub fn run(script: &str) -> Value {
    json!({"run": {"command": script}})
}

pub fn save(key: &str, path: &str) -> Value {
    json!({"save_cache": {"key": key, "paths": [path]}})
}

pub fn restore(key: &str) -> Value {
    json!({"restore_cache": {"key": key}})
}

pub fn persist(path: &str) -> Value {
    json!({"persist_to_workspace": {"root": ".", "paths": [path]}})
}

pub fn attach() -> Value {
    json!({"attach_workspace": {"at": "."}})
}

/// Saves a file with this content as a cache.
pub fn saving(key: &str, content: &str) -> String {
    one(json!([
        run(&format!("mkdir kept && echo {content} > kept/file")),
        save(key, "kept")
    ]))
}

/// Restores a cache, and prints its file or `nothing`.
pub fn restoring(key: &str) -> String {
    one(json!([restore(key), show()]))
}

/// Prints the file of a cache, or `nothing`.
pub fn show() -> Value {
    run("echo \"found: $(cat kept/file 2>/dev/null || echo nothing)\"")
}

/// A server and a runner.
pub async fn start() -> (World, [Process; 2]) {
    start_with(&[], &[]).await
}

/// A server and a runner with these arguments.
pub async fn start_with(server: &[&str], runner: &[&str]) -> (World, [Process; 2]) {
    let mut world = World::new();
    let server = world.start_server(server).await;
    let runner = world.start_runner("runner", runner).await;
    (world, [server, runner])
}

/// Runs a pipeline to its end. All logs of it, job by job and task by task.
pub async fn ran(world: &World, submission: &SubmitPipeline) -> (Outcome, String) {
    let submitted = world.admin().submit_pipeline(submission, None).await;
    let id = submitted.unwrap().id;
    let outcome = world.outcome(id).await;
    (outcome, logs(world, id).await)
}

/// All logs of a pipeline.
pub async fn logs(world: &World, id: PipelineId) -> String {
    let mut all = String::new();
    for job in world.jobs(id).await {
        for task in world.admin().job(job.id).await.unwrap().tasks {
            all += &String::from_utf8_lossy(&world.log(task.id).await);
        }
    }
    all
}

/// Runs a config that passes; its logs.
pub async fn passes(world: &World, config: &str) -> String {
    let (outcome, log) = ran(world, &submission(config)).await;
    assert_eq!(outcome, Outcome::Passed, "{log}");
    log
}

/// Runs a config that fails; its logs.
pub async fn fails(world: &World, config: &str) -> String {
    let (outcome, log) = ran(world, &submission(config)).await;
    assert_eq!(outcome, Outcome::Failed, "{log}");
    log
}

/// All these stand in a log.
#[track_caller]
pub fn says(log: &str, words: &[&str]) {
    for word in words {
        assert!(log.contains(word), "no {word:?} in:\n{log}");
    }
}

/// Waits until a log has this in it.
pub async fn until_it_says(world: &World, id: PipelineId, words: &str) {
    wait_for(words, async || {
        let log = logs(world, id).await;
        log.contains(words).then_some(())
    })
    .await;
}

/// Opens the store of a server that has ended.
pub fn open_store(world: &World) -> Arc<dyn Store> {
    let options = SqliteOptions::new(Arc::new(OsRandom::new()));
    Arc::new(SqliteStore::open(world.path("server"), options).unwrap())
}

/// The objects of a blob store in a folder.
pub fn objects(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        // Whoever deletes an object may delete its folder, too.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| outrider_blob(path));
    found.sort();
    found
}

/// Whether a file is called as blobs are: `HASH-ROW`.
fn outrider_blob(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let parts = name.and_then(|name| name.split_once('-'));
    parts.is_some_and(|(hash, _)| hash.len() == 64)
}

/// The objects of a world's server.
pub fn stored(world: &World) -> Vec<PathBuf> {
    objects(&world.path("server").join("blobs"))
}
