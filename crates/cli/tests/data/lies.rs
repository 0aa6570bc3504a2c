//! A runner that lies: what it saves by hand hurts nobody who restores it.

use outrider_api::client::Client;
use outrider_api::data::{AnnounceBlobs, NamedBlob, SaveCache};
use outrider_api::runner::{ClaimRequest, HeldLease, RunnerIdentity};
use outrider_model::blob::{Archive, PackIndex, PackedChunk};
use outrider_model::{BlobHash, RunnerId};
use outrider_service::{Clock, OsRandom, SystemClock};

use crate::common::{World, one_job};
use crate::support::*;

/// A runner in name only, with a task that it has claimed.
struct Liar {
    client: Client,
    by: HeldLease,
}

impl Liar {
    async fn claims(world: &World) -> Self {
        let client = world.client(&world.class_token().await);
        let runner = RunnerIdentity {
            id: RunnerId::new(SystemClock.now(), &OsRandom::new()),
            name: "liar".to_owned(),
            hostname: "liar.example".to_owned(),
            version: "1".to_owned(),
            slots: 1,
        };
        world.submit(&one_job("true")).await;
        let request = ClaimRequest {
            runner,
            slots: 1,
            wait_ms: 10_000,
        };
        let claimed = client.claim(&request).await.unwrap().tasks.remove(0);
        let by = HeldLease {
            task: claimed.task,
            lease: claimed.lease,
        };
        Self { client, by }
    }

    async fn sends(&self, bytes: &[u8]) -> BlobHash {
        let blob = NamedBlob {
            hash: BlobHash(*blake3::hash(bytes).as_bytes()),
            size: bytes.len() as u64,
        };
        let question = AnnounceBlobs { blobs: vec![blob] };
        let answer = self.client.announce_blobs(self.by, &question).await;
        if let Some(to) = answer.unwrap().uploads.remove(0) {
            let sent = self
                .client
                .put_blob(self.by, blob, &to, bytes.to_vec().into());
            sent.await.unwrap();
        }
        blob.hash
    }

    /// Saves what it likes as a cache.
    async fn saves(&self, key: &str, manifest: &[u8], new_packs: Vec<PackIndex>) {
        let cache = SaveCache {
            key: key.to_owned(),
            archive: Archive {
                manifest: self.sends(manifest).await,
                packs: new_packs.iter().map(|index| index.pack).collect(),
                new_packs,
                entries: 1,
                size: 1,
            },
        };
        let saved = self.client.save_cache(self.by, &cache).await.unwrap();
        assert!(saved.saved);
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut manifest = b"ORarch\x00\x01\x00".to_vec();
    manifest.extend(zstd::bulk::compress(body, 3).unwrap());
    manifest
}

/// The numbers of a manifest: little-endian base 128.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// An entry as it is written by hand.
struct Entry<'a> {
    /// 0 home, 1 working directory, 2 the root of the file system.
    base: u64,
    is_root: bool,
    path: &'a str,
    target: &'a str,
}

/// A manifest of symlinks.
fn symlinks(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for count in [entries.len() as u64, 0, 0, 0, 0] {
        number(&mut body, count);
    }
    for entry in entries {
        number(&mut body, 2 | if entry.is_root { 4 } else { 0 });
        number(&mut body, entry.base);
        number(&mut body, 0);
        number(&mut body, entry.path.len() as u64);
        body.extend(entry.path.as_bytes());
        for fact in [0o777, 0, 0, entry.target.len() as u64] {
            number(&mut body, fact);
        }
        body.extend(entry.target.as_bytes());
    }
    framed(&body)
}

#[tokio::test]
async fn nothing_is_written_where_a_manifest_has_no_business() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let liar = Liar::claims(&world).await;
    let outside = world.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap();
    let at = |base, is_root, path| Entry {
        base,
        is_root,
        path,
        target,
    };
    let up = "../".repeat(12) + target.trim_start_matches('/') + "/evil";
    let absolute = format!("{target}/evil");
    for (key, manifest) in [
        ("good", symlinks(&[at(1, true, "evil")])),
        ("up", symlinks(&[at(1, true, &up)])),
        ("absolute", symlinks(&[at(1, true, &absolute)])),
        (
            "below-link",
            symlinks(&[at(1, true, "a"), at(1, false, "a/evil")]),
        ),
        (
            "below-root",
            symlinks(&[at(1, true, "a"), at(1, true, "a/evil")]),
        ),
        ("dots", symlinks(&[at(1, true, "a/./evil")])),
        ("twice", symlinks(&[at(1, true, "a"), at(1, true, "a")])),
        ("base", symlinks(&[at(9, true, "evil")])),
        ("noise", b"what is this".to_vec()),
        ("cut", framed(b"\x05")),
        ("bomb", framed(&vec![0; 300 << 20])),
        ("many", framed(&[0xff; 9])),
    ] {
        liar.saves(key, &manifest, Vec::new()).await;
    }
    let _runner = world.start_runner("runner", &[]).await;
    says(
        &passes(
            &world,
            &one(serde_json::json!([
                restore("good"),
                run("readlink ../evil evil || true")
            ])),
        )
        .await,
        &[target],
    );
    for key in [
        "up",
        "absolute",
        "below-link",
        "below-root",
        "dots",
        "twice",
        "base",
        "noise",
        "cut",
        "bomb",
        "many",
    ] {
        let log = passes(&world, &restoring(key)).await;
        says(
            &log,
            &[
                "No cache is restored",
                "the manifest of the archive is not valid",
            ],
        );
        assert_eq!(outside.read_dir().unwrap().count(), 0, "{key}: {log}");
    }
}

#[tokio::test]
async fn a_chunk_that_is_not_what_the_index_says_is_nobodys_file() {
    let mut world = World::new();
    let _server = world.start_server(&[]).await;
    let liar = Liar::claims(&world).await;
    // The chunk of an honest file, which the liar says lies in a pack of its own making.
    let honest = b"honest\n";
    let poison = zstd::bulk::compress(b"poison\n", 1).unwrap();
    let chunk = PackedChunk {
        hash: BlobHash(*blake3::hash(honest).as_bytes()),
        offset: 0,
        stored: poison.len() as u32,
        length: honest.len() as u32,
    };
    let index = PackIndex {
        pack: liar.sends(&poison).await,
        chunks: vec![chunk],
    };
    liar.saves("bait", &symlinks(&[]), vec![index]).await;
    let _runner = world.start_runner("runner", &[]).await;
    let log = passes(&world, &saving("k", "honest")).await;
    assert!(!log.contains("poison"), "{log}");
    let log = passes(&world, &restoring("k")).await;
    assert!(!log.contains("poison"), "{log}");
}
