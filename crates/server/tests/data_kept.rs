//! What is kept of the data of jobs, and what people see of it.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;
mod data_support;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Options, World};
use data_support::{Job, archive, code, named};
use futures_util::FutureExt;
use outrider_api::ErrorCode;
use outrider_api::data::{FindCache, NewArtifact, StoreArtifacts, StoreTestResults};
use outrider_api::outputs::TestsQuery;
use outrider_model::JobId;
use outrider_server::{Collector, DataSettings};
use outrider_store::DataStore;
use outrider_test_data::{TestOutcome, TestResult, stored};
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use reqwest::{Method, Response, StatusCode};

/// Stops once at a point, as if the process had ended there.
fn stop_at(point: &'static str) -> Options {
    let stopped = AtomicBool::new(false);
    let crash = move |here: &str| {
        let stops = here == point && !stopped.swap(true, Ordering::Relaxed);
        assert!(!stops, "stopped at {point}, as the test wants");
    };
    Options {
        crash: Some(Arc::new(crash)),
        ..Options::default()
    }
}

fn keeping(data: DataSettings) -> Options {
    Options {
        data,
        ..Options::default()
    }
}

impl Job<'_> {
    async fn store(&self, path: &str, parts: &[&[u8]]) {
        for part in parts {
            self.put(part).await;
        }
        let request = StoreArtifacts {
            artifacts: vec![NewArtifact {
                path: path.to_owned(),
                parts: parts.iter().map(|part| named(part)).collect(),
            }],
        };
        let stored = self.world.runner.store_artifacts(self.by, &request).await;
        stored.unwrap();
    }

    async fn store_results(&self, step: u32, bytes: &[u8]) {
        self.put(bytes).await;
        let results = StoreTestResults {
            step,
            results: named(bytes),
            tests: 10,
            failed: 3,
            skipped: 0,
            millis: 50,
        };
        let stored = self.world.runner.store_test_results(self.by, &results);
        stored.await.unwrap();
    }

    async fn job_id(&self) -> JobId {
        let task = self.world.admin.task(self.task.task).await.unwrap();
        task.task.job
    }

    /// Asks for an artifact as a browser would.
    async fn browse(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let (url, task) = (&self.world.url, self.task.task);
        let url = format!("{url}/api/v1/tasks/{task}/artifacts/{path}");
        let request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(self.world.admin_token().reveal());
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await.unwrap()
    }
}

#[tokio::test]
async fn artifacts_are_listed_and_read() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    let html: [&[u8]; 3] = [b"<script>", b"alert(1)", b"</script>"];
    job.store("report/index.html", &html).await;
    job.store("a b/100%?#.txt", &[b"odd name"]).await;
    job.store("empty.log", &[]).await;
    let list = world.admin.artifacts(job.job_id().await).await.unwrap();
    let seen: Vec<_> = list
        .artifacts
        .iter()
        .map(|one| (one.path.as_str(), one.size))
        .collect();
    let expected = [
        ("a b/100%?#.txt", 8),
        ("empty.log", 0),
        ("report/index.html", 25),
    ];
    assert_eq!(seen, expected);
    let read = async |path: &str| {
        let read = world.admin.artifact(job.task.task, path).await.unwrap();
        read.bytes().await.unwrap()
    };
    assert_eq!(read("a b/100%?#.txt").await, "odd name");
    assert_eq!(read("empty.log").await, "");
    assert_eq!(read("report/index.html").await, html.concat());
    let none = world.admin.artifact(job.task.task, "report").await;
    assert_eq!(code(&none.unwrap_err()), ErrorCode::NotFound);
    let runner = world.runner.artifact(job.task.task, "empty.log").await;
    assert_eq!(code(&runner.unwrap_err()), ErrorCode::Forbidden);
}

#[tokio::test]
async fn an_artifact_cannot_act_for_whoever_looks_at_it() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.store("x.html", &[b"<script>alert(1)</script>"]).await;
    for method in [Method::GET, Method::HEAD] {
        let answer = job.browse(method.clone(), "x.html", &[]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header(CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(header(CONTENT_SECURITY_POLICY), "sandbox");
        assert_eq!(header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(ACCEPT_RANGES), "bytes");
        assert_eq!(header(CONTENT_LENGTH), "25");
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.is_empty(), method == Method::HEAD);
    }
}

#[tokio::test]
async fn a_part_of_an_artifact_can_be_had() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.store("x", &[b"0123", b"4567", b"89"]).await;
    let get = async |headers: &[(&str, &str)]| job.browse(Method::GET, "x", headers).await;
    let part = get(&[(RANGE.as_str(), "bytes=3-8")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], "bytes 3-8/10");
    let tag = part.headers()[ETAG].to_str().unwrap().to_owned();
    assert_eq!(part.bytes().await.unwrap(), "345678");
    let beyond = get(&[(RANGE.as_str(), "bytes=10-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let known = get(&[(IF_NONE_MATCH.as_str(), &tag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    for (condition, expected) in [(&*tag, "01"), ("\"other\"", "0123456789")] {
        let range = (RANGE.as_str(), "bytes=0-1");
        let answer = get(&[range, (IF_RANGE.as_str(), condition)]).await;
        assert_eq!(answer.bytes().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn tests_are_shown_with_what_they_said() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    let mut writer = stored::Writer::new(Vec::new()).unwrap();
    for number in 0..10 {
        let mut result = TestResult {
            name: format!("test {number}"),
            ..TestResult::default()
        };
        if number % 4 == 1 {
            result.outcome = TestOutcome::Failed;
            result.message = Some("it is wrong".to_owned());
        }
        writer.write(&result).unwrap();
    }
    job.store_results(1, &writer.finish().unwrap()).await;
    job.store_results(2, b"no results").await;
    let id = job.job_id().await;
    let ask = async |failed, offset, limit| {
        let query = TestsQuery {
            failed,
            offset,
            limit,
        };
        let tests = world.admin.tests(id, &query).await.unwrap();
        assert_eq!((tests.total, tests.failed, tests.millis), (20, 6, 100));
        let said = tests.tests.iter().filter(|test| test.outcome == "failed");
        assert!(said.clone().all(|test| test.message.is_some()));
        let names = tests.tests.into_iter().map(|test| test.name);
        (names.collect::<Vec<_>>(), tests.more)
    };
    let names = |numbers: &[u32]| -> Vec<String> {
        let names = numbers.iter().map(|number| format!("test {number}"));
        names.collect()
    };
    assert_eq!(ask(true, 0, None).await, (names(&[1, 5, 9]), false));
    assert_eq!(ask(true, 1, Some(1)).await, (names(&[5]), true));
    assert_eq!(ask(false, 8, None).await, (names(&[8, 9]), false));
}

#[tokio::test]
async fn a_page_of_tests_ends_when_it_has_much_text() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    let mut writer = stored::Writer::new(Vec::new()).unwrap();
    let long = TestResult {
        message: Some("x".repeat(200 * 1024)),
        ..TestResult::default()
    };
    for _ in 0..30 {
        writer.write(&long).unwrap();
    }
    job.store_results(1, &writer.finish().unwrap()).await;
    let id = job.job_id().await;
    let page = async |offset| {
        let query = TestsQuery {
            offset,
            ..TestsQuery::default()
        };
        let tests = world.admin.tests(id, &query).await.unwrap();
        (tests.tests.len(), tests.more)
    };
    assert_eq!(page(0).await, (21, true));
    assert_eq!(page(21).await, (9, false));
}

#[tokio::test]
async fn garbage_that_cannot_be_deleted_keeps_no_other() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.put(b"stuck").await;
    let stuck = world.objects().remove(0);
    job.put(b"loose").await;
    job.end().await;
    let bytes = std::fs::read(&stuck).unwrap();
    std::fs::remove_file(&stuck).unwrap();
    std::fs::create_dir(&stuck).unwrap();
    let collector = Collector::new(&world.core);
    collector.collect_once(&world.core).await.unwrap();
    assert_eq!(world.objects(), Vec::<std::path::PathBuf>::new());
    assert_eq!(world.store.garbage(0, 9).await.unwrap().len(), 1);
    std::fs::remove_dir(&stuck).unwrap();
    std::fs::write(&stuck, bytes).unwrap();
    collector.collect_once(&world.core).await.unwrap();
    assert_eq!(world.store.garbage(0, 9).await.unwrap(), []);
    assert_eq!(world.objects(), Vec::<std::path::PathBuf>::new());
}

/// Which timings a job has whose predecessor's results have met with this.
async fn timings_after(harm: impl Fn(&std::path::Path)) -> Option<bytes::Bytes> {
    let world = World::start().await;
    let earlier = world.job("acme/shop", false).await;
    earlier.store_results(1, b"results").await;
    earlier.end().await;
    for object in world.objects() {
        harm(&object);
    }
    let job = world.job("acme/shop", false).await;
    let timings = world.runner.timings(job.by).await.unwrap();
    assert_eq!(world.runner.timings(job.by).await.unwrap(), timings);
    timings
}

#[tokio::test]
async fn a_job_whose_timings_are_lost_starts_without() {
    let whole = timings_after(|_| {}).await;
    assert_eq!(whole.unwrap(), &b"results"[..]);
    let gone = timings_after(|object| std::fs::remove_file(object).unwrap()).await;
    assert_eq!(gone, None);
    let short = timings_after(|object| std::fs::write(object, b"res").unwrap()).await;
    assert_eq!(short, None);
}

#[tokio::test]
async fn counts_that_no_step_has_are_refused() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.put(b"results").await;
    let results = StoreTestResults {
        step: 1,
        results: named(b"results"),
        tests: 1,
        failed: 0,
        skipped: 0,
        millis: u64::MAX,
    };
    let refused = world.runner.store_test_results(job.by, &results).await;
    assert_eq!(code(&refused.unwrap_err()), ErrorCode::BadRequest);
}

#[tokio::test]
async fn a_stop_before_a_blob_is_counted_loses_nothing() {
    let world = World::start_as(stop_at("blob.put")).await;
    let job = world.job("acme/shop", false).await;
    let blob = named(b"bytes");
    job.announce(&[blob]).await.unwrap();
    job.send(blob, b"bytes").await.unwrap_err();
    assert!(!job.is_there(b"bytes").await, "it was not acknowledged");
    job.put(b"bytes").await;
    assert_eq!(job.get(b"bytes").await.unwrap(), &b"bytes"[..]);
    assert_eq!(world.objects().len(), 1);
}

#[tokio::test]
async fn a_stop_while_a_cache_is_saved_leaves_none_of_it() {
    let world = World::start_as(stop_at("cache.indexed")).await;
    let job = world.job("acme/shop", false).await;
    job.put(b"bytes").await;
    job.save("deps", archive(b"bytes", &[])).await.unwrap_err();
    assert_eq!(job.find("deps").await.unwrap(), None);
    assert!(job.save("deps", archive(b"bytes", &[])).await.unwrap());
}

#[tokio::test]
async fn a_stop_while_garbage_is_collected_leaves_it_for_the_next_time() {
    let world = World::start_as(stop_at("garbage.deleted")).await;
    let job = world.job("acme/shop", false).await;
    job.put(b"kept").await;
    job.put(b"loose").await;
    job.save("deps", archive(b"kept", &[])).await.unwrap();
    job.end().await;
    let collector = Collector::new(&world.core);
    let collected = AssertUnwindSafe(collector.collect_once(&world.core));
    assert!(collected.catch_unwind().await.is_err(), "it was stopped");
    let left = world.store.garbage(0, 9).await.unwrap();
    assert_eq!(left.len(), 1, "its object is gone, and nobody says so yet");
    world.collect().await;
    assert_eq!(world.store.garbage(0, 9).await.unwrap(), []);
    assert_eq!(world.objects().len(), 1);
    let reader = world.job("acme/shop", false).await;
    assert_eq!(reader.find("deps").await.unwrap().unwrap(), "deps");
    assert_eq!(reader.get(b"kept").await.unwrap(), &b"kept"[..]);
}

#[tokio::test]
async fn a_project_above_its_quota_loses_its_least_used_caches() {
    let world = World::start_as(keeping(DataSettings {
        project_quota: Some(25),
        ..Options::default().data
    }))
    .await;
    for (project, key, bytes) in [
        ("acme/shop", "one", b"ten bytes1"),
        ("acme/other", "other", b"ten bytes2"),
        ("acme/shop", "two", b"ten bytes3"),
        ("acme/shop", "three", b"ten bytes4"),
    ] {
        let job = world.job(project, false).await;
        job.put(bytes).await;
        job.save(key, archive(bytes, &[])).await.unwrap();
        job.end().await;
    }
    world.collect().await;
    let job = world.job("acme/shop", false).await;
    assert_eq!(job.find("one").await.unwrap(), None);
    for kept in ["two", "three"] {
        assert_eq!(job.find(kept).await.unwrap().unwrap(), kept);
    }
    assert_eq!(world.objects().len(), 3);
}

#[tokio::test]
async fn on_a_full_disk_new_caches_are_refused_and_all_else_goes_on() {
    let world = World::start_as(keeping(DataSettings {
        min_free_space: Some(u64::MAX),
        ..DataSettings::default()
    }))
    .await;
    let job = world.job("acme/shop", false).await;
    world.collect().await;
    job.put(b"bytes").await;
    let refused = job.save("deps", archive(b"bytes", &[])).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::StorageFull, "{refused}");
    let before = FindCache {
        keys: vec!["deps".to_owned()],
        exact: true,
    };
    let refused = world.runner.find_cache(job.by, &before).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::StorageFull, "{refused}");
    job.store("x", &[b"bytes"]).await;
    world.collect().await;
    assert_eq!(job.get(b"bytes").await.unwrap(), &b"bytes"[..]);
}
