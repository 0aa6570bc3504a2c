//! What all tests need.

use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use outrider_blobs::{BlobName, Blobs, BlobsError, Environment, Patience, Tier};
use outrider_model::blob::BlobHash;
use outrider_testkit::s3;

/// Bytes that are not the same twice.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// The name of these bytes.
pub fn name(bytes: &[u8], row: u64) -> BlobName {
    BlobName {
        project: 3,
        tier: Tier::Trusted,
        hash: BlobHash(*blake3::hash(bytes).as_bytes()),
        row,
    }
}

/// A body in pieces, as a connection brings it.
pub fn body(bytes: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let pieces = bytes.chunks(60_000).map(Bytes::copy_from_slice);
    stream::iter(pieces.map(Ok).collect::<Vec<_>>())
}

/// Stores these bytes under their name.
pub async fn put(blobs: &Blobs, bytes: &[u8], row: u64) -> BlobName {
    let name = name(bytes, row);
    let stored = blobs.put(&name, bytes.len() as u64, body(bytes)).await;
    stored.expect("a blob that can be stored");
    name
}

pub async fn get(blobs: &Blobs, name: &BlobName, range: Range<u64>) -> Result<Vec<u8>, BlobsError> {
    let pieces: Vec<Bytes> = blobs.get(name, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

/// The names of all that lies in a store.
pub async fn keys(blobs: &Blobs) -> Vec<String> {
    let objects: Vec<_> = blobs.list().try_collect().await.expect("a list");
    let mut keys: Vec<String> = objects.into_iter().map(|object| object.key).collect();
    keys.sort();
    keys
}

/// Short enough that a test can see its end, long enough for a loaded machine.
pub fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        silence: Duration::from_secs(20),
        total: Duration::from_secs(50),
    }
}

pub fn open(location: &str) -> Blobs {
    open_as(location, &s3::environment())
}

pub fn open_as(location: &str, environment: &Environment) -> Blobs {
    let location = location.parse().expect("a location");
    Blobs::open(&location, environment, patience()).expect("a store that can be opened")
}
