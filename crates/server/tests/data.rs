//! The data of jobs over real sockets: what one task saves, another finds.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;

use bytes::Bytes;
use common::{CONFIG, World, passed, submission};
use outrider_api::ErrorCode;
use outrider_api::client::ClientError;
use outrider_api::data::{
    AddLayer, AnnounceBlobs, FindCache, FindChunks, LocateBlobs, NamedBlob, NewArtifact,
    ReportDamage, SaveCache, StoreArtifacts, StoreTestResults, Transfer,
};
use outrider_api::runner::{HeldLease, ReportRequest};
use outrider_model::BlobHash;
use outrider_model::blob::{Archive, LARGEST_BLOB, PackIndex, PackedChunk};
use outrider_model::claim::ClaimedTask;
use outrider_model::report::Report;
use outrider_server::Collector;

const TWO_JOBS: &str = "
version: 2.1
jobs:
  build:
    machine: true
    resource_class: acme/linux
    steps: [run: echo hello]
  test:
    machine: true
    resource_class: acme/linux
    steps: [run: echo hello]
workflows:
  main:
    jobs:
      - build
      - test:
          requires: [build]
";

fn named(bytes: &[u8]) -> NamedBlob {
    NamedBlob {
        hash: BlobHash(*blake3::hash(bytes).as_bytes()),
        size: bytes.len() as u64,
    }
}

fn archive(manifest: &[u8], packs: &[&[u8]]) -> Archive {
    Archive {
        manifest: named(manifest).hash,
        packs: packs.iter().map(|pack| named(pack).hash).collect(),
        new_packs: Vec::new(),
        entries: 1,
        size: 7,
    }
}

fn code(error: &ClientError) -> ErrorCode {
    error.code().unwrap_or_else(|| panic!("{error:?}"))
}

/// A task that runs, and the calls that it makes.
struct Job<'a> {
    world: &'a World,
    task: ClaimedTask,
    by: HeldLease,
}

impl World {
    async fn job(&self, project: &str, untrusted: bool) -> Job<'_> {
        self.job_of(CONFIG, project, untrusted).await
    }

    /// The first task of a new pipeline, started.
    async fn job_of(&self, config: &str, project: &str, untrusted: bool) -> Job<'_> {
        let mut submission = submission(config);
        submission.project = project.to_owned();
        submission.untrusted = untrusted;
        self.admin.submit_pipeline(&submission, None).await.unwrap();
        self.start_job().await
    }

    async fn start_job(&self) -> Job<'_> {
        let task = self.claim_one().await;
        let by = HeldLease {
            task: task.task,
            lease: task.lease,
        };
        let started = Report {
            started: true,
            ..Report::empty(task.task, task.lease)
        };
        let job = Job {
            world: self,
            task,
            by,
        };
        job.report(started).await;
        job
    }

    async fn collect(&self) {
        Collector::new(&self.core)
            .collect_once(&self.core)
            .await
            .unwrap();
    }
}

impl Job<'_> {
    async fn report(&self, report: Report) {
        let request = ReportRequest {
            reports: vec![report],
        };
        self.world.runner.report(&request).await.unwrap();
    }

    async fn end(&self) {
        self.report(passed(&self.task, b"")).await;
    }

    async fn announce(&self, blobs: &[NamedBlob]) -> Result<Vec<Option<Transfer>>, ClientError> {
        let request = AnnounceBlobs {
            blobs: blobs.to_vec(),
        };
        let announced = self.world.runner.announce_blobs(self.by, &request).await;
        announced.map(|announced| announced.uploads)
    }

    /// Sends these bytes as this blob.
    async fn send(&self, blob: NamedBlob, bytes: &[u8]) -> Result<(), ClientError> {
        let bytes = Bytes::copy_from_slice(bytes);
        let server = Transfer::Server {};
        self.world
            .runner
            .put_blob(self.by, blob, &server, bytes)
            .await
    }

    async fn put(&self, bytes: &[u8]) {
        let blob = named(bytes);
        if self.announce(&[blob]).await.unwrap()[0].is_some() {
            self.send(blob, bytes).await.unwrap();
        }
    }

    async fn get(&self, bytes: &[u8]) -> Result<Bytes, ClientError> {
        let server = Transfer::Server {};
        let hash = named(bytes).hash;
        self.world
            .runner
            .get_blob(self.by, hash, &server, None)
            .await
    }

    async fn is_there(&self, bytes: &[u8]) -> bool {
        let request = LocateBlobs {
            hashes: vec![named(bytes).hash],
        };
        let located = self.world.runner.locate_blobs(self.by, &request).await;
        located.unwrap().downloads[0].is_some()
    }

    async fn save(&self, key: &str, archive: Archive) -> Result<bool, ClientError> {
        let request = SaveCache {
            key: key.to_owned(),
            archive,
        };
        let saved = self.world.runner.save_cache(self.by, &request).await;
        saved.map(|answer| answer.saved)
    }

    async fn find(&self, key: &str) -> Result<Option<String>, ClientError> {
        let request = FindCache {
            keys: vec![key.to_owned()],
            exact: false,
        };
        let found = self.world.runner.find_cache(self.by, &request).await;
        found.map(|answer| answer.cache.map(|cache| cache.key))
    }
}

#[tokio::test]
async fn what_one_task_saves_another_finds() {
    let world = World::start().await;
    let saver = world.job("acme/shop", false).await;
    let pack: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    saver.put(b"manifest").await;
    saver.put(&pack).await;
    let chunk = PackedChunk {
        hash: named(b"chunk").hash,
        offset: 100,
        stored: 50,
        length: 70,
    };
    let new = Archive {
        new_packs: vec![PackIndex {
            pack: named(&pack).hash,
            chunks: vec![chunk],
        }],
        ..archive(b"manifest", &[&pack])
    };
    assert!(saver.save("deps-1", new).await.unwrap());
    saver.end().await;

    let reader = world.job("acme/shop", false).await;
    assert_eq!(reader.find("deps-").await.unwrap().unwrap(), "deps-1");
    assert_eq!(reader.get(b"manifest").await.unwrap(), &b"manifest"[..]);
    assert!(reader.get(&pack).await.unwrap() == pack);
    let range = world.runner.get_blob(
        reader.by,
        named(&pack).hash,
        &Transfer::Server {},
        Some(100..150),
    );
    assert!(range.await.unwrap() == pack[100..150]);
    let question = FindChunks {
        hashes: vec![chunk.hash],
    };
    let found = world
        .runner
        .find_chunks(reader.by, &question)
        .await
        .unwrap();
    let place = found.places[0].unwrap();
    assert_eq!((place.pack, place.offset), (named(&pack).hash, 100));
    assert_eq!(reader.announce(&[named(&pack)]).await.unwrap(), [None]);
}

#[tokio::test]
async fn a_wrong_body_is_refused_and_leaves_nothing() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    let blob = named(b"right");
    let early = job.send(blob, b"right").await.unwrap_err();
    assert_eq!(code(&early), ErrorCode::Conflict, "not announced");
    job.announce(&[blob]).await.unwrap();
    for (wrong, expected) in [
        (&b"wrong"[..], ErrorCode::WrongBytes),
        (b"righ", ErrorCode::WrongBytes),
        (b"", ErrorCode::WrongBytes),
        (b"right!", ErrorCode::WrongBytes),
    ] {
        let refused = job.send(blob, wrong).await.unwrap_err();
        assert_eq!(code(&refused), expected, "{refused}");
        assert!(!job.is_there(b"right").await);
    }
    let missing = job.get(b"right").await.unwrap_err();
    assert_eq!(code(&missing), ErrorCode::NotFound);
    let refused = job.save("deps", archive(b"right", &[])).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::Conflict, "{refused}");
    job.send(blob, b"right").await.unwrap();
    job.send(blob, b"right").await.unwrap();
    assert!(job.is_there(b"right").await);
    let large = NamedBlob {
        size: LARGEST_BLOB + 1,
        ..blob
    };
    let refused = job.announce(&[large]).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::TooLarge);
}

#[tokio::test]
async fn a_stale_lease_is_told_so_by_every_call() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.put(b"a").await;
    job.end().await;
    let (by, client) = (job.by, &world.runner);
    let (a, hash) = (named(b"a"), named(b"a").hash);
    let hashes = vec![hash];
    let layer = AddLayer {
        step: 0,
        archive: archive(b"a", &[]),
    };
    let results = StoreTestResults {
        step: 0,
        results: a,
        tests: 1,
        failed: 0,
        skipped: 0,
        millis: 1,
    };
    let artifacts = StoreArtifacts {
        artifacts: Vec::new(),
    };
    let locate = LocateBlobs {
        hashes: hashes.clone(),
    };
    let refused = [
        job.announce(&[a]).await.err(),
        job.send(a, b"a").await.err(),
        job.get(b"a").await.err(),
        client.locate_blobs(by, &locate).await.err(),
        client.report_damage(by, &ReportDamage { hash }).await.err(),
        client.find_chunks(by, &FindChunks { hashes }).await.err(),
        job.find("deps").await.err(),
        job.save("deps", archive(b"a", &[])).await.err(),
        client.add_layer(by, &layer).await.err(),
        client.workspace(by).await.err(),
        client.store_artifacts(by, &artifacts).await.err(),
        client.store_test_results(by, &results).await.err(),
        client.timings(by).await.err(),
    ];
    for (call, error) in refused.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("call {call} was answered"));
        assert_eq!(code(&error), ErrorCode::StaleLease, "call {call}: {error}");
    }
}

#[tokio::test]
async fn scopes_are_kept_apart() {
    let world = World::start().await;
    let trusted = world.job("acme/shop", false).await;
    let foreign = world.job("acme/other", false).await;
    let untrusted = world.job("acme/shop", true).await;
    trusted.put(b"safe").await;
    assert!(trusted.save("deps-1", archive(b"safe", &[])).await.unwrap());
    // Another project that knows the name has nothing of it.
    assert!(foreign.announce(&[named(b"safe")]).await.unwrap()[0].is_some());
    assert!(!foreign.is_there(b"safe").await);
    foreign.get(b"safe").await.unwrap_err();
    foreign
        .save("deps", archive(b"safe", &[]))
        .await
        .unwrap_err();
    assert_eq!(foreign.find("deps").await.unwrap(), None);
    // The untrusted tier reads the trusted one, and writes its own.
    assert_eq!(untrusted.get(b"safe").await.unwrap(), &b"safe"[..]);
    untrusted.put(b"foul").await;
    let foul = archive(b"foul", &[]);
    assert!(untrusted.save("deps-2", foul).await.unwrap());
    assert_eq!(untrusted.find("deps").await.unwrap().unwrap(), "deps-2");
    assert_eq!(trusted.find("deps").await.unwrap().unwrap(), "deps-1");
    trusted.get(b"foul").await.unwrap_err();
}

#[tokio::test]
async fn of_two_saves_at_once_one_is_kept() {
    let world = World::start().await;
    let one = world.job("acme/shop", false).await;
    let other = world.job("acme/shop", false).await;
    for job in [&one, &other] {
        job.put(b"one").await;
        job.put(b"other").await;
    }
    let saved = tokio::join!(
        one.save("deps", archive(b"one", &[])),
        other.save("deps", archive(b"other", &[]))
    );
    let saved = [saved.0.unwrap(), saved.1.unwrap()];
    assert_eq!(saved.iter().filter(|saved| **saved).count(), 1, "{saved:?}");
}

#[tokio::test]
async fn bad_keys_and_paths_are_refused_in_words() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.put(b"a").await;
    let longest = "ä".repeat(900);
    assert!(job.save(&longest, archive(b"a", &[])).await.unwrap());
    for bad in [&*format!("{longest}x"), "", "a\0b", "a\nb"] {
        let refused = job.save(bad, archive(b"a", &[])).await.unwrap_err();
        assert_eq!(code(&refused), ErrorCode::BadRequest);
        assert!(refused.to_string().contains("key of a cache"), "{refused}");
        job.find(bad).await.unwrap_err();
    }
    for bad in ["../x", "/x", "a//b", "a\0"] {
        let request = StoreArtifacts {
            artifacts: vec![NewArtifact {
                path: bad.to_owned(),
                parts: vec![named(b"a")],
            }],
        };
        let refused = world.runner.store_artifacts(job.by, &request).await;
        assert_eq!(code(&refused.unwrap_err()), ErrorCode::BadRequest, "{bad}");
    }
}

#[tokio::test]
async fn a_workspace_goes_from_job_to_job() {
    let world = World::start().await;
    let build = world.job_of(TWO_JOBS, "acme/shop", false).await;
    build.put(b"layer").await;
    let layer = AddLayer {
        step: 3,
        archive: archive(b"layer", &[]),
    };
    world.runner.add_layer(build.by, &layer).await.unwrap();
    world.runner.add_layer(build.by, &layer).await.unwrap();
    build.end().await;
    world.collect().await;
    let test = world.start_job().await;
    let workspace = world.runner.workspace(test.by).await.unwrap();
    let layers = workspace.layers;
    assert_eq!(layers.len(), 1);
    assert_eq!((layers[0].job_name.as_str(), layers[0].step), ("build", 3));
    assert_eq!(layers[0].manifest, named(b"layer").hash);
    assert_eq!(test.get(b"layer").await.unwrap(), &b"layer"[..]);
}

#[tokio::test]
async fn timings_are_the_results_of_an_earlier_job() {
    let world = World::start().await;
    let first = world.job("acme/shop", false).await;
    assert_eq!(world.runner.timings(first.by).await.unwrap(), None);
    for (step, bytes) in [(2, &b"second"[..]), (1, b"first ")] {
        first.put(bytes).await;
        let results = StoreTestResults {
            step,
            results: named(bytes),
            tests: 1,
            failed: 0,
            skipped: 0,
            millis: 5,
        };
        let stored = world.runner.store_test_results(first.by, &results).await;
        stored.unwrap();
    }
    first.end().await;
    let next = world.job("acme/shop", false).await;
    let timings = world.runner.timings(next.by).await.unwrap().unwrap();
    assert_eq!(timings, &b"first second"[..]);
}

#[tokio::test]
async fn what_nothing_uses_goes_and_what_a_task_uses_stays() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.put(b"kept").await;
    job.put(b"loose").await;
    job.save("deps", archive(b"kept", &[])).await.unwrap();
    world.collect().await;
    assert!(job.is_there(b"loose").await);
    assert_eq!(world.objects().len(), 2);
    job.end().await;
    world.collect().await;
    assert_eq!(world.objects().len(), 1);
    let other = world.job("acme/shop", false).await;
    assert_eq!(other.get(b"kept").await.unwrap(), &b"kept"[..]);
    assert!(!other.is_there(b"loose").await);
}

#[tokio::test]
async fn a_damaged_blob_is_dropped_with_what_needs_it() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    job.put(b"bytes").await;
    job.put(b"others").await;
    job.save("bad", archive(b"bytes", &[])).await.unwrap();
    job.save("good", archive(b"others", &[])).await.unwrap();
    let report = async |bytes: &[u8]| {
        let hash = named(bytes).hash;
        let report = ReportDamage { hash };
        let reported = world.runner.report_damage(job.by, &report).await;
        reported.unwrap();
    };
    report(b"bytes").await;
    assert!(job.is_there(b"bytes").await, "it is as it should be");
    let name = named(b"bytes").hash.to_string();
    let objects = world.objects();
    let object = objects
        .iter()
        .find(|path| path.to_string_lossy().contains(&name));
    std::fs::write(object.unwrap(), b"bytez").unwrap();
    assert_eq!(
        job.get(b"bytes").await.unwrap(),
        &b"bytez"[..],
        "readers check"
    );
    report(b"bytes").await;
    report(b"nobody knows it").await;
    assert!(!job.is_there(b"bytes").await);
    assert_eq!(job.find("bad").await.unwrap(), None);
    assert_eq!(job.find("good").await.unwrap().unwrap(), "good");
    job.put(b"bytes").await;
    assert_eq!(job.get(b"bytes").await.unwrap(), &b"bytes"[..]);
}
