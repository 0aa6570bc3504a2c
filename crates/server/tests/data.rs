//! The data of jobs over real sockets: what one task saves, another finds.

#[expect(dead_code, reason = "the other tests use the rest")]
mod common;
mod data_support;

use common::World;
use data_support::{archive, code, named};
use outrider_api::ErrorCode;
use outrider_api::data::{
    AddLayer, FindChunks, IndexPacks, LocateBlobs, NamedBlob, NewArtifact, ReportDamage,
    StoreArtifacts, StoreTestResults, Transfer,
};
use outrider_model::blob::{Archive, LARGEST_BLOB, PackIndex, PackedChunk};

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
async fn what_lies_in_packs_may_be_said_before_the_commit() {
    let world = World::start().await;
    let job = world.job("acme/shop", false).await;
    let chunk = PackedChunk {
        hash: named(b"chunk").hash,
        offset: 0,
        stored: 4,
        length: 5,
    };
    let packs = vec![PackIndex {
        pack: named(b"pack").hash,
        chunks: vec![chunk],
    }];
    let index = IndexPacks { packs };
    let refused = world.runner.index_packs(job.by, &index).await.unwrap_err();
    assert_eq!(code(&refused), ErrorCode::Conflict, "the pack is not there");
    job.put(b"pack").await;
    for _ in 0..2 {
        world.runner.index_packs(job.by, &index).await.unwrap();
    }
    let question = FindChunks {
        hashes: vec![chunk.hash],
    };
    let found = world.runner.find_chunks(job.by, &question).await.unwrap();
    assert_eq!(found.places[0].unwrap().pack, named(b"pack").hash);
    job.end().await;
    let stale = world.runner.index_packs(job.by, &index).await.unwrap_err();
    assert_eq!(code(&stale), ErrorCode::StaleLease);
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
