//! What goes, and what stays.

use outrider_model::{IllegalTransition, Outcome};

use super::data::{KEPT, OTHER, TRUSTED, archive, blob, hash, index};
use super::world::{World, held, job, requires};
use crate::{Amount, NewArtifact, NewCache, NewLayer, NewTestResults, StoreError, TestCounts};

pub async fn what_nothing_uses_becomes_garbage(w: World) {
    let task = w.running(TRUSTED).await;
    let put = w.put(&task, &["kept", "stored"]).await;
    let announced = w.announce(&task, &["announced"]).await[0].blob;
    w.save(&task, "deps", &["kept"]).await;
    assert_eq!(w.sweep().await, 0, "the attempt runs");
    w.end(&task, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 2);
    let garbage = w.store.garbage(0, 9).await.unwrap();
    assert_eq!(garbage, [put[1].object, announced.object]);
    assert_eq!(w.store.garbage(0, 1).await.unwrap().len(), 1);
    let rows: Vec<u64> = [put[0].object, put[1].object, announced.object]
        .map(|object| object.row)
        .to_vec();
    let known = async |rows: &[u64]| w.store.known_blobs(rows.to_vec()).await.unwrap();
    assert_eq!(known(&rows).await, [true, true, true]);
    for _ in 0..2 {
        w.store.garbage_gone(rows[1..].to_vec()).await.unwrap();
    }
    assert_eq!(w.store.garbage(0, 9).await.unwrap(), []);
    assert_eq!(known(&rows).await, [true, false, false]);
}

pub async fn what_a_running_attempt_uses_stays(w: World) {
    let saver = w.running(TRUSTED).await;
    w.save(&saver, "deps", &["manifest", "pack"]).await;
    w.put(&saver, &["chunked"]).await;
    let packs = vec![index("chunked", "chunk")];
    w.store.index_packs(held(&saver), packs).await.unwrap();
    let finder = w.running(TRUSTED).await;
    let chunks = vec![hash("chunk")];
    w.store.find_chunks(held(&finder), chunks).await.unwrap();
    let reader = w.running(TRUSTED).await;
    w.pass(KEPT - std::time::Duration::from_secs(1));
    w.hit(&reader, &["deps"]).await;
    w.end(&saver, Outcome::Passed).await;
    w.pass(std::time::Duration::from_secs(1));
    assert_eq!(w.sweep().await, 0);
    assert_eq!(w.hit(&reader, &["deps"]).await, None, "it has expired");
    for name in ["manifest", "pack", "chunked"] {
        assert!(w.locate(&reader, name).await.is_some(), "{name}");
    }
    w.end(&finder, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 1);
    w.end(&reader, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 2);
    let other = w.running(TRUSTED).await;
    let chunks = vec![hash("chunk")];
    let found = w.store.find_chunks(held(&other), chunks).await.unwrap();
    assert_eq!(found, [None], "it went with its pack");
}

pub async fn what_is_past_its_time_goes(w: World) {
    w.submit_from(TRUSTED, vec![job("a"), requires("b", &["a"])])
        .await;
    let a = w.claim_and_start().await;
    w.save(&a, "deps", &["cache"]).await;
    w.layer(&a, 1, &["layer"]).await;
    w.results(&a, 2, "results").await;
    w.put(&a, &["artifact"]).await;
    let artifact = NewArtifact {
        path: "x".to_owned(),
        parts: vec![hash("artifact")],
    };
    let stored = w
        .store
        .store_artifacts(held(&a), vec![artifact], KEPT, w.now());
    stored.await.unwrap();
    w.end(&a, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 0);
    w.pass(KEPT);
    let swept = w.store.expire_data(w.now(), 100).await.unwrap();
    assert_eq!((swept.expired, swept.blobs, swept.more), (4, 4, false));
    let b = w.claim_and_start().await;
    assert_eq!(w.store.workspace(held(&b)).await.unwrap(), []);
}

pub async fn a_look_is_bounded(w: World) {
    let task = w.running(TRUSTED).await;
    for number in 0..5 {
        w.save(&task, &number.to_string(), &[&number.to_string()])
            .await;
    }
    w.end(&task, Outcome::Passed).await;
    w.pass(KEPT);
    let mut expired = Vec::new();
    for _ in 0..3 {
        let swept = w.store.expire_data(w.now(), 2).await.unwrap();
        expired.push((swept.expired, swept.blobs, swept.more));
    }
    assert_eq!(expired, [(2, 2, true), (2, 2, true), (1, 1, false)]);
    assert_eq!(w.store.garbage(0, 9).await.unwrap().len(), 5);
}

pub async fn a_stale_lease_may_touch_no_data(w: World) {
    let task = w.running(TRUSTED).await;
    w.put(&task, &["a"]).await;
    w.end(&task, Outcome::Passed).await;
    let (by, now, s) = (held(&task), w.now(), &w.store);
    let archive = archive(&["a"]);
    let cache = NewCache {
        key: "deps".to_owned(),
        archive: archive.clone(),
        retention: KEPT,
    };
    let layer = NewLayer {
        step: 0,
        archive,
        retention: KEPT,
    };
    let results = NewTestResults {
        step: 0,
        blob: hash("a"),
        counts: TestCounts::default(),
        retention: KEPT,
    };
    let a = || vec![hash("a")];
    let refused = [
        s.announce_blobs(by, vec![blob("a")], now).await.err(),
        s.announced_blobs(by, a()).await.err(),
        s.blobs_stored(by, vec![1], now).await.err(),
        s.locate_blobs(by, a()).await.err(),
        s.find_chunks(by, a()).await.err(),
        s.index_packs(by, Vec::new()).await.err(),
        s.save_cache(by, cache, now).await.err(),
        s.find_cache(by, Vec::new(), false, now).await.err(),
        s.add_layer(by, layer, now).await.err(),
        s.workspace(by).await.err(),
        s.store_artifacts(by, Vec::new(), KEPT, now).await.err(),
        s.store_test_results(by, results, now).await.err(),
        s.timings(by).await.err(),
    ];
    for (call, error) in refused.into_iter().enumerate() {
        let stale = matches!(
            error,
            Some(StoreError::Illegal(IllegalTransition::StaleLease { .. }))
        );
        assert!(stale, "call {call}: {error:?}");
    }
}

pub async fn usage_is_what_is_there(w: World) {
    let here = w.running(TRUSTED).await;
    let there = w.running(OTHER).await;
    w.save(&here, "deps", &["a", "b"]).await;
    w.announce(&here, &["c"]).await;
    w.results(&there, 0, "d").await;
    let usage = w.store.data_usage().await.unwrap();
    let amount = |count, bytes| Amount { count, bytes };
    let blobs: Vec<_> = usage.blobs.iter().map(|(_, amount)| *amount).collect();
    assert_eq!(blobs, [amount(2, 200), amount(1, 100)]);
    assert_eq!(usage.caches, amount(1, 300));
    assert_eq!(usage.test_results, amount(1, 100));
    assert_eq!(
        (usage.layers, usage.artifacts),
        (amount(0, 0), amount(0, 0))
    );
}
