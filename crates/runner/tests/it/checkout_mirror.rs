//! Mirrors: shared, waited for, cut off, damaged, made anew.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use outrider_model::plan::{CheckoutStep, Trigger};
use outrider_model::{Outcome, TaskId};

use crate::support::git_server::{Fault, GitServer};
use crate::support::repository::{Host, branch, commit, git, origin, write};
use crate::support::rig::soon;

/// A folder with a repository whose pack is large enough to stop in the middle.
fn served() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("shop");
    origin(&repository);
    // Nothing that would become small.
    let noise: String = (0..4_000)
        .map(|number| blake3::hash(&u32::to_le_bytes(number)).to_hex().to_string() + "\n")
        .collect();
    commit(&repository, "large", &noise);
    place
}

fn mirrors(host: &Host) -> Vec<PathBuf> {
    let items = std::fs::read_dir(host.rig.settings.mirrors.as_ref().unwrap()).unwrap();
    let paths = items.flatten().map(|item| item.path());
    paths.filter(|path| path.is_dir()).collect()
}

fn packs(mirror: &Path) -> Vec<PathBuf> {
    let items = std::fs::read_dir(mirror.join("objects/pack")).unwrap();
    let paths = items.flatten().map(|item| item.path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == "pack"))
        .collect()
}

#[tokio::test]
async fn the_second_checkout_fetches_only_what_is_new() {
    let place = served();
    let server = GitServer::start(place.path().to_owned()).await;
    let trigger = branch(server.url("shop"), "main");
    let host = Host::new();
    let log = host.passes(trigger.clone(), "true").await;
    assert!(log.starts_with("Making a mirror of http://"), "{log}");
    assert_eq!(server.packs(), 1);
    let second = commit(&place.path().join("shop"), "small", "small");
    // Its objects are the mirror's, and the job may do to its repository what it likes.
    let script = "stat -c %h .git/objects/pack/*.pack
        git gc --quiet --prune=now
        git log --format=%s
        chmod -R u+w .git
        rm -rf .git";
    let log = host.passes(trigger.clone(), script).await;
    assert_eq!(server.packs(), 1, "the whole was fetched again");
    assert!(
        log.contains(&second) && log.ends_with("small\nlarge\nkept\n"),
        "{log}"
    );
    assert!(log.contains("\n2\n"), "objects are not shared: {log}");
    let mirror = mirrors(&host).pop().unwrap();
    assert_eq!(packs(&mirror).len(), 2);
    git(&mirror, &["fsck", "--strict"]);
    let links = packs(&mirror)
        .iter()
        .map(|pack| pack.metadata().unwrap().nlink())
        .max();
    assert_eq!(links, Some(1));
}

#[tokio::test]
async fn tiers_and_projects_share_nothing() {
    let place = served();
    let server = GitServer::start(place.path().to_owned()).await;
    let trusted = branch(server.url("shop"), "main");
    let untrusted = Trigger {
        untrusted: true,
        ..trusted.clone()
    };
    let other = Trigger {
        project: "acme/other".to_owned(),
        ..trusted.clone()
    };
    let host = Host::new();
    for (trigger, count) in [(&trusted, 1), (&untrusted, 2), (&other, 3), (&untrusted, 3)] {
        host.passes(trigger.clone(), "true").await;
        assert_eq!(mirrors(&host).len(), count);
    }
    assert_eq!(server.packs(), 3);
}

#[tokio::test]
async fn many_fetches_leave_few_packs() {
    let place = tempfile::tempdir().unwrap();
    origin(place.path());
    let url = place.path().to_str().unwrap();
    let host = Host::new();
    host.passes(branch(url, "main"), "true").await;
    let mirror = mirrors(&host).pop().unwrap();
    git(&mirror, &["config", "fetch.unpackLimit", "1"]);
    git(&mirror, &["config", "maintenance.auto", "false"]);
    for number in 0..60 {
        commit(place.path(), "kept", &number.to_string());
        git(&mirror, &["fetch", "--quiet", url, "+main:main"]);
    }
    assert!(packs(&mirror).len() > 50);
    host.passes(
        branch(url, "main"),
        "test $(git rev-list --count HEAD) = 61",
    )
    .await;
    assert!(packs(&mirror).len() < 10);
}

async fn says(host: &Host, task: TaskId, text: &str) {
    let said = |record: &[u8]| String::from_utf8_lossy(record).contains(text);
    soon(host.rig.server.until(|state| said(&state.tasks[&task].log))).await;
}

#[tokio::test]
async fn two_tasks_fetch_a_new_repository_once() {
    let place = served();
    let server = GitServer::start(place.path().to_owned()).await;
    let trigger = branch(server.url("shop"), "main");
    let host = Host::new();
    server.set_fault(Fault::Hold);
    let first = host.queue(trigger.clone(), CheckoutStep::default(), "test -e large");
    soon(server.sending(1)).await;
    let second = host.queue(trigger, CheckoutStep::default(), "test -e large");
    says(
        &host,
        second,
        "Waiting for job build (number 42) of pipeline 7",
    )
    .await;
    server.set_fault(Fault::None);
    for task in [first, second] {
        let outcome = host.ended(task).await.0;
        assert_eq!(outcome, Outcome::Passed, "{}", host.rig.server.log(task));
    }
    assert_eq!(server.packs(), 1);
    host.end().await;
}

#[tokio::test]
async fn a_cancel_ends_the_fetch_and_the_wait_and_breaks_nothing() {
    let place = served();
    let server = GitServer::start(place.path().to_owned()).await;
    let trigger = branch(server.url("shop"), "main");
    let host = Host::new();
    server.set_fault(Fault::Hold);
    let fetching = host.queue(trigger.clone(), CheckoutStep::default(), "true");
    soon(server.sending(1)).await;
    let waiting = host.queue(trigger.clone(), CheckoutStep::default(), "true");
    says(&host, waiting, "Waiting for job build").await;
    for task in [waiting, fetching] {
        host.rig
            .server
            .change(|state| state.tasks.get_mut(&task).unwrap().stop = true);
        let outcome = host.ended(task).await.0;
        assert_eq!(outcome, Outcome::Canceled, "{}", host.rig.server.log(task));
    }
    server.set_fault(Fault::None);
    host.passes(trigger, "test -e large").await;
    let left = std::fs::read_dir(mirrors(&host)[0].join("objects/pack")).unwrap();
    let left = left
        .flatten()
        .filter(|item| item.file_name().to_string_lossy().starts_with("tmp"));
    assert_eq!(left.count(), 0, "what was cut off is still there");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_tried_again() {
    let place = served();
    let server = GitServer::start(place.path().to_owned()).await;
    let trigger = branch(server.url("shop"), "main");
    let host = Host::new();
    server.set_fault(Fault::Cut(1));
    let log = host.passes(trigger, "test -e large").await;
    assert!(!log.contains("damaged"), "{log}");
    assert_eq!(server.packs(), 2);
}

#[tokio::test]
async fn a_server_that_always_breaks_off_fails_the_step_and_leaves_no_harm() {
    let place = served();
    let server = GitServer::start(place.path().to_owned()).await;
    let trigger = branch(server.url("shop"), "main");
    let host = Host::new();
    server.set_fault(Fault::Cut(100));
    let log = host.fails(trigger.clone()).await;
    assert!(log.contains("Going on without the mirror"), "{log}");
    assert!(
        log.contains("The repository could not be fetched."),
        "{log}"
    );
    server.set_fault(Fault::None);
    host.passes(trigger, "test -e large").await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_at_once() {
    let host = Host::new();
    let log = host.fails(branch("http://127.0.0.1:1/shop", "main")).await;
    assert!(
        log.contains("Check that this host reaches its server"),
        "{log}"
    );
    assert!(!log.contains("damaged"), "{log}");
}

/// What happens to a mirror, and how.
type Damage = (&'static str, fn(&Path));

/// Half of a file is gone.
fn truncate(path: &Path) {
    let mut permissions = path.metadata().unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(path, permissions).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(path.metadata().unwrap().len() / 2).unwrap();
}

#[tokio::test]
async fn a_damaged_mirror_is_made_anew() {
    let place = served();
    let url = place.path().join("shop").display().to_string();
    let damage: [Damage; 6] = [
        ("packs are cut", |mirror| {
            packs(mirror).iter().for_each(|pack| truncate(pack));
        }),
        ("all packs are gone", |mirror| {
            packs(mirror)
                .iter()
                .for_each(|pack| std::fs::remove_file(pack).unwrap());
        }),
        ("HEAD is gone", |mirror| {
            std::fs::remove_file(mirror.join("HEAD")).unwrap();
        }),
        ("the config is none", |mirror| {
            write(mirror, "config", "\0[");
        }),
        ("everything is gone", |mirror| {
            std::fs::remove_dir_all(mirror).unwrap();
            std::fs::create_dir(mirror).unwrap();
        }),
        ("it is a file", |mirror| {
            std::fs::remove_dir_all(mirror).unwrap();
            std::fs::write(mirror, "").unwrap();
        }),
    ];
    for (what, damage) in damage {
        let host = Host::new();
        host.passes(branch(&url, "main"), "true").await;
        damage(&mirrors(&host)[0]);
        let script = "test -e large && git fsck --strict";
        let log = host.passes(branch(&url, "main"), script).await;
        // git mends it by itself if nothing is left.
        let healed = what == "all packs are gone";
        assert_ne!(log.contains("damaged"), healed, "{what}: {log}");
        let log = host.passes(branch(&url, "main"), script).await;
        assert!(!log.contains("damaged"), "{what}: {log}");
    }
}

#[tokio::test]
async fn what_a_killed_git_leaves_is_in_nobodys_way() {
    let place = served();
    let url = place.path().join("shop").display().to_string();
    let host = Host::new();
    host.passes(branch(&url, "main"), "true").await;
    let mirror = mirrors(&host).pop().unwrap();
    let left = [
        "shallow.lock",
        "packed-refs.lock",
        "HEAD.lock",
        "config.lock",
        "refs/heads/main.lock",
        "objects/pack/tmp_pack_abc",
        "objects/tmp_objdir-incoming-x/pack/y",
    ];
    for path in left {
        write(&mirror, path, "");
    }
    commit(&place.path().join("shop"), "small", "small");
    let log = host.passes(branch(&url, "main"), "test -e small").await;
    assert!(!log.contains("damaged"), "{log}");
    for path in left {
        assert!(!mirror.join(path).exists(), "{path}");
    }
}

#[tokio::test]
async fn mirrors_that_nobody_uses_are_removed() {
    let place = served();
    let url = place.path().join("shop").display().to_string();
    let host = Host::new();
    host.passes(branch(&url, "main"), "true").await;
    let old = mirrors(&host).pop().unwrap();
    let lock = std::fs::File::options()
        .write(true)
        .open(old.with_extension("lock"))
        .unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    lock.set_modified(long_ago).unwrap();
    let other = Trigger {
        project: "acme/other".to_owned(),
        ..branch(&url, "main")
    };
    host.passes(other.clone(), "true").await;
    assert!(!old.exists() && !old.with_extension("lock").exists());
    assert_eq!(mirrors(&host).len(), 1);
    host.passes(branch(&url, "main"), "true").await;
}

#[tokio::test]
async fn a_runner_that_cannot_keep_mirrors_goes_on_without() {
    let place = served();
    let url = place.path().join("shop").display().to_string();
    let host = Host::new();
    std::fs::write(host.rig.settings.mirrors.as_ref().unwrap(), "").unwrap();
    let log = host.passes(branch(&url, "main"), "test -e large").await;
    assert!(log.starts_with("No mirror is used: "), "{log}");
}
