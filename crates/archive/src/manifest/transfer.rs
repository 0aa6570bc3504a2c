//! A manifest as blobs: one that has it all, or, if it is too long, one that names its parts.

use std::cell::RefCell;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use outrider_model::blob::{BlobHash, LARGEST_BLOB};
use tokio_util::sync::CancellationToken;

use super::{Limits, Manifest, decode, encode};
use crate::chunk::hash;
use crate::error::{Error, InvalidManifest};
use crate::session::Session;
use crate::store::BlobStore;

/// What every manifest begins with: the kind, and the version of the format.
const HEAD: [u8; 8] = *b"ORarch\x00\x01";

/// How long a part is.
const PART: usize = 8 * 1024 * 1024;

/// A manifest has no more parts.
const MAX_PARTS: usize = 32;

/// A manifest is no longer than this once it is decompressed.
const MAX_BODY: u64 = 256 * 1024 * 1024;

/// No frame of a manifest may ask for a larger window, as a power of two.
const MAX_WINDOW_LOG: u32 = 23;

const LEVEL: i32 = 1;

/// The blobs of a manifest that are in the store.
pub(crate) struct Stored {
    /// The one that names all others.
    pub head: BlobHash,
    pub parts: Vec<BlobHash>,
    /// How many bytes they all have.
    pub length: u64,
}

/// Stores a manifest.
pub(crate) fn store(manifest: &Manifest, session: &Session) -> Result<Stored, Error> {
    let body = encode(manifest);
    if body.len() as u64 > MAX_BODY {
        return Err(Error::ManifestTooLong);
    }
    let compressed = zstd::bulk::compress(&body, LEVEL).map_err(|_| Error::ManifestTooLong)?;
    drop(body);
    let length = compressed.len() as u64;
    let mut head = HEAD.to_vec();
    let mut parts = Vec::new();
    if compressed.len() <= PART {
        head.push(0);
        head.extend(compressed);
    } else {
        for part in compressed.chunks(PART) {
            let bytes = Bytes::copy_from_slice(part);
            let name = hash(&bytes);
            session.wait(session.store.put(name, bytes))?;
            parts.push(name);
        }
        let count = u8::try_from(parts.len()).map_err(|_| Error::ManifestTooLong)?;
        head.push(count);
        head.extend(parts.iter().flat_map(|part| part.0));
    }
    let name = hash(&head);
    session.wait(session.store.put(name, head.into()))?;
    Ok(Stored {
        head: name,
        parts,
        length,
    })
}

impl Manifest {
    /// Reads the manifest of an archive from its store. What is damaged, makes no sense or is over
    /// the limits is an error.
    ///
    /// # Errors
    /// See there.
    pub async fn fetch(
        name: BlobHash,
        store: Arc<dyn BlobStore>,
        limits: Limits,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let fetch = move |session: &Session| {
            let head = get(name, session)?;
            let mut rest = head.strip_prefix(&HEAD).ok_or(InvalidManifest::Unknown)?;
            let [count] = take::<1>(&mut rest).ok_or(InvalidManifest::Damaged)?;
            if count == 0 {
                return read(rest, &limits);
            }
            let failure = RefCell::new(None);
            let manifest = read(Parts::new(count, rest, session, &failure)?, &limits);
            failure.into_inner().map_or(manifest, Err)
        };
        Session::run(store, cancel, None, fetch).await
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn get(name: BlobHash, session: &Session) -> Result<Bytes, Error> {
    let bytes = session.wait(session.store.get_whole(name))?;
    if hash(&bytes) != name || bytes.len() as u64 > LARGEST_BLOB {
        return Err(Error::damaged(name));
    }
    Ok(bytes)
}

fn read(compressed: impl Read, limits: &Limits) -> Result<Manifest, Error> {
    let damaged = |_| InvalidManifest::Damaged;
    let mut body = zstd::Decoder::new(compressed).map_err(damaged)?;
    body.window_log_max(MAX_WINDOW_LOG).map_err(damaged)?;
    // One more than allowed is enough to see that it is too long.
    let mut body = BufReader::new(body.take(MAX_BODY + 1));
    let manifest = decode(&mut body, limits);
    if body.get_ref().limit() == 0 {
        return Err(InvalidManifest::TooLong.into());
    }
    manifest
}

/// The parts of a manifest, read one after the other.
struct Parts<'a> {
    names: std::vec::IntoIter<BlobHash>,
    current: Bytes,
    session: &'a Session,
    /// Why a part could not be had: whoever reads gets no more than an end.
    failure: &'a RefCell<Option<Error>>,
}

impl<'a> Parts<'a> {
    fn new(
        count: u8,
        mut names: &[u8],
        session: &'a Session,
        failure: &'a RefCell<Option<Error>>,
    ) -> Result<Self, InvalidManifest> {
        let count = usize::from(count);
        if count > MAX_PARTS || names.len() != count * 32 {
            return Err(InvalidManifest::Damaged);
        }
        let names: Vec<BlobHash> = std::iter::from_fn(|| take(&mut names))
            .map(BlobHash)
            .collect();
        Ok(Self {
            names: names.into_iter(),
            current: Bytes::new(),
            session,
            failure,
        })
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty()
            && let Some(name) = self.names.next()
        {
            match get(name, self.session) {
                Ok(part) => self.current = part,
                Err(error) => {
                    self.failure.replace(Some(error));
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let length = into.len().min(self.current.len());
        into[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}
