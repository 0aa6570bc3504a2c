//! Blobs and chunks: whose they are, and who sees them.

use outrider_model::blob::ChunkPlace;

use super::data::{OTHER, TRUSTED, UNTRUSTED, blob, hash, index};
use super::world::{World, held};
use crate::{NewBlob, RawClaimedTask, StoreError};

pub async fn a_blob_is_there_once_it_is_stored(w: World) {
    let task = w.running(TRUSTED).await;
    let announced = w.announce(&task, &["a"]).await[0];
    assert!(!announced.stored);
    assert_eq!(w.locate(&task, "a").await, None);
    let row = announced.blob.object.row;
    for _ in 0..2 {
        let stored = w.store.blobs_stored(held(&task), vec![row], w.now());
        stored.await.unwrap();
    }
    assert_eq!(w.locate(&task, "a").await, Some(announced.blob));
    assert!(w.announce(&task, &["a"]).await[0].stored);
}

pub async fn many_may_announce_one_blob(w: World) {
    let first = w.running(TRUSTED).await;
    let second = w.running(TRUSTED).await;
    let announced = w.announce(&first, &["a", "b"]).await;
    assert_eq!(w.announce(&second, &["a", "b"]).await, announced);
    assert_ne!(announced[0].blob.object.row, announced[1].blob.object.row);
    w.put(&second, &["a"]).await;
    let hashes = vec![hash("a"), hash("b"), hash("c")];
    let known = w.store.announced_blobs(held(&first), hashes).await.unwrap();
    let stored: Vec<_> = known
        .iter()
        .map(|one| one.map(|found| found.stored))
        .collect();
    assert_eq!(stored, [Some(true), Some(false), None]);
}

pub async fn a_blob_has_one_size(w: World) {
    let task = w.running(TRUSTED).await;
    let announce = async |size| {
        let blob = NewBlob { size, ..blob("a") };
        let announced = w.store.announce_blobs(held(&task), vec![blob], w.now());
        announced.await.map(|list| list[0].blob.size)
    };
    assert_eq!(announce(7).await.unwrap(), 7);
    assert_eq!(announce(100).await.unwrap(), 100, "nothing was stored yet");
    w.put(&task, &["a"]).await;
    let refused = announce(7).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
}

pub async fn only_what_was_announced_is_stored(w: World) {
    let first = w.running(TRUSTED).await;
    let second = w.running(TRUSTED).await;
    let row = w.announce(&first, &["a"]).await[0].blob.object.row;
    let refused = w
        .store
        .blobs_stored(held(&second), vec![row], w.now())
        .await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    assert_eq!(w.locate(&first, "a").await, None);
}

pub async fn blobs_of_other_projects_are_not_there(w: World) {
    let here = w.running(TRUSTED).await;
    let there = w.running(OTHER).await;
    let mine = w.put(&here, &["a", "pack"]).await;
    index_pack(&w, &here).await;
    assert_eq!(w.locate(&there, "a").await, None);
    assert_eq!(chunk(&w, &there).await, None);
    let theirs = w.announce(&there, &["a"]).await[0];
    assert!(!theirs.stored, "knowing the name is not having the bytes");
    assert_ne!(theirs.blob.object, mine[0].object);
    assert_eq!(w.locate(&there, "a").await, None);
}

pub async fn untrusted_tasks_read_both_tiers_and_write_one(w: World) {
    let trusted = w.running(TRUSTED).await;
    let untrusted = w.running(UNTRUSTED).await;
    let safe = w.put(&trusted, &["safe", "both"]).await;
    let foul = w.put(&untrusted, &["foul", "both"]).await;
    assert_eq!(w.locate(&trusted, "foul").await, None);
    assert_eq!(w.locate(&trusted, "both").await, Some(safe[1]));
    assert_eq!(w.locate(&untrusted, "safe").await, Some(safe[0]));
    assert_eq!(w.locate(&untrusted, "both").await, Some(foul[1]));
    assert!(foul.iter().all(|blob| blob.object.scope.untrusted));
}

pub async fn chunks_are_found_in_the_own_scope(w: World) {
    let trusted = w.running(TRUSTED).await;
    let untrusted = w.running(UNTRUSTED).await;
    w.put(&trusted, &["pack", "newer"]).await;
    index_pack(&w, &trusted).await;
    let place = ChunkPlace {
        pack: hash("pack"),
        offset: 0,
        stored: 100,
        length: 300,
    };
    assert_eq!(chunk(&w, &trusted).await, Some(place));
    assert_eq!(chunk(&w, &untrusted).await, None);
    // Where it is known it stays.
    let again = vec![index("newer", "chunk")];
    w.store.index_packs(held(&trusted), again).await.unwrap();
    assert_eq!(chunk(&w, &trusted).await, Some(place));
    let mut long = index("pack", "long");
    long.chunks[0].offset = 1;
    for bad in [long, index("nowhere", "chunk")] {
        let refused = w.store.index_packs(held(&trusted), vec![bad]).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(_))),
            "{refused:?}"
        );
    }
}

pub async fn a_damaged_blob_takes_what_needs_it_along(w: World) {
    let task = w.running(TRUSTED).await;
    w.save(&task, "bad", &["m1", "pack"]).await;
    w.save(&task, "good", &["m2"]).await;
    index_pack(&w, &task).await;
    let bad = w.locate(&task, "pack").await.unwrap().object;
    assert_eq!(w.store.drop_damaged_blob(bad.row).await.unwrap(), 1);
    assert_eq!(w.store.drop_damaged_blob(bad.row).await.unwrap(), 0);
    assert_eq!(w.hit(&task, &["bad"]).await, None);
    assert_eq!(w.hit(&task, &["good"]).await.as_deref(), Some("good"));
    assert_eq!(w.locate(&task, "pack").await, None);
    assert_eq!(chunk(&w, &task).await, None);
    assert_eq!(w.store.garbage(0, 9).await.unwrap(), [bad]);
    // It can be sent again, to another place.
    let again = w.put(&task, &["pack"]).await[0].object;
    assert_ne!(again.row, bad.row);
}

pub async fn a_layer_waits_for_a_damaged_blob_to_be_sent_again(w: World) {
    let task = w.running(TRUSTED).await;
    w.layer(&task, 0, &["m1", "pack"]).await;
    w.save(&task, "bad", &["m2", "pack"]).await;
    index_pack(&w, &task).await;
    let bad = w.locate(&task, "pack").await.unwrap().object;
    assert_eq!(w.store.drop_damaged_blob(bad.row).await.unwrap(), 1);
    assert_eq!(w.hit(&task, &["bad"]).await, None);
    assert_eq!(w.locate(&task, "pack").await, None);
    assert_eq!(chunk(&w, &task).await, None);
    assert_eq!(w.store.garbage(0, 9).await.unwrap(), []);
    assert_eq!(w.store.data_usage().await.unwrap().layers.count, 1);
    // To its old place: the layer is whole again.
    let again = w.put(&task, &["pack"]).await[0].object;
    assert_eq!(again, bad);
    assert!(w.locate(&task, "pack").await.is_some());
}

async fn index_pack(w: &World, task: &RawClaimedTask) {
    let packs = vec![index("pack", "chunk")];
    w.store.index_packs(held(task), packs).await.unwrap();
}

async fn chunk(w: &World, task: &RawClaimedTask) -> Option<ChunkPlace> {
    let hashes = vec![hash("none"), hash("chunk")];
    let mut places = w.store.find_chunks(held(task), hashes).await.unwrap();
    assert_eq!(places[0], None);
    places.remove(1)
}
