//! What travels, and what happens when something goes wrong on the way.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::common::{Inner, World, listing, noise};
use bytes::Bytes;
use outrider_archive::{Base, Bases, BlobError, Error, RestoreRequest, restore, save};
use outrider_model::blob::BlobHash;
use rustix::time::{ClockId, clock_gettime};
use tokio_util::sync::CancellationToken;

/// Forty files of 60 kB in ten directories.
fn many_files(world: &World, root: &str) {
    for number in 0..40 {
        let path = format!("{root}/dir-{}/file-{number}", number % 10);
        world.write(&path, &noise(60_000, number));
    }
}

/// Waits until the clock of the file system is past the times of all files that are there.
fn let_clock_tick(world: &World) {
    fs::write(world.path("probe"), "").unwrap();
    let probe = fs::metadata(world.path("probe")).unwrap();
    let last = (probe.ctime(), probe.ctime_nsec());
    loop {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        if (now.tv_sec, now.tv_nsec) > last {
            return;
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_second_save_stores_only_what_changed() {
    let world = World::new();
    many_files(&world, "tree");
    let first = world.save("tree").await.unwrap();
    world.write("tree/dir-3/file-3", &noise(60_000, 99));
    let second = world.save("tree").await.unwrap();
    assert!(first.stats.stored > 40 * 60_000);
    assert!(second.stats.stored < first.stats.stored / 4);
    assert_eq!(second.stats.read, first.stats.read);
    world.restore(&second, "restored").await.unwrap();
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
}

#[tokio::test]
async fn times_and_modes_do_not_matter_for_what_is_stored() {
    let world = World::new();
    many_files(&world, "tree");
    world.save("tree").await.unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let file = File::open(world.path("tree/dir-3/file-3")).unwrap();
    file.set_times(FileTimes::new().set_modified(old)).unwrap();
    let second = world.save("tree").await.unwrap();
    assert!(second.archive.new_packs.is_empty());
    assert!(second.stats.stored < 10_000);
}

#[tokio::test]
async fn large_files_that_are_renamed_are_not_stored_again() {
    let world = World::new();
    world.write("tree/a", &noise(5_000_000, 1));
    world.save("tree").await.unwrap();
    fs::create_dir(world.path("tree/sub")).unwrap();
    fs::rename(world.path("tree/a"), world.path("tree/sub/b")).unwrap();
    let second = world.save("tree").await.unwrap();
    assert!(second.archive.new_packs.is_empty());
}

#[tokio::test]
async fn with_a_tree_state_nothing_is_read_that_has_not_changed() {
    let world = World::new();
    many_files(&world, "tree");
    let_clock_tick(&world);
    let first = world.save_state("tree", "state").await;
    assert_eq!(first.stats.read, 40 * 60_000);
    let second = world.save_state("tree", "state").await;
    assert_eq!((second.stats.read, second.stats.reused), (0, 40 * 60_000));
    assert_eq!(second.archive.manifest, first.archive.manifest);
    // A file of the same length and time is told apart by when it changed.
    let path = world.path("tree/dir-7/file-7");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, noise(60_000, 777)).unwrap();
    let file = File::open(&path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
    let third = world.save_state("tree", "state").await;
    assert!(third.stats.read >= 60_000 && third.stats.read < 20 * 60_000);
    world.restore(&third, "restored").await.unwrap();
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
}

#[tokio::test]
async fn what_was_restored_just_now_is_known_to_be_unchanged() {
    let world = World::new();
    world.write("tree/large", &noise(19 << 20, 1));
    let saved = world.save("tree").await.unwrap();
    let restored = world.restore_state(&saved, "there", Some("state")).await;
    assert_eq!(restored.unwrap().state, None);
    let again = world.save_state("there", "state").await;
    assert_eq!((again.stats.read, again.stats.reused), (0, 19 << 20));
}

#[tokio::test]
async fn packs_that_were_collected_meanwhile_are_stored_again() {
    let world = World::new();
    many_files(&world, "tree");
    let_clock_tick(&world);
    let first = world.save_state("tree", "state").await;
    {
        let mut inner = world.store.inner.lock().unwrap();
        inner.blobs.clear();
        inner.chunks.clear();
    }
    let second = world.save_state("tree", "state").await;
    assert_eq!(second.stats.read, first.stats.read);
    world.restore(&second, "restored").await.unwrap();
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
}

#[tokio::test]
async fn a_state_that_is_damaged_or_foreign_is_ignored() {
    let world = World::new();
    many_files(&world, "tree");
    let_clock_tick(&world);
    let saved = world.save_state("tree", "state").await;
    let state = fs::read(world.path("state")).unwrap();
    for (at, to) in [(3, 0), (40, 1), (state.len() / 2, 9), (state.len() - 1, 7)] {
        let mut damaged = state.clone();
        damaged[at] ^= to + 1;
        fs::write(world.path("state"), damaged).unwrap();
        let again = world.save_state("tree", "state").await;
        assert_eq!(again.stats.read, saved.stats.read);
    }
    fs::write(world.path("state"), &state[..100]).unwrap();
    let again = world.save_state("tree", "state").await;
    assert_eq!(again.stats.read, saved.stats.read);
    // The same paths with other files.
    many_files(&world, "other");
    let other = world.save_state("other", "state").await;
    assert_eq!(other.stats.read, saved.stats.read);
}

#[tokio::test]
async fn a_restore_fetches_only_what_is_missing() {
    let world = World::new();
    many_files(&world, "tree");
    let first = world.save("tree").await.unwrap();
    let full = world
        .restore_state(&first, "restored", Some("state"))
        .await
        .unwrap();
    assert_eq!((full.stats.written, full.stats.kept), (40, 0));
    let nothing = world
        .restore_state(&first, "restored", Some("state"))
        .await
        .unwrap();
    assert_eq!((nothing.stats.written, nothing.stats.fetched), (0, 0));
    fs::remove_file(world.path("state")).unwrap();
    fs::remove_file(world.path("restored/dir-1/file-1")).unwrap();
    fs::write(world.path("restored/dir-2/file-2"), noise(60_000, 99)).unwrap();
    let partial = world
        .restore_state(&first, "restored", Some("state"))
        .await
        .unwrap();
    assert_eq!((partial.stats.written, partial.stats.kept), (2, 38));
    assert!(partial.stats.fetched < full.stats.fetched / 2);
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
}

#[tokio::test]
async fn a_save_after_a_restore_reads_nothing() {
    let world = World::new();
    many_files(&world, "tree");
    let first = world.save("tree").await.unwrap();
    world
        .restore_state(&first, "restored", Some("state"))
        .await
        .unwrap();
    let_clock_tick(&world);
    // What was written in the last moment of the restore is not trusted before it was read once.
    world
        .restore_state(&first, "restored", Some("state"))
        .await
        .unwrap();
    let second = world.save_state("restored", "state").await;
    assert_eq!(second.stats.read, 0);
    assert_eq!(second.archive.packs, first.archive.packs);
}

#[tokio::test]
async fn a_file_that_becomes_shorter_while_it_is_read_is_left_out() {
    let world = World::new();
    world.write("tree/a", &noise(1_000_000, 1));
    world.write("tree/large", &noise(40_000_000, 2));
    let path = world.path("tree/large");
    let mut request = world.request("tree", &[""]);
    // Nobody reads on before the file is cut.
    let is_cut = Mutex::new(false);
    request.progress = Some(Arc::new(move |_| {
        let mut is_cut = is_cut.lock().unwrap();
        if !std::mem::replace(&mut *is_cut, true) {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(10)
                .unwrap();
        }
    }));
    let saved = world.save_with(request).await.unwrap();
    assert_eq!(saved.notes.unsteady.names, [world.path("tree/large")]);
    world.restore(&saved, "restored").await.unwrap();
    let restored = fs::read(world.path("restored/a")).unwrap();
    assert_eq!(restored, noise(1_000_000, 1));
    assert!(!world.path("restored/large").exists());
}

#[tokio::test]
async fn the_store_may_fail_at_any_call() {
    let world = World::new();
    many_files(&world, "tree");
    world.write("tree/large", &noise(20_000_000, 5));
    let mut done = false;
    for from in 1..200 {
        {
            let mut inner = world.store.inner.lock().unwrap();
            *inner = Inner::default();
            inner.fail_from = Some(from);
        }
        match save(world.request("tree", &[""]), world.store.clone()).await {
            Err(Error::Store(BlobError::Unreachable(_))) => {}
            Ok(_) => {
                done = true;
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(done);

    world.store.inner.lock().unwrap().fail_from = None;
    let saved = world.save("tree").await.unwrap();
    let wanted = listing(&world.path("tree"));
    for from in 1..200 {
        {
            let mut inner = world.store.inner.lock().unwrap();
            inner.calls = 0;
            inner.fail_from = Some(from);
        }
        let _ = fs::remove_dir_all(world.path("restored"));
        match world.restore_state(&saved, "restored", Some("state")).await {
            Err(Error::Store(BlobError::Unreachable(_))) => {
                assert!(!world.path("state").exists());
                assert_only_whole_files(&world.path("restored"), &world.path("tree"));
            }
            Ok(_) => {
                assert_eq!(listing(&world.path("restored")), wanted);
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it never ended");
}

fn assert_only_whole_files(restored: &Path, tree: &Path) {
    let Ok(entries) = fs::read_dir(restored) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let original = tree.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            assert_only_whole_files(&entry.path(), &original);
        } else {
            assert!(fs::read(entry.path()).unwrap() == fs::read(original).unwrap());
        }
    }
}

#[tokio::test]
async fn what_is_canceled_leaves_only_whole_files() {
    let world = World::new();
    many_files(&world, "tree");
    world.write("tree/large", &noise(40_000_000, 5));
    let saved = world.save("tree").await.unwrap();
    for after in [1, 3, 10, 50] {
        let cancel = CancellationToken::new();
        let steps = AtomicU64::new(0);
        let token = cancel.clone();
        let request = RestoreRequest {
            manifest: world.manifest(saved.archive.manifest).await.unwrap(),
            bases: Bases::new().with(Base::Work, world.path("restored")),
            state: None,
            cancel,
            progress: Some(Arc::new(move |_| {
                if steps.fetch_add(1, Ordering::Relaxed) == after {
                    token.cancel();
                }
            })),
        };
        let ended = restore(request, world.store.clone()).await;
        assert!(matches!(ended, Err(Error::Canceled)), "{ended:?}");
        assert_only_whole_files(&world.path("restored"), &world.path("tree"));
        let _ = fs::remove_dir_all(world.path("restored"));
    }
    let request = world.request("tree", &[""]);
    request.cancel.cancel();
    let ended = save(request, world.store.clone()).await;
    assert!(matches!(ended, Err(Error::Canceled)));
}

#[tokio::test]
async fn damage_is_an_error_and_never_wrong_data() {
    let world = World::new();
    world.write("tree/a", &b"some text, again and again. ".repeat(300));
    world.write("tree/b", &noise(30_000, 3));
    let saved = world.save("tree").await.unwrap();
    let blobs: Vec<(BlobHash, Bytes)> = {
        let inner = world.store.inner.lock().unwrap();
        let blobs = inner.blobs.iter();
        blobs.map(|(hash, bytes)| (*hash, bytes.clone())).collect()
    };
    let wanted = listing(&world.path("tree"));
    for (hash, bytes) in blobs {
        for at in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x10;
            let short = bytes.slice(..at);
            for wrong in [damaged.into(), short] {
                world.store.inner.lock().unwrap().blobs.insert(hash, wrong);
                let _ = fs::remove_dir_all(world.path("restored"));
                match world.restore(&saved, "restored").await {
                    Ok(_) => assert_eq!(listing(&world.path("restored")), wanted),
                    Err(Error::Store(BlobError::Damaged(blob))) => assert_eq!(blob, hash),
                    Err(other) => panic!("{other}"),
                }
                assert_only_whole_files(&world.path("restored"), &world.path("tree"));
            }
        }
        world.store.inner.lock().unwrap().blobs.insert(hash, bytes);
    }
}

#[tokio::test]
async fn a_missing_blob_is_named() {
    let world = World::new();
    many_files(&world, "tree");
    let saved = world.save("tree").await.unwrap();
    let pack = saved.archive.packs[0];
    world.store.inner.lock().unwrap().blobs.remove(&pack);
    let error = world.restore(&saved, "restored").await.unwrap_err();
    assert!(matches!(error, Error::Store(BlobError::Missing(missing)) if missing == pack));
}

#[tokio::test]
async fn limits_are_held_before_anything_is_written() {
    let world = World::new();
    many_files(&world, "tree");
    let saved = world.save("tree").await.unwrap();
    let fetch = |entries, size| {
        let limits = outrider_archive::Limits { entries, size };
        let cancel = CancellationToken::new();
        let store = world.store.clone();
        let name = saved.archive.manifest;
        async move { outrider_archive::Manifest::fetch(name, store, limits, &cancel).await }
    };
    let few = fetch(50, u64::MAX).await;
    assert!(matches!(
        few,
        Err(Error::TooManyEntries {
            entries: 51,
            limit: 50
        })
    ));
    let small = fetch(51, 2_399_999).await;
    assert!(matches!(
        small,
        Err(Error::TooLarge {
            size: 2_400_000,
            ..
        })
    ));
    assert!(fetch(51, 2_400_000).await.is_ok());
}
