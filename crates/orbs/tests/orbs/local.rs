//! Folders, the cache and the lock file: everything that needs no network.

use crate::common::{Home, complaint, text, uses};
use outrider_config::{OrbReference, OrbVersion};
use outrider_orbs::{
    Cache, ContentHash, Found, Limits, ResolveError, Resolver, Settings, Source, Wanted,
};

#[tokio::test]
async fn a_folder_holds_orbs_in_every_form() {
    let home = Home::new();
    home.write("orbs/acme/versions/1.2.9.yml", "1.2.9");
    home.write("orbs/acme/versions/1.2.10.yml", "1.2.10");
    home.write("orbs/acme/versions/notes.yml", "no version");
    home.write("orbs/acme/beside@2.0.0.yml", "2.0.0");
    home.write("orbs/acme/beside@2.1.0.yml", "2.1.0");
    home.write("orbs/acme/any.yml", "any");
    home.write("orbs/acme/dev/dev:one.yml", "one");
    home.write("orbs/acme/tree/@orb.yml", "version: 2.1\n");
    home.write("orbs/acme/tree/commands/hi.yml", "steps: []\n");
    home.write("orbs/acme/source/src/@orb.yml", "description: in src\n");
    home.write("orbs/acme/source/README.md", "not a part of it");
    for (reference, expected, name) in [
        ("acme/versions@1.2", "1.2.10", "acme/versions@1.2.10"),
        ("acme/versions@1.2.9", "1.2.9", "acme/versions@1.2.9"),
        ("acme/versions@volatile", "1.2.10", "acme/versions@1.2.10"),
        ("acme/beside@2", "2.1.0", "acme/beside@2.1.0"),
        ("acme/any@7.0.0", "any", "acme/any@7.0.0"),
        ("acme/any@dev:mine", "any", "acme/any@dev:mine"),
        ("acme/dev@dev:one", "one", "acme/dev@dev:one"),
        (
            "acme/tree@1",
            "version: 2.1\ncommands:\n  \"hi\":\n    steps: []\n",
            "acme/tree@1",
        ),
        ("acme/source@1", "description: in src\n", "acme/source@1"),
    ] {
        let resolution = home.resolve(&home.settings(), &[reference]).await.unwrap();
        assert_eq!(text(&resolution, reference), expected, "{reference}");
        let orb = &resolution.orbs[&reference.parse::<OrbReference>().unwrap()];
        assert_eq!(orb.name, name);
    }
}

#[tokio::test]
async fn the_first_folder_that_has_an_orb_wins() {
    let home = Home::new();
    home.write("mine/acme/a/1.0.0.yml", "mine");
    home.write("orbs/acme/a/1.0.1.yml", "theirs");
    let settings = Settings {
        directories: vec![home.path("mine"), home.path("orbs")],
        ..home.settings()
    };
    let resolution = home.resolve(&settings, &["acme/a@1"]).await.unwrap();
    assert_eq!(text(&resolution, "acme/a@1"), "mine");
}

#[tokio::test]
async fn what_is_in_the_program_stands_for_every_version_and_is_not_locked() {
    let home = Home::new();
    for reference in [
        "circleci/continuation@0.1.2",
        "circleci/continuation@volatile",
        "circleci/path-filtering@2",
        "circleci/path-filtering@dev:mine",
    ] {
        let resolution = home.resolve(&home.settings(), &[reference]).await.unwrap();
        let orb = &resolution.orbs[&reference.parse::<OrbReference>().unwrap()];
        let (name, _) = reference.split_once('@').unwrap();
        assert_eq!(orb.name, format!("{name} (built into Outrider)"));
        assert!(resolution.warnings.is_empty() && !home.path("orbs.lock").exists());
    }
    let settings = Settings {
        directories: vec![home.path("mine")],
        ..home.settings()
    };
    home.write("mine/circleci/continuation/1.0.0.yml", "mine");
    let own = "circleci/continuation@1";
    let resolution = home.resolve(&settings, &[own]).await.unwrap();
    assert_eq!(text(&resolution, own), "mine");
}

#[tokio::test]
async fn a_missing_orb_says_who_was_asked_and_where_to_put_it() {
    let home = Home::new();
    let resolution = home
        .resolve(&home.settings(), &["circleci/node@5.1.0"])
        .await
        .unwrap();
    let complaint = complaint(&resolution);
    let expected = format!(
        "the orb circleci/node@5.1.0 is not at hand\n  \
         - {0}/orbs has no circleci/node@5.1.0\n  \
         - the cache {0}/cache has no circleci/node@5.1.0\n  \
         - the network is not used: --offline\n\
         put its source at {0}/orbs/circleci/node/5.1.0.yml and say --orbs {0}/orbs, or connect \
         once: then the lock file and the cache hold it",
        home.path("").display().to_string().trim_end_matches('/')
    );
    assert_eq!(complaint, expected);
    assert_eq!(home.files(), [""; 0]);
}

#[tokio::test]
async fn orbs_use_orbs() {
    let home = Home::new();
    home.write(
        "orbs/acme/a/1.0.0.yml",
        "# uses acme/b@1\n# uses acme/c@1.0\n",
    );
    home.write("orbs/acme/b/1.1.0.yml", "# uses acme/c@1.0\n");
    home.write("orbs/acme/c/1.0.5.yml", "# uses acme/a@1.0.0\n");
    let resolution = home
        .resolve(&home.settings(), &["acme/a@1.0.0"])
        .await
        .unwrap();
    let names: Vec<_> = resolution.orbs.values().map(|orb| &orb.name).collect();
    assert_eq!(names, ["acme/a@1.0.0", "acme/b@1.1.0", "acme/c@1.0.5"]);
    let lock = home.read("orbs.lock");
    assert_eq!(lock.matches("[[orb]]").count(), 3, "{lock}");
}

#[tokio::test]
async fn no_config_gets_more_than_the_limits() {
    let home = Home::new();
    for number in 0..30 {
        let text = format!("# uses acme/chain{}@1\n", number + 1);
        home.write(&format!("orbs/acme/chain{number}.yml"), text);
    }
    let limited = |limits| Settings {
        limits,
        ..home.settings()
    };
    let limits = Limits::default();
    let refused = |settings| {
        let home = &home;
        async move {
            let error = home.resolve(&settings, &["acme/chain0@1"]).await;
            error.unwrap_err()
        }
    };
    let deep = refused(limited(Limits { depth: 5, ..limits })).await;
    assert_eq!(deep, ResolveError::TooDeep(5));
    let many = refused(limited(Limits { orbs: 3, ..limits })).await;
    assert_eq!(many, ResolveError::TooMany(3));
    let large = refused(limited(Limits {
        bytes: 50,
        ..limits
    }))
    .await;
    assert_eq!(large, ResolveError::TooLarge(50));
}

#[tokio::test]
async fn a_locked_version_stays_when_a_newer_one_comes() {
    let home = Home::new();
    home.write("orbs/acme/a/1.2.0.yml", "old");
    let settings = home.settings();
    home.resolve(&settings, &["acme/a@1"]).await.unwrap();
    let lock = home.read("orbs.lock");
    assert!(lock.contains("resolved = \"acme/a@1.2.0\""), "{lock}");
    assert!(lock.contains(&ContentHash::of("old").to_string()), "{lock}");

    home.write("orbs/acme/a/1.3.0.yml", "new");
    let later = home.resolve(&settings, &["acme/a@1"]).await.unwrap();
    assert_eq!(text(&later, "acme/a@1"), "old");
    assert_eq!(home.read("orbs.lock"), lock);

    let update = Settings {
        update: true,
        ..settings
    };
    let updated = home.resolve(&update, &["acme/a@1"]).await.unwrap();
    assert_eq!(text(&updated, "acme/a@1"), "new");
    assert!(home.read("orbs.lock").contains("acme/a@1.3.0"));
}

#[tokio::test]
async fn a_locked_version_that_is_gone_is_named() {
    let home = Home::new();
    home.write("orbs/acme/a/1.2.0.yml", "old");
    home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    std::fs::rename(
        home.path("orbs/acme/a/1.2.0.yml"),
        home.path("orbs/acme/a/1.3.0.yml"),
    )
    .unwrap();
    let resolution = home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    let complaint = complaint(&resolution);
    assert!(complaint.contains("locked at acme/a@1.2.0"), "{complaint}");
    assert!(complaint.contains("--update-orbs"), "{complaint}");
}

#[tokio::test]
async fn a_locked_orb_with_another_text_is_refused() {
    let home = Home::new();
    home.write("orbs/acme/a/1.2.0.yml", "before");
    home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    home.write("orbs/acme/a/1.2.0.yml", "after");
    let resolution = home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    assert!(resolution.orbs.is_empty());
    let complaint = complaint(&resolution);
    for part in [
        &ContentHash::of("before").to_string(),
        &ContentHash::of("after").to_string(),
        "--update-orbs",
    ] {
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[tokio::test]
async fn an_orb_for_every_version_takes_the_place_of_a_locked_one() {
    let home = Home::new();
    home.write("orbs/acme/a/1.2.0.yml", "released");
    home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    let lock = home.read("orbs.lock");
    home.write("mine/acme/a.yml", "what I work on");
    let settings = Settings {
        directories: vec![home.path("mine"), home.path("orbs")],
        ..home.settings()
    };
    let resolution = home.resolve(&settings, &["acme/a@1"]).await.unwrap();
    assert_eq!(text(&resolution, "acme/a@1"), "what I work on");
    assert_eq!(home.read("orbs.lock"), lock);
}

#[tokio::test]
async fn a_lock_file_is_written_when_it_says_something_new() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    home.resolve(&home.settings(), &[]).await.unwrap();
    home.write("orbs/acme/any.yml", "not of any version");
    home.resolve(&home.settings(), &["acme/any@1"])
        .await
        .unwrap();
    assert!(!home.path("orbs.lock").exists());

    home.write("orbs/acme/a/1.0.0.yml", "a");
    home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    let edited = home.read("orbs.lock") + "# a remark\n";
    home.write("orbs.lock", &edited);
    let inode = || home.path("orbs.lock").metadata().unwrap().ino();
    let before = inode();
    home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    home.resolve(&home.settings(), &[]).await.unwrap();
    assert_eq!((inode(), home.read("orbs.lock")), (before, edited));
}

#[tokio::test]
async fn a_lock_file_that_cannot_be_written_is_a_warning() {
    let home = Home::new();
    home.write("orbs/acme/a/1.0.0.yml", "a");
    let resolver = Resolver::new(&home.settings()).unwrap();
    let nowhere = home.path("no/such/folder/orbs.lock");
    let resolution = resolver
        .resolve(Some(&nowhere), uses(&["acme/a@1"]))
        .await
        .unwrap();
    assert_eq!(text(&resolution, "acme/a@1"), "a");
    let [warning] = &resolution.warnings[..] else {
        panic!("{:?}", resolution.warnings);
    };
    assert!(warning.contains("orbs.lock cannot be written"), "{warning}");
}

#[tokio::test]
async fn a_damaged_lock_file_is_an_error_until_it_is_written_anew() {
    let home = Home::new();
    home.write("orbs/acme/a/1.0.0.yml", "a");
    home.resolve(&home.settings(), &["acme/a@1"]).await.unwrap();
    let good = home.read("orbs.lock");
    let binary = [0_u8, 159, 146, 150];
    for damaged in [
        &good.as_bytes()[..good.len() - 9],
        &binary[..],
        b"version = 9\n",
    ] {
        home.write("orbs.lock", damaged);
        let error = home.resolve(&home.settings(), &["acme/a@1"]).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("orbs.lock"), "{error}");
        assert!(error.contains("--update-orbs"), "{error}");
    }
    let update = Settings {
        update: true,
        ..home.settings()
    };
    home.resolve(&update, &["acme/a@1"]).await.unwrap();
    assert_eq!(home.read("orbs.lock"), good);
}

#[tokio::test]
async fn files_that_are_no_orbs_are_named() {
    let home = Home::new();
    home.write("orbs/acme/binary.yml", [0xff, 0xfe]);
    home.write("orbs/acme/large.yml", vec![b'a'; 1024 * 1024 + 1]);
    home.write("orbs/acme/folder.yml/x", "");
    home.write(
        "orbs/acme/tree/@orb.yml",
        "a: <<include(../../../secret)>>\n",
    );
    home.write("secret", "s3cret");
    for (name, says) in [
        ("binary", "binary.yml, which is not UTF-8 text: byte 0"),
        ("large", "large.yml, which is larger than 1048576 bytes"),
        ("folder", "folder.yml, which is not a file"),
        (
            "tree",
            "@orb.yml:1: ../../../secret lies outside of the orb",
        ),
    ] {
        let reference = format!("acme/{name}@1");
        let resolution = home.resolve(&home.settings(), &[&reference]).await.unwrap();
        let complaint = complaint(&resolution);
        assert!(complaint.contains(says), "{complaint}");
        assert!(complaint.contains("cannot be used"), "{complaint}");
    }
}

fn released(name: &str, version: (u64, u64, u64)) -> OrbReference {
    OrbReference::Registry {
        namespace: "acme".to_owned(),
        name: name.to_owned(),
        version: OrbVersion::Exact(version.0, version.1, version.2),
    }
}

fn wanted(reference: OrbReference) -> Wanted {
    Wanted {
        reference,
        hash: None,
    }
}

#[tokio::test]
async fn many_may_write_the_cache_at_once() {
    let home = Home::new();
    let orb = Found {
        name: None,
        resolved: Some(released("a", (1, 0, 0))),
        text: "x".repeat(100_000),
    };
    let caches: Vec<_> = (0..16).map(|_| Cache::new(home.path("cache"))).collect();
    let keep = caches.iter().map(|cache| async {
        cache.keep(&orb).await.unwrap();
        let found = cache.find(&wanted(released("a", (1, 0, 0)))).await;
        assert_eq!(found.unwrap(), orb);
    });
    futures_util::future::join_all(keep).await;
    assert_eq!(home.files(), ["cache/acme/a/1.0.0.yml"]);
}

#[tokio::test]
async fn a_damaged_file_in_the_cache_is_not_used() {
    let home = Home::new();
    let cache = Cache::new(home.path("cache"));
    let orb = Found {
        name: None,
        resolved: Some(released("a", (1, 0, 0))),
        text: "some text".to_owned(),
    };
    cache.keep(&orb).await.unwrap();
    let whole = home.read("cache/acme/a/1.0.0.yml");
    for damaged in [
        &whole.as_bytes()[..whole.len() - 1],
        b"",
        b"\xff\0",
        b"some text",
    ] {
        home.write("cache/acme/a/1.0.0.yml", damaged);
        let resolution = home
            .resolve(&home.settings(), &["acme/a@1.0.0"])
            .await
            .unwrap();
        let complaint = complaint(&resolution);
        assert!(complaint.contains("1.0.0.yml, which is "), "{complaint}");
    }
}

#[tokio::test]
async fn names_lead_nowhere_else() {
    let home = Home::new();
    home.write("orbs/x/1.0.0.yml", "a neighbour");
    home.write("secret/1.0.0.yml", "s3cret");
    let before = home.files();
    let cache = Cache::new(home.path("cache"));
    let directory = outrider_orbs::Directory::new(home.path("orbs/x"));
    for name in ["../../secret", "..", ".", "", "/etc", "a/b"] {
        let reference = released(name, (1, 0, 0));
        assert!(directory.find(&wanted(reference.clone())).await.is_err());
        let orb = Found {
            name: None,
            resolved: Some(reference),
            text: "text".to_owned(),
        };
        cache.keep(&orb).await.unwrap();
        assert!(cache.find(&wanted(orb.resolved.unwrap())).await.is_err());
    }
    let mut after = home.files();
    after.retain(|path| !path.starts_with("cache/@content/"));
    assert_eq!(after, before);
}
