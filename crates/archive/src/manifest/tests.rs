//! Manifests that nobody should believe.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use outrider_model::blob::ChunkPlace;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::error::{Error, InvalidManifest};
use crate::session::Session;
use crate::store::{BlobError, BlobStore};

fn limits() -> Limits {
    Limits {
        entries: 1_000,
        size: u64::MAX,
    }
}

fn entry(path: &str, root: u8, kind: Kind) -> Entry {
    Entry {
        base: Base::Work,
        root,
        path: path.as_bytes().into(),
        mode: 0o644,
        modified: Time::default(),
        kind,
    }
}

fn file(size: u64) -> Kind {
    Kind::File(File {
        size,
        hash: BlobHash([1; 32]),
        extents: None,
    })
}

fn symlink() -> Kind {
    Kind::Symlink(b"/etc"[..].into())
}

fn with(entries: Vec<Entry>) -> Manifest {
    Manifest {
        entries,
        ..Manifest::default()
    }
}

/// One file of ten bytes in one chunk.
fn good() -> Manifest {
    Manifest {
        entries: vec![entry("a", 1, Kind::Directory), entry("a/b", 1, file(10))],
        files: vec![1],
        segments: vec![Segment {
            files: 0..1,
            piece: None,
            chunks: 0..1,
        }],
        chunks: vec![Chunk {
            hash: BlobHash([2; 32]),
            pack: 0,
            offset: 0,
            stored: 20,
            length: 10,
        }],
        packs: vec![BlobHash([3; 32])],
        size: 10,
    }
}

fn refused(manifest: &Manifest) -> InvalidManifest {
    match decode(&encode(manifest)[..], &limits()) {
        Err(Error::Manifest(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    assert_eq!(decode(&encode(&good())[..], &limits()).unwrap(), good());
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for path in ["/etc", "..", "a/../b", "a//b", "a/", "./a", "a\0b", "a/."] {
        let root = path.split('/').count() as u8;
        let manifest = with(vec![entry(path, root, file(0))]);
        assert_eq!(refused(&manifest), InvalidManifest::BadPath, "{path}");
    }
    let deep = vec!["d"; 200].join("/");
    let manifest = with(vec![entry(&deep, 200, file(0))]);
    assert_eq!(refused(&manifest), InvalidManifest::BadPath);
    let nothing = with(vec![entry("", 0, symlink())]);
    assert_eq!(refused(&nothing), InvalidManifest::BadPath);
}

#[test]
fn paths_come_once_and_in_order() {
    for (first, second) in [("a", "a"), ("b", "a")] {
        let manifest = with(vec![entry(first, 1, file(0)), entry(second, 1, file(0))]);
        assert_eq!(refused(&manifest), InvalidManifest::NotSorted);
    }
}

#[test]
fn nothing_lies_below_a_link_or_a_file() {
    for kind in [symlink(), file(0)] {
        for root in [1, 2] {
            let below = entry("a/b", root, file(0));
            let manifest = with(vec![entry("a", 1, kind.clone()), below]);
            assert_eq!(refused(&manifest), InvalidManifest::NoDirectory);
        }
    }
    let gap = with(vec![
        entry("a", 1, Kind::Directory),
        entry("a/b/c", 1, file(0)),
    ]);
    assert_eq!(refused(&gap), InvalidManifest::NoDirectory);
}

#[test]
fn hard_links_lead_to_files_that_came_before() {
    for to in [0, 1, 7] {
        let manifest = with(vec![
            entry("a", 1, symlink()),
            entry("b", 1, Kind::HardLink(to)),
        ]);
        assert_eq!(refused(&manifest), InvalidManifest::BadLink);
    }
}

#[test]
fn chunks_are_exactly_the_files() {
    let change = |change: fn(&mut Manifest)| {
        let mut manifest = good();
        change(&mut manifest);
        refused(&manifest)
    };
    let wrong: [fn(&mut Manifest); 7] = [
        |manifest| manifest.chunks[0].length = 11,
        |manifest| manifest.chunks[0].length = 9,
        |manifest| manifest.chunks[0].length = 0,
        |manifest| manifest.chunks[0].stored = 0,
        |manifest| manifest.chunks[0].pack = 1,
        |manifest| manifest.chunks[0].offset = u32::MAX,
        |manifest| {
            manifest.chunks.clear();
            manifest.segments.clear();
        },
    ];
    for wrong in wrong {
        assert_eq!(change(wrong), InvalidManifest::BadChunks);
    }
    let bomb = change(|manifest| manifest.chunks[0].length = u32::MAX);
    assert_eq!(bomb, InvalidManifest::Damaged);
    assert_eq!(
        change(|manifest| manifest.size = 11),
        InvalidManifest::Damaged
    );
}

#[test]
fn holes_lie_in_their_file() {
    let mut manifest = good();
    let Kind::File(file) = &mut manifest.entries[1].kind else {
        panic!("it is a file");
    };
    let extent = Extent {
        start: 5,
        length: 10,
    };
    file.extents = Some([extent].into());
    assert_eq!(refused(&manifest), InvalidManifest::BadHoles);
}

#[test]
fn counts_that_are_lies_cost_nothing() {
    let mut body = Vec::new();
    let mut out = Writer(std::mem::take(&mut body));
    for count in [1_000, u64::from(u32::MAX), u64::from(u32::MAX), 0, 0] {
        out.number(count);
    }
    let read = decode(&out.0[..], &limits());
    assert!(matches!(
        read,
        Err(Error::Manifest(InvalidManifest::Damaged))
    ));
}

/// Whole blobs only.
#[derive(Default)]
struct Blobs(Mutex<HashMap<BlobHash, Bytes>>);

#[async_trait]
impl BlobStore for Blobs {
    async fn find_chunks(&self, _: &[BlobHash]) -> Result<Vec<Option<ChunkPlace>>, BlobError> {
        Ok(Vec::new())
    }

    async fn put(&self, hash: BlobHash, bytes: Bytes) -> Result<(), BlobError> {
        self.0.lock().unwrap().insert(hash, bytes);
        Ok(())
    }

    async fn get(&self, hash: BlobHash, _: Range<u64>) -> Result<Bytes, BlobError> {
        Err(BlobError::Missing(hash))
    }

    async fn get_whole(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        let blobs = self.0.lock().unwrap();
        blobs.get(&hash).cloned().ok_or(BlobError::Missing(hash))
    }
}

#[tokio::test]
async fn a_manifest_that_is_too_long_for_a_blob_is_divided() {
    let count = 300_000_u32;
    let entries = (0..count).map(|number| {
        let kind = Kind::File(File {
            size: 0,
            hash: crate::chunk::hash(&number.to_le_bytes()),
            extents: None,
        });
        entry(&format!("file-{number:06}"), 1, kind)
    });
    let manifest = with(entries.collect());
    let blobs = Arc::new(Blobs::default());
    let cancel = CancellationToken::new();
    let stored = {
        let manifest = manifest.clone();
        let put = move |session: &Session| store(&manifest, session);
        Session::run(blobs.clone(), &cancel, None, put).await
    };
    let stored = stored.unwrap();
    assert_eq!(stored.parts.len(), 2);
    let fetch = || Manifest::fetch(stored.head, blobs.clone(), Limits::default(), &cancel);
    assert!(fetch().await.unwrap() == manifest);

    let part = blobs.0.lock().unwrap().remove(&stored.parts[1]).unwrap();
    let missing = fetch().await.unwrap_err();
    assert!(matches!(missing, Error::Store(BlobError::Missing(name)) if name == stored.parts[1]));
    let wrong = part.slice(1..);
    blobs.0.lock().unwrap().insert(stored.parts[1], wrong);
    let damaged = fetch().await.unwrap_err();
    assert!(matches!(damaged, Error::Store(BlobError::Damaged(name)) if name == stored.parts[1]));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..200, to in any::<u8>(), cut in 0_usize..200) {
        let mut body = encode(&good());
        let at = at % body.len();
        body[at] = to;
        let _ = decode(&body[..], &limits());
        body.truncate(cut);
        let _ = decode(&body[..], &limits());
    }

    #[test]
    fn no_garbage_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&body[..], &limits());
    }
}
