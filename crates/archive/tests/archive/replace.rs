//! What is replaced stays until its successor is whole, whoever else writes there.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::common::{World, listing, noise};
use outrider_archive::{
    Base, Bases, BlobError, Error, Progress, RestoreRequest, Restored, Saved, restore,
};
use tokio_util::sync::CancellationToken;

/// More than a piece.
const LARGE: usize = 17_000_000;

/// So many small files a version has.
const SMALL: u64 = 30;

/// Files whose lengths and times are those of every version, and their contents of none.
fn version(world: &World, root: &str, seed: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let write = |path: &str, bytes: &[u8], time: SystemTime| {
        let path = format!("{root}/{path}");
        world.write(&path, bytes);
        let file = File::open(world.path(&path)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    write("large", &noise(LARGE, seed), time);
    for number in 0..SMALL {
        let path = format!("dir-{}/file-{number}", number % 3);
        write(&path, &noise(30_000, 1000 * seed + number), time);
    }
    // The same content with another time.
    write("dir-0/same", b"same", time + Duration::from_secs(seed));
    let target = format!("target-{seed}");
    symlink(target, world.path(&format!("{root}/dir-1/symlink"))).unwrap();
    let link = world.path(&format!("{root}/dir-2/link"));
    fs::hard_link(world.path(&format!("{root}/dir-0/file-0")), link).unwrap();
}

/// All paths of a directory, and of each file the hash of its content.
fn contents(root: &Path) -> Vec<(String, String)> {
    let of = |(path, what): (std::path::PathBuf, String)| {
        let content = if what.starts_with("->") {
            what.split(' ').nth(1).unwrap().to_owned()
        } else {
            let full = root.join(&path);
            let bytes = full.is_file().then(|| fs::read(full).unwrap());
            bytes.map_or(String::new(), |bytes| blake3::hash(&bytes).to_string())
        };
        (path.display().to_string(), content)
    };
    listing(root).into_iter().map(of).collect()
}

/// Nothing but the files of these versions, each wholly of one of them.
fn assert_one_or_other(root: &Path, versions: [&[(String, String)]; 2]) {
    let there = contents(root);
    assert_eq!(there.len(), versions[0].len());
    for (at, entry) in there.iter().enumerate() {
        let known = versions.iter().any(|version| version[at] == *entry);
        assert!(known, "{entry:?}");
    }
}

struct Versions {
    world: World,
    saved: [Saved; 2],
    contents: [Vec<(String, String)>; 2],
}

impl Versions {
    async fn new() -> Self {
        let world = World::new();
        version(&world, "one", 1);
        version(&world, "two", 2);
        let one = world.save("one").await.unwrap();
        let two = world.save("two").await.unwrap();
        let contents = [contents(&world.path("one")), contents(&world.path("two"))];
        Self {
            world,
            saved: [one, two],
            contents,
        }
    }

    /// Restores the second version over the first one.
    async fn replace(
        &self,
        fail_from: Option<u64>,
        progress: Option<Progress>,
        cancel: CancellationToken,
    ) -> Result<Restored, Error> {
        let request = RestoreRequest {
            manifest: self
                .world
                .manifest(self.saved[1].archive.manifest)
                .await
                .unwrap(),
            bases: Bases::new().with(Base::Work, self.world.path("restored")),
            state: None,
            cancel,
            progress,
        };
        {
            let mut inner = self.world.store.inner.lock().unwrap();
            inner.calls = 0;
            inner.fail_from = fail_from;
        }
        restore(request, self.world.store.clone()).await
    }

    async fn lay_first(&self) {
        let _ = fs::remove_dir_all(self.world.path("restored"));
        self.world.store.inner.lock().unwrap().fail_from = None;
        let first = self.world.restore(&self.saved[0], "restored").await;
        first.unwrap();
    }

    fn assert_one_or_other(&self) {
        let [one, two] = &self.contents;
        assert_one_or_other(&self.world.path("restored"), [one, two]);
    }
}

#[tokio::test]
async fn a_failed_restore_leaves_what_it_did_not_replace() {
    let versions = Versions::new().await;
    for from in 1..100 {
        versions.lay_first().await;
        let cancel = CancellationToken::new();
        match versions.replace(Some(from), None, cancel).await {
            Err(Error::Store(BlobError::Unreachable(_))) => versions.assert_one_or_other(),
            Ok(_) => {
                assert_eq!(
                    contents(&versions.world.path("restored")),
                    versions.contents[1]
                );
                assert!(from > 2);
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it never ended");
}

#[tokio::test]
async fn a_canceled_restore_leaves_what_it_did_not_replace() {
    let versions = Versions::new().await;
    for after in [1, 10, 40] {
        versions.lay_first().await;
        let cancel = CancellationToken::new();
        let token = cancel.clone();
        let steps = AtomicU64::new(0);
        let progress: Progress = Arc::new(move |_| {
            if steps.fetch_add(1, Ordering::Relaxed) == after {
                token.cancel();
            }
        });
        let ended = versions.replace(None, Some(progress), cancel).await;
        assert!(matches!(ended, Err(Error::Canceled)), "{ended:?}");
        versions.assert_one_or_other();
    }
}

/// What there is at any moment is what a process that is killed then leaves.
#[tokio::test]
async fn no_name_ever_leads_to_half_a_file() {
    let versions = Versions::new().await;
    versions.lay_first().await;
    let root = versions.world.path("restored");
    let known = versions.contents.clone();
    let steps = AtomicU64::new(0);
    let halves = Arc::new(AtomicU64::new(0));
    let seen = halves.clone();
    let progress: Progress = Arc::new(move |_| {
        if !steps.fetch_add(1, Ordering::Relaxed).is_multiple_of(10) {
            return;
        }
        for at in 0..known[0].len() {
            let path = root.join(&known[0][at].0);
            if !path.is_symlink() && path.is_file() {
                let hash = blake3::hash(&fs::read(path).unwrap()).to_string();
                let is_known = known.iter().any(|version| version[at].1 == hash);
                seen.fetch_add(u64::from(!is_known), Ordering::Relaxed);
            }
        }
    });
    let cancel = CancellationToken::new();
    versions
        .replace(None, Some(progress), cancel)
        .await
        .unwrap();
    assert_eq!(halves.load(Ordering::Relaxed), 0);
    let there = contents(&versions.world.path("restored"));
    assert_eq!(there, versions.contents[1]);
}

#[tokio::test]
async fn two_restores_into_one_place_never_mix_files() {
    let versions = Versions::new().await;
    let Versions { world, saved, .. } = &versions;
    let wanted = [listing(&world.path("one")), listing(&world.path("two"))];
    for round in 0..12 {
        if round % 3 == 0 {
            let _ = fs::remove_dir_all(world.path("restored"));
        }
        let (one, two) = tokio::join!(
            world.restore_state(&saved[0], "restored", Some("state-0")),
            world.restore_state(&saved[1], "restored", Some("state-1")),
        );
        one.unwrap();
        two.unwrap();
        versions.assert_one_or_other();
        // Each state is believed about what is there now, and must be right.
        for at in [round % 2, 1 - round % 2] {
            let state = format!("state-{at}");
            let again = world.restore_state(&saved[at], "restored", Some(&state));
            again.await.unwrap();
            assert_eq!(listing(&world.path("restored")), wanted[at]);
        }
    }
}

#[tokio::test]
async fn what_a_killed_restore_left_is_neither_used_nor_saved() {
    let world = World::new();
    world.write("tree/dir/a", b"a");
    world.write("tree/dir/.outrider-a", b"not a leftover");
    let wanted = contents(&world.path("tree"));
    // Names that this process will come to, too.
    let leftover = |root: &str, number: u64| {
        let name = format!(".outrider-{}-{number}.part", std::process::id());
        world.path(root).join("dir").join(name)
    };
    let numbers = 0..50;
    for number in numbers.clone() {
        fs::write(leftover("tree", number), b"half").unwrap();
    }
    let saved = world.save("tree").await.unwrap();
    world.restore(&saved, "restored").await.unwrap();
    assert_eq!(contents(&world.path("restored")), wanted);
    for number in numbers.clone() {
        fs::write(leftover("restored", number), b"half").unwrap();
    }
    world.write("restored/dir/a", b"b");
    world.restore(&saved, "restored").await.unwrap();
    let a = fs::read(world.path("restored/dir/a")).unwrap();
    assert_eq!(a, b"a");
    for number in numbers {
        let left = fs::read(leftover("restored", number)).unwrap();
        assert_eq!(left, b"half");
    }
}
