//! What every store does.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use outrider_blobs::{BadBody, Blobs, BlobsError};
use outrider_model::blob::LARGEST_BLOB;
use outrider_service::OsRandom;
use outrider_testkit::s3::S3Server;

use crate::support::{body, bytes, get, keys, name, open, put};

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("made/when/needed");
    holds(&open(root.to_str().unwrap())).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    holds(&open("memory:")).await;
}

#[tokio::test]
async fn a_bucket_keeps_the_contract() {
    let server = S3Server::start();
    holds(&open(&server.location())).await;
}

#[tokio::test]
async fn a_prefix_in_a_bucket_keeps_the_contract_and_sees_nothing_else() {
    let server = S3Server::start();
    let other = open(&server.location());
    let kept = put(&other, b"somebody else's", 9).await;
    holds(&open(&server.location().replace("blobs?", "blobs/ci/one?"))).await;
    assert_eq!(keys(&other).await, [kept.to_string()]);
}

async fn holds(blobs: &Blobs) {
    blobs
        .check(&OsRandom::new())
        .await
        .expect("a store that works");
    assert_eq!(keys(blobs).await, [""; 0], "a check leaves nothing behind");
    what_is_put_is_there(blobs).await;
    ranges(blobs).await;
    what_is_not_there_is_said(blobs).await;
    bad_bodies_leave_nothing(blobs).await;
    many_at_once(blobs).await;
}

async fn what_is_put_is_there(blobs: &Blobs) {
    for (row, length) in [0, 1, 700_000, LARGEST_BLOB as usize]
        .into_iter()
        .enumerate()
    {
        let content = bytes(length, 1);
        let name = put(blobs, &content, row as u64).await;
        // A runner that missed the answer sends it again.
        assert_eq!(put(blobs, &content, row as u64).await, name);
        assert_eq!(blobs.size(&name).await.unwrap(), Some(length as u64));
        let found = get(blobs, &name, 0..length as u64).await.unwrap();
        assert!(found == content, "{length} bytes");
        let objects: Vec<_> = blobs.list().try_collect().await.unwrap();
        let [object] = objects.as_slice() else {
            panic!("one object, not {objects:?}");
        };
        assert_eq!((object.name(), object.size), (Some(name), length as u64));
        assert!(object.stored_at > "2026-01-01T00:00:00Z".parse().unwrap());
        // And again, with one that is gone already.
        for _ in 0..2 {
            blobs.delete(&[name]).await.unwrap();
        }
        assert_eq!(keys(blobs).await, [""; 0]);
    }
}

async fn ranges(blobs: &Blobs) {
    let content = bytes(3_000_000, 2);
    let name = put(blobs, &content, 1).await;
    for (from, to) in [(0, 1), (2_999_999, 3_000_000), (500_000, 2_500_001), (7, 7)] {
        let found = get(blobs, &name, from..to).await.unwrap();
        assert!(found == content[from as usize..to as usize], "{from}..{to}");
    }
    for (from, to) in [
        (0, 3_000_001),
        (3_000_000, 3_000_001),
        (9_000_000, 9_000_000),
    ] {
        let refused = get(blobs, &name, from..to).await;
        assert!(
            matches!(refused, Err(BlobsError::OutOfRange(_))),
            "{from}..{to}: {refused:?}"
        );
    }
    blobs.delete(&[name]).await.unwrap();
}

async fn what_is_not_there_is_said(blobs: &Blobs) {
    let nothing = name(b"nothing", 1);
    assert_eq!(blobs.size(&nothing).await.unwrap(), None);
    for range in [0..7, 0..0] {
        let refused = get(blobs, &nothing, range).await;
        assert!(
            matches!(refused, Err(BlobsError::Missing(_))),
            "{refused:?}"
        );
    }
    blobs.delete(&[nothing]).await.unwrap();
    blobs.delete(&[]).await.unwrap();
}

async fn bad_bodies_leave_nothing(blobs: &Blobs) {
    let content = bytes(1_000_000, 3);
    let name = name(&content, 1);
    let mut other = content.clone();
    other[999_999] ^= 1;
    let refused = |result| match result {
        Err(BlobsError::Body(bad)) => bad,
        other => panic!("not refused: {other:?}"),
    };
    let bad = refused(blobs.put(&name, 1_000_000, body(&other)).await);
    assert!(
        matches!(bad, BadBody::WrongHash { announced, .. } if announced == name.hash),
        "{bad}"
    );
    let bad = refused(blobs.put(&name, 1_000_000, body(&content[1..])).await);
    assert!(
        matches!(bad, BadBody::WrongSize { more: false, .. }),
        "{bad}"
    );
    // Whoever sends too much is not read to the end.
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 4096])));
    let bad = refused(blobs.put(&name, 1_000_000, endless).await);
    assert!(
        matches!(bad, BadBody::WrongSize { more: true, .. }),
        "{bad}"
    );
    let bad = refused(blobs.put(&name, LARGEST_BLOB + 1, body(&content)).await);
    assert!(matches!(bad, BadBody::TooLarge(_)), "{bad}");
    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
    let half = body(&content[..600_000]).chain(stream::iter([Err(broken)]));
    let bad = refused(blobs.put(&name, 1_000_000, half).await);
    assert!(matches!(bad, BadBody::BrokeOff(_)), "{bad}");
    assert_eq!(blobs.size(&name).await.unwrap(), None);
    assert_eq!(keys(blobs).await, [""; 0]);
}

async fn many_at_once(blobs: &Blobs) {
    let rows = 0..60;
    let all = rows.map(|row| async move { put(blobs, &bytes(1_000, row), row).await });
    let names: Vec<_> = stream::iter(all).buffer_unordered(16).collect().await;
    let mut expected: Vec<String> = names.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(keys(blobs).await, expected);
    blobs.delete(&names).await.unwrap();
    assert_eq!(keys(blobs).await, [""; 0]);
}
