//! What is saved comes back as it was.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::common::{World, listing, noise};
use outrider_archive::{Base, Bases, Error, Place, RestoreRequest, restore};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn set_time(path: &Path, nanos: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
    let times = FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

async fn round_trip(world: &World) {
    let saved = world.save("tree").await.unwrap();
    world.restore(&saved, "restored").await.unwrap();
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
}

#[tokio::test]
async fn every_kind_of_file_comes_back() {
    let world = World::new();
    world.write("tree/empty", b"");
    world.write("tree/small", b"hello");
    world.write("tree/dir/large", &noise(3_000_000, 1));
    world.write("tree/dir/pieces", &noise(40_000_000, 2));
    fs::create_dir_all(world.path("tree/nothing/in/here")).unwrap();
    fs::write(
        world
            .path("tree")
            .join(OsStr::from_bytes(b"not \xff utf-8\n")),
        "x",
    )
    .unwrap();
    symlink("small", world.path("tree/link")).unwrap();
    symlink("/etc/passwd", world.path("tree/absolute")).unwrap();
    symlink("no/such/file", world.path("tree/dangling")).unwrap();
    fs::hard_link(world.path("tree/small"), world.path("tree/dir/again")).unwrap();
    fs::hard_link(world.path("tree/small"), world.path("tree/third")).unwrap();
    set_mode(&world.path("tree/small"), 0o751);
    set_mode(&world.path("tree/empty"), 0o400);
    set_mode(&world.path("tree/nothing"), 0o1777);
    set_time(&world.path("tree/small"), 1_234_567_890_123_456_789);
    set_time(&world.path("tree/nothing/in"), 987_654_321_000_000_001);
    set_time(&world.path("tree"), 7);
    round_trip(&world).await;
}

#[tokio::test]
async fn rights_of_other_users_are_not_restored() {
    let world = World::new();
    world.write("tree/program", b"#!");
    set_mode(&world.path("tree/program"), 0o6755);
    let saved = world.save("tree").await.unwrap();
    world.restore(&saved, "restored").await.unwrap();
    let mode = fs::metadata(world.path("restored/program")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[tokio::test]
async fn sparse_files_stay_sparse() {
    let world = World::new();
    fs::create_dir(world.path("tree")).unwrap();
    let file = File::create(world.path("tree/disk")).unwrap();
    file.set_len(5_000_000_000).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(&noise(300_000, 1), 2_000_000_000)
        .unwrap();
    let all_hole = File::create(world.path("tree/hole")).unwrap();
    all_hole.set_len(1_000_000).unwrap();
    let saved = world.save("tree").await.unwrap();
    assert!(saved.stats.read < 1_000_000);
    world.restore(&saved, "restored").await.unwrap();
    let restored = File::open(world.path("restored/disk")).unwrap();
    let metadata = restored.metadata().unwrap();
    assert_eq!(metadata.len(), 5_000_000_000);
    assert!(metadata.blocks() * 512 < 1_000_000);
    let mut bytes = vec![0; 300_000];
    restored.read_exact_at(&mut bytes, 2_000_000_000).unwrap();
    assert_eq!(bytes, noise(300_000, 1));
    let hole = fs::read(world.path("restored/hole")).unwrap();
    assert_eq!(hole, vec![0; 1_000_000]);
    // It is known again by its content.
    let again = world.restore(&saved, "restored").await.unwrap();
    assert_eq!((again.stats.kept, again.stats.written), (1, 0));
}

#[tokio::test]
async fn sparse_files_with_little_data_stay_sparse() {
    let world = World::new();
    fs::create_dir(world.path("tree")).unwrap();
    for (name, size) in [("small", 100_000), ("large", 1_000_000), ("huge", 1 << 39)] {
        let file = File::create(world.path("tree").join(name)).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(name.as_bytes(), 50_000).unwrap();
        file.write_all_at(b"end", size - 3).unwrap();
    }
    let saved = world.save("tree").await.unwrap();
    assert!(saved.stats.read < 1_000_000);
    world.restore(&saved, "restored").await.unwrap();
    for (name, size) in [("small", 100_000), ("large", 1_000_000), ("huge", 1 << 39)] {
        let restored = File::open(world.path("restored").join(name)).unwrap();
        assert_eq!(restored.metadata().unwrap().len(), size);
        let mut bytes = vec![0; name.len()];
        restored.read_exact_at(&mut bytes, 50_000).unwrap();
        assert_eq!(bytes, name.as_bytes());
        restored.read_exact_at(&mut bytes[..3], size - 3).unwrap();
        assert_eq!(&bytes[..3], b"end");
        restored.read_exact_at(&mut bytes[..3], 10).unwrap();
        assert_eq!(bytes[..3], [0; 3]);
    }
}

#[tokio::test]
async fn sockets_and_fifos_are_passed_over_and_named() {
    let world = World::new();
    world.write("tree/file", b"x");
    let _socket = UnixListener::bind(world.path("tree/socket")).unwrap();
    let fifo = world.path("tree/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let saved = world.save("tree").await.unwrap();
    assert_eq!(saved.notes.special.count, 2);
    assert!(saved.notes.special.names.contains(&fifo));
    assert_eq!(saved.archive.entries, 2);
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let world = World::new();
    world.write("tree/file", b"x");
    let request = world.request("tree", &["file", "gone", "file/below"]);
    let saved = world.save_with(request).await.unwrap();
    assert_eq!(saved.notes.missing.names, [world.path("tree/gone")]);
    assert_eq!(saved.archive.entries, 1);
}

#[tokio::test]
async fn what_is_in_the_way_is_replaced_and_the_rest_left_alone() {
    let world = World::new();
    world.write("tree/a/file", b"wanted");
    world.write("tree/b", b"a file");
    world.write("tree/c/inside", b"wanted, too");
    symlink("b", world.path("tree/d")).unwrap();
    let saved = world.save("tree").await.unwrap();

    world.write("outside/file", b"must stay");
    world.write("restored/a", b"a file where a directory should be");
    world.write("restored/b/deep/er", b"a directory where a file should be");
    symlink(world.path("outside"), world.path("restored/c")).unwrap();
    world.write("restored/d/x", b"a directory where a symlink should be");
    world.write("restored/mine", b"not in the archive");
    set_mode(&world.path("restored/b/deep"), 0o500);
    world.restore(&saved, "restored").await.unwrap();

    let mut expected = listing(&world.path("tree"));
    let mut restored = listing(&world.path("restored"));
    assert!(restored.remove(Path::new("mine")).is_some());
    assert_eq!(
        restored.remove(Path::new("")),
        expected.remove(Path::new(""))
    );
    assert_eq!(restored, expected);
    assert!(!world.path("outside/inside").exists());
    assert_eq!(fs::read(world.path("outside/file")).unwrap(), b"must stay");
}

#[tokio::test]
async fn files_that_were_linked_are_separate_again() {
    let world = World::new();
    world.write("tree/a", b"same");
    world.write("tree/b", b"same");
    let saved = world.save("tree").await.unwrap();
    world.write("restored/a", b"same");
    fs::hard_link(world.path("restored/a"), world.path("restored/b")).unwrap();
    world.restore(&saved, "restored").await.unwrap();
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
}

#[tokio::test]
async fn thousands_of_places_are_saved_at_once() {
    let world = World::new();
    let places: Vec<String> = (0..1_500).map(|at| format!("dir-{at}/in")).collect();
    for place in &places {
        world.write(&format!("tree/{place}/file"), place.as_bytes());
    }
    let names: Vec<&str> = places.iter().map(String::as_str).collect();
    let saved = world
        .save_with(world.request("tree", &names))
        .await
        .unwrap();
    assert_eq!(saved.archive.entries, 3_000);
    let manifest = world.manifest(saved.archive.manifest).await.unwrap();
    let first = manifest.entries().next().unwrap();
    assert_eq!(first.path, Path::new("dir-0/in"));
    world.restore(&saved, "restored").await.unwrap();
    let last = fs::read(world.path("restored/dir-1499/in/file")).unwrap();
    assert_eq!(last, b"dir-1499/in");
}

#[tokio::test]
async fn what_is_read_only_is_no_obstacle() {
    let world = World::new();
    world.write("tree/locked/file", b"one");
    world.write("tree/locked/other", b"same");
    let saved = world.save("tree").await.unwrap();
    set_mode(&world.path("tree/locked/file"), 0o444);
    set_mode(&world.path("tree/locked"), 0o555);
    let locked = world.save("tree").await.unwrap();
    for saved in [&locked, &saved, &locked] {
        world.restore(saved, "restored").await.unwrap();
    }
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
    // Files that have changed, in a directory that may not be written.
    set_mode(&world.path("restored/locked/file"), 0o644);
    fs::write(world.path("restored/locked/file"), "two").unwrap();
    set_mode(&world.path("restored/locked/file"), 0o000);
    world.restore(&locked, "restored").await.unwrap();
    assert_eq!(
        listing(&world.path("tree")),
        listing(&world.path("restored"))
    );
    set_mode(&world.path("tree/locked"), 0o755);
    set_mode(&world.path("restored/locked"), 0o755);
}

#[tokio::test]
async fn symlinks_on_the_way_to_a_root_are_followed() {
    let world = World::new();
    world.write("tree/modules/cache/file", b"x");
    let request = world.request("tree", &["modules/cache"]);
    let saved = world.save_with(request).await.unwrap();
    fs::create_dir_all(world.path("restored")).unwrap();
    fs::create_dir(world.path("elsewhere")).unwrap();
    symlink(world.path("elsewhere"), world.path("restored/modules")).unwrap();
    world.restore(&saved, "restored").await.unwrap();
    assert!(world.path("elsewhere/cache/file").exists());
    // And directories on the way are made.
    world.restore(&saved, "new/base").await.unwrap();
    assert!(world.path("new/base/modules/cache/file").exists());
}

#[tokio::test]
async fn a_home_is_restored_into_another_home() {
    let world = World::new();
    world.write("home-1/.cache/x", b"cached");
    world.write("work-1/target/y", b"built");
    let mut request = world.request("work-1", &["target"]);
    request
        .places
        .push(Place::new(Base::Home, ".cache").unwrap());
    request.bases = request.bases.with(Base::Home, world.path("home-1"));
    let saved = world.save_with(request).await.unwrap();
    let restore_to = |bases: Bases| async {
        let request = RestoreRequest {
            manifest: world.manifest(saved.archive.manifest).await.unwrap(),
            bases,
            state: None,
            cancel: CancellationToken::new(),
            progress: None,
        };
        restore(request, world.store.clone()).await
    };
    let home = Bases::new().with(Base::Home, world.path("home-2"));
    let refused = restore_to(home.clone()).await.unwrap_err();
    assert!(matches!(
        refused,
        Error::NotAllowed {
            base: Base::Work,
            ..
        }
    ));
    assert!(!world.path("home-2").exists());
    let both = home.with(Base::Work, world.path("work-2"));
    let little = vec![Place::new(Base::Home, ".cache").unwrap()];
    let refused = restore_to(both.clone().only(little)).await.unwrap_err();
    assert!(matches!(
        refused,
        Error::NotAllowed {
            base: Base::Work,
            ..
        }
    ));
    restore_to(both).await.unwrap();
    assert_eq!(fs::read(world.path("home-2/.cache/x")).unwrap(), b"cached");
    assert_eq!(fs::read(world.path("work-2/target/y")).unwrap(), b"built");
}

#[derive(Clone, Debug)]
enum Kind {
    File(usize, u64),
    Directory,
    Symlink(String),
    HardLink(usize),
}

fn tree() -> impl Strategy<Value = Vec<(String, Kind, u32, u64)>> {
    let name = "[a-c./-]{0,3}[a-c]";
    let kind = prop_oneof![
        4 => (0_usize..400_000, 0_u64..3).prop_map(|(length, seed)| Kind::File(length, seed)),
        2 => (0_usize..9, 0_u64..3).prop_map(|(length, seed)| Kind::File(length, seed)),
        1 => Just(Kind::Directory),
        1 => "[a-z./]{1,9}".prop_map(Kind::Symlink),
        1 => any::<usize>().prop_map(Kind::HardLink),
    ];
    let mode = prop_oneof![Just(0o644_u32), Just(0o755), Just(0o700), Just(0o444)];
    prop::collection::vec((name, kind, mode, 0..u64::from(u32::MAX)), 0..20)
}

/// Makes what can be made of it: some paths lie below files.
fn make(root: &Path, tree: &[(String, Kind, u32, u64)]) {
    fs::create_dir_all(root).unwrap();
    let mut files = Vec::new();
    for (name, kind, mode, time) in tree {
        let name = name.replace("..", ".").trim_matches('/').to_owned();
        let path = root.join(&name);
        let _ = path.parent().map(fs::create_dir_all);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        let made = match kind {
            Kind::File(length, seed) => fs::write(&path, noise(*length, *seed)),
            Kind::Directory => fs::create_dir(&path),
            Kind::Symlink(target) => symlink(target, &path),
            Kind::HardLink(which) => match files.len() {
                0 => Ok(()),
                count => fs::hard_link(&files[which % count], &path),
            },
        };
        if made.is_ok() && matches!(kind, Kind::File(..)) {
            set_mode(&path, mode | 0o400);
            set_time(&path, *time);
            files.push(path);
        }
    }
}

fn modes_and_contents(listing: BTreeMap<PathBuf, String>) -> Vec<(PathBuf, Vec<String>)> {
    let simple = |what: String| {
        let words = what.split(' ').map(str::to_owned).enumerate();
        let words = words.filter(|(at, _)| *at == 1 || *at == 3);
        words.map(|(_, word)| word).collect()
    };
    let entries = listing.into_iter();
    entries.map(|(path, what)| (path, simple(what))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back_also_over_another_one(old in tree(), new in tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            make(&world.path("old"), &old);
            make(&world.path("tree"), &new);
            let before = world.save("old").await.unwrap();
            let saved = world.save("tree").await.unwrap();
            world.restore_state(&before, "restored", Some("state")).await.unwrap();
            prop_assert_eq!(listing(&world.path("old")), listing(&world.path("restored")));
            world.restore_state(&saved, "restored", Some("state")).await.unwrap();
            let mut restored = listing(&world.path("restored"));
            let wanted = listing(&world.path("tree"));
            restored.retain(|path, _| wanted.contains_key(path));
            // A file may have another name in the old tree, and times of directories move with it.
            prop_assert_eq!(modes_and_contents(wanted), modes_and_contents(restored));
            Ok(())
        })?;
    }
}
