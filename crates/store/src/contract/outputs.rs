//! Artifacts and test results.

use outrider_model::Outcome;

use super::data::{From, KEPT, OTHER, TRUSTED, UNTRUSTED, hash};
use super::world::{World, held, job, tasks};
use crate::{NewArtifact, RawClaimedTask, StoreError};

const FEATURE: From<'_> = From {
    branch: "feature",
    ..TRUSTED
};

async fn store(w: &World, task: &RawClaimedTask, path: &str, parts: &[&str]) {
    w.put(task, parts).await;
    let artifact = NewArtifact {
        path: path.to_owned(),
        parts: parts.iter().map(|name| hash(name)).collect(),
    };
    let stored = w
        .store
        .store_artifacts(held(task), vec![artifact], KEPT, w.now());
    stored.await.unwrap();
}

pub async fn artifacts_are_listed_by_task_and_path(w: World) {
    let pipeline = w.submit_from(TRUSTED, vec![tasks("test", 2)]).await;
    let first = w.claim_and_start().await;
    let second = w.claim_and_start().await;
    store(&w, &second, "log", &["a"]).await;
    store(&w, &first, "b/empty", &[]).await;
    store(&w, &first, "a", &["a", "b"]).await;
    let job = w.job_id(pipeline, "test").await;
    let list = w.store.artifacts(job).await.unwrap();
    let seen: Vec<_> = list
        .iter()
        .map(|one| (one.task, one.index, one.path.as_str(), one.size))
        .collect();
    let expected = [
        (first.task, 0, "a", 200),
        (first.task, 0, "b/empty", 0),
        (second.task, 1, "log", 100),
    ];
    assert_eq!(seen, expected);
}

pub async fn an_artifact_has_its_parts_in_order(w: World) {
    let task = w.running(TRUSTED).await;
    store(&w, &task, "log", &["old"]).await;
    store(&w, &task, "log", &["b", "a", "b"]).await;
    let content = async |path: &str| w.store.artifact(task.task, path.to_owned()).await;
    let found = content("log").await.unwrap();
    assert_eq!(found.size, 300);
    let parts: Vec<_> = found.parts.iter().map(|part| part.object.hash).collect();
    assert_eq!(parts, [hash("b"), hash("a"), hash("b")]);
    let none = content("lo").await;
    assert!(matches!(none, Err(StoreError::NotFound { .. })), "{none:?}");
    let artifact = NewArtifact {
        path: "log".to_owned(),
        parts: vec![hash("nowhere")],
    };
    let refused = w
        .store
        .store_artifacts(held(&task), vec![artifact], KEPT, w.now())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(content("log").await.unwrap(), found, "nothing changed");
}

pub async fn results_are_replaced_by_the_same_step(w: World) {
    let pipeline = w.submit_from(TRUSTED, vec![tasks("test", 2)]).await;
    let first = w.claim_and_start().await;
    let second = w.claim_and_start().await;
    w.results(&second, 3, "c").await;
    w.results(&first, 3, "a").await;
    w.results(&first, 3, "b").await;
    let job = w.job_id(pipeline, "test").await;
    let results = w.store.test_results(job).await.unwrap();
    let seen: Vec<_> = results
        .iter()
        .map(|one| (one.task, one.index, one.step, one.blob.object.hash))
        .collect();
    let expected = [
        (first.task, 0, 3, hash("b")),
        (second.task, 1, 3, hash("c")),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        (results[0].counts.tests, results[0].counts.millis),
        (20, 1_234)
    );
}

/// A pipeline whose job leaves results, and ends.
async fn leave(w: &World, from: From<'_>, name: &str, results: &str) {
    w.submit_from(from, vec![job(name)]).await;
    let task = w.claim_and_start().await;
    w.results(&task, 0, results).await;
    w.end(&task, Outcome::Failed).await;
}

async fn basis(w: &World, from: From<'_>) -> Vec<outrider_model::BlobHash> {
    let task = w.running(from).await;
    let timings = w.timings(&task).await;
    timings.iter().map(|one| one.blob.object.hash).collect()
}

pub async fn timings_come_from_the_newest_earlier_job(w: World) {
    assert_eq!(basis(&w, TRUSTED).await, []);
    leave(&w, TRUSTED, "build", "older").await;
    leave(&w, TRUSTED, "build", "main").await;
    leave(&w, TRUSTED, "lint", "lint").await;
    leave(&w, OTHER, "build", "other").await;
    assert_eq!(
        basis(&w, FEATURE).await,
        [hash("main")],
        "of another branch"
    );
    leave(&w, FEATURE, "build", "feature").await;
    assert_eq!(basis(&w, TRUSTED).await, [hash("main")]);
    assert_eq!(basis(&w, FEATURE).await, [hash("feature")]);
    let running = w.running(TRUSTED).await;
    w.results(&running, 0, "unfinished").await;
    assert_eq!(basis(&w, TRUSTED).await, [hash("main")]);
}

pub async fn timings_of_trusted_jobs_are_trusted(w: World) {
    leave(&w, TRUSTED, "build", "safe").await;
    assert_eq!(basis(&w, UNTRUSTED).await, [hash("safe")]);
    leave(&w, UNTRUSTED, "build", "foul").await;
    assert_eq!(basis(&w, TRUSTED).await, [hash("safe")]);
    assert_eq!(basis(&w, UNTRUSTED).await, [hash("foul")]);
}

pub async fn all_tasks_of_a_job_get_the_same_timings(w: World) {
    leave(&w, TRUSTED, "build", "first").await;
    w.submit_from(TRUSTED, vec![tasks("build", 2)]).await;
    let one = w.claim_and_start().await;
    let other = w.claim_and_start().await;
    let known = w.timings(&one).await;
    assert_eq!(known.len(), 1);
    leave(&w, TRUSTED, "build", "second").await;
    assert_eq!(w.timings(&other).await, known);
    assert_eq!(w.timings(&one).await, known);
}

pub async fn timings_stay_until_the_job_has_ended(w: World) {
    leave(&w, TRUSTED, "build", "first").await;
    w.submit_from(TRUSTED, vec![tasks("build", 2)]).await;
    let one = w.claim_and_start().await;
    let known = w.timings(&one).await;
    w.pass(KEPT);
    w.end(&one, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 0);
    let other = w.claim_and_start().await;
    assert_eq!(w.timings(&other).await, known);
    w.end(&other, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 1);
}

pub async fn damaged_timings_are_none_for_all_tasks(w: World) {
    w.submit_from(TRUSTED, vec![tasks("build", 2)]).await;
    for results in ["whole", "damaged"] {
        let task = w.claim_and_start().await;
        w.results(&task, 0, results).await;
        w.end(&task, Outcome::Passed).await;
    }
    let task = w.running(TRUSTED).await;
    let known = w.timings(&task).await;
    assert_eq!(known.len(), 2);
    let dropped = w.store.drop_damaged_blob(known[1].blob.object.row).await;
    assert_eq!(dropped.unwrap(), 1);
    assert_eq!(w.timings(&task).await, [], "a part would split otherwise");
}
