//! Caches: kept once, found by prefix.

use std::time::Duration;

use outrider_model::Outcome;

use super::data::{KEPT, OTHER, TRUSTED, UNTRUSTED, hash};
use super::world::{World, build, held, job};
use crate::{Evicted, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub async fn a_key_is_saved_once(w: World) {
    let first = w.running(TRUSTED).await;
    let second = w.running(TRUSTED).await;
    let other = w.running(OTHER).await;
    assert!(w.save(&first, "deps", &["a"]).await);
    assert!(!w.save(&second, "deps", &["b"]).await);
    assert!(w.save(&other, "deps", &["c"]).await, "its own key");
    let found = w.cache(&second, &["deps"]).await.unwrap();
    assert_eq!((found.manifest, found.entries), (hash("a"), 3));
    assert_eq!((found.size, found.created_at), (300, w.now()));
}

pub async fn an_answer_that_was_lost_is_the_same_again(w: World) {
    let task = w.running(TRUSTED).await;
    assert!(w.save(&task, "deps", &["a"]).await);
    assert!(w.try_save(&task, "deps", &["a"]).await.unwrap());
    assert!(!w.save(&task, "deps", &["b"]).await);
}

pub async fn a_cache_needs_all_its_blobs(w: World) {
    let task = w.running(TRUSTED).await;
    w.put(&task, &["manifest"]).await;
    w.announce(&task, &["pack"]).await;
    for missing in ["pack", "nowhere"] {
        let refused = w.try_save(&task, "deps", &["manifest", missing]).await;
        let Err(StoreError::Conflict(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.contains(&hash(missing).to_string()), "{why}");
    }
    assert_eq!(w.hit(&task, &["deps"]).await, None);
    let untrusted = w.running(UNTRUSTED).await;
    let refused = w.try_save(&untrusted, "deps", &["manifest"]).await;
    assert!(refused.is_err(), "what it saves lies in its own tier");
}

pub async fn the_newest_cache_with_the_prefix_wins(w: World) {
    let task = w.running(TRUSTED).await;
    for key in ["deps-1", "deps", "deps-2", "dept"] {
        w.save(&task, key, &[key]).await;
        w.pass(Duration::from_secs(1));
    }
    let hit = async |keys: &[&str]| w.hit(&task, keys).await.unwrap();
    assert_eq!(hit(&["deps"]).await, "deps-2", "newer than the exact one");
    assert_eq!(hit(&["deps-1"]).await, "deps-1");
    assert_eq!(hit(&["d"]).await, "dept");
    let exact = async |key: &str| {
        let keys = vec![key.to_owned()];
        let found = w.store.find_cache(held(&task), keys, true, w.now()).await;
        found.unwrap().map(|found| found.key)
    };
    assert_eq!(exact("deps").await.as_deref(), Some("deps"));
    assert_eq!(exact("dep").await, None);
}

pub async fn keys_are_tried_in_their_order(w: World) {
    let task = w.running(TRUSTED).await;
    w.save(&task, "a-1", &["a"]).await;
    w.save(&task, "b-1", &["b"]).await;
    assert_eq!(w.hit(&task, &["a-2", "a-", "b-"]).await.unwrap(), "a-1");
    assert_eq!(w.hit(&task, &["c-", "b-", "a-"]).await.unwrap(), "b-1");
    assert_eq!(w.hit(&task, &["c-"]).await, None);
    assert_eq!(w.hit(&task, &[]).await, None);
}

pub async fn prefixes_are_plain_text(w: World) {
    let task = w.running(TRUSTED).await;
    let keys = [
        "100%",
        "a_b",
        "a*b",
        "[a]",
        "größe-ß",
        "\u{10ffff}x",
        "../x",
    ];
    w.save(&task, "plain", &["plain"]).await;
    for key in keys {
        w.save(&task, key, &[key]).await;
    }
    for key in keys {
        let mut prefix = key.to_owned();
        prefix.pop();
        assert_eq!(w.hit(&task, &[&prefix]).await.as_deref(), Some(key));
    }
    for none in ["%", "_", "*", "A", "a?", "PLAIN", "gro"] {
        assert_eq!(w.hit(&task, &[none]).await, None, "{none}");
    }
}

pub async fn an_expired_cache_is_not_there(w: World) {
    let mut short = job("short");
    build(&mut short).spec.cache_retention_days = Some(2);
    w.submit_from(TRUSTED, vec![short]).await;
    let short = w.claim_and_start().await;
    w.save(&short, "short", &["a"]).await;
    let task = w.running(TRUSTED).await;
    w.save(&task, "long", &["b"]).await;
    w.pass(2 * DAY);
    assert_eq!(w.hit(&task, &["short"]).await, None);
    assert_eq!(w.hit(&task, &["long"]).await.as_deref(), Some("long"));
    assert!(w.save(&task, "short", &["c"]).await, "its place is free");
    let found = w.cache(&task, &["short"]).await.unwrap();
    assert_eq!(found.manifest, hash("c"));
    w.pass(KEPT);
    assert_eq!(w.hit(&task, &["short", "long"]).await, None);
}

pub async fn a_trusted_task_never_sees_an_untrusted_cache(w: World) {
    let trusted = w.running(TRUSTED).await;
    let untrusted = w.running(UNTRUSTED).await;
    assert!(w.save(&trusted, "deps-1", &["a"]).await);
    assert_eq!(
        w.hit(&untrusted, &["deps"]).await.as_deref(),
        Some("deps-1")
    );
    assert!(
        w.save(&untrusted, "deps-1", &["foul"]).await,
        "another tier"
    );
    assert!(w.save(&untrusted, "deps-2", &["foul"]).await);
    let found = w.cache(&trusted, &["deps"]).await.unwrap();
    assert_eq!((found.key.as_str(), found.manifest), ("deps-1", hash("a")));
    assert_eq!(w.hit(&trusted, &["deps-2"]).await, None);
    assert_eq!(
        w.hit(&untrusted, &["deps"]).await.as_deref(),
        Some("deps-2")
    );
}

pub async fn the_least_used_caches_go_first(w: World) {
    let saver = w.running(TRUSTED).await;
    for key in ["old", "used", "shared", "new"] {
        w.save(&saver, key, &[key, "pack"]).await;
        w.pass(2 * DAY);
    }
    let other = w.running(OTHER).await;
    w.save(&other, "other", &["other"]).await;
    for task in [saver, other] {
        w.end(&task, Outcome::Passed).await;
    }
    let reader = w.running(TRUSTED).await;
    w.hit(&reader, &["used"]).await;
    assert_eq!(w.sweep().await, 0);
    let project = 1;
    let evict = async |bytes| w.store.evict_caches(Some(project), bytes, 9).await.unwrap();
    let one = Evicted {
        caches: 1,
        bytes: 100,
    };
    assert_eq!(evict(1).await, one);
    let left = async |key| w.hit(&reader, &[key]).await.is_some();
    assert!(!left("old").await);
    assert!(left("shared").await, "it was asked for one byte");
    // What the attempt has found by now stays.
    assert_eq!(evict(u64::MAX).await, one);
    assert!(!left("new").await);
    assert!(left("used").await && left("shared").await);
    assert_eq!(w.sweep().await, 2, "manifests: the pack is in use");
    let all = w.store.evict_caches(None, u64::MAX, 9).await.unwrap();
    assert_eq!(all, one, "the other project's");
}

pub async fn untrusted_caches_go_before_trusted_ones(w: World) {
    let main = w.running(TRUSTED).await;
    w.save(&main, "main", &["a"]).await;
    w.end(&main, Outcome::Passed).await;
    w.pass(2 * DAY);
    let fork = w.running(UNTRUSTED).await;
    w.save(&fork, "fork", &["b"]).await;
    w.end(&fork, Outcome::Passed).await;
    assert_eq!(w.sweep().await, 0);
    assert_eq!(w.store.evict_caches(None, 1, 9).await.unwrap().caches, 1);
    let reader = w.running(UNTRUSTED).await;
    assert_eq!(w.hit(&reader, &["fork"]).await, None);
    assert_eq!(w.hit(&reader, &["main"]).await.unwrap(), "main");
}
