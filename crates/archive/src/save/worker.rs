//! One thread of a save: reads, cuts, asks which chunks are new, compresses and stores those.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use outrider_model::blob::BlobHash;

use super::plan::{Plan, PlannedSegment};
use super::read::{ReadFile, Reader};
use super::registry::Registry;
use crate::chunk::cut::Cutter;
use crate::chunk::pack::{Pack, Packer};
use crate::chunk::{MAX_CHUNK, hash};
use crate::error::Error;
use crate::session::Session;
use crate::tree::directories::{Directories, Missing, OpenBases};

/// The store is asked about chunks once there are so many bytes of them.
const BATCH: usize = 2 * 1024 * 1024;

/// Or so many.
const BATCH_CHUNKS: usize = 512;

/// What all threads of a save share.
pub(crate) struct Shared<'a> {
    pub session: &'a Session,
    pub bases: &'a OpenBases,
    pub plan: &'a Plan,
    pub registry: &'a Registry,
    /// The segments that must be read.
    pub unread: &'a [u32],
    /// Parts of that list. A thread takes one at a time, so that what is close together in the
    /// tree is close together in packs, too.
    pub runs: &'a [Range<usize>],
    pub next_run: AtomicUsize,
    pub read: AtomicU64,
    pub stored: AtomicU64,
}

/// What became of a segment.
pub(crate) struct Done {
    pub segment: u32,
    /// Their numbers in the registry.
    pub chunks: Vec<u32>,
    /// Nothing where a file could not be read.
    pub files: Vec<Option<ReadFile>>,
}

/// A chunk that may be new.
struct Pending {
    number: u32,
    hash: BlobHash,
    /// Where its bytes are in those of the batch.
    range: Range<usize>,
}

struct Worker<'a> {
    shared: &'a Shared<'a>,
    batch: Batch<'a>,
    cutter: Cutter,
}

/// Chunks on their way to the store.
struct Batch<'a> {
    shared: &'a Shared<'a>,
    pending: Vec<Pending>,
    bytes: Vec<u8>,
    packer: Packer,
    pack: Pack,
}

/// Works until nothing is left to read. The pack that is not full yet is given back.
pub(crate) fn work(shared: &Shared<'_>) -> Result<(Vec<Done>, Pack), Error> {
    let packer = Packer::new().map_err(|error| Error::file("compress", "zstd".into(), error))?;
    let mut worker = Worker {
        shared,
        batch: Batch {
            shared,
            pending: Vec::new(),
            bytes: Vec::with_capacity(BATCH + MAX_CHUNK),
            packer,
            pack: Pack::default(),
        },
        cutter: Cutter::new(),
    };
    let directories = Directories::new(shared.bases, Missing::Fail);
    let mut reader = Reader::new(shared.plan, &shared.bases.names, directories);
    let mut done = Vec::new();
    while let Some(run) = shared
        .runs
        .get(shared.next_run.fetch_add(1, Ordering::Relaxed))
    {
        for segment in &shared.unread[run.clone()] {
            shared.session.check()?;
            done.push(worker.segment(*segment, &mut reader)?);
        }
    }
    worker.batch.flush()?;
    Ok((done, worker.batch.pack))
}

impl Worker<'_> {
    fn segment(&mut self, number: u32, reader: &mut Reader<'_>) -> Result<Done, Error> {
        let segment = &self.shared.plan.segments[number as usize];
        let mut done = Done {
            segment: number,
            chunks: Vec::new(),
            files: Vec::new(),
        };
        if self.is_large(segment) {
            let batch = &mut self.batch;
            let cutter = &mut self.cutter;
            let file = reader.large(segment.files.start, segment.piece, |bytes| {
                batch.shared.count(bytes);
                cutter.feed(bytes, |chunk| batch.add(chunk, &mut done.chunks))
            })?;
            if file.is_none() {
                self.cutter.clear();
            }
            done.files.push(file);
        } else {
            for file in segment.files.clone() {
                let Some((file, bytes)) = reader.small(file)? else {
                    done.files.push(None);
                    continue;
                };
                self.shared.count(bytes);
                let batch = &mut self.batch;
                self.cutter
                    .feed(bytes, |chunk| batch.add(chunk, &mut done.chunks))?;
                done.files.push(Some(file));
            }
        }
        let batch = &mut self.batch;
        self.cutter
            .finish(|chunk| batch.add(chunk, &mut done.chunks))?;
        Ok(done)
    }

    fn is_large(&self, segment: &PlannedSegment) -> bool {
        let files = self.shared.plan.files_of(segment);
        files.len() == 1 && files[0].data >= super::LARGE
    }
}

impl Shared<'_> {
    fn count(&self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        self.read.fetch_add(length, Ordering::Relaxed);
        self.session.advance(length);
    }

    /// Stores a pack.
    pub fn upload(&self, pack: Pack) -> Result<(), Error> {
        let Some((name, bytes, frames)) = pack.finish() else {
            return Ok(());
        };
        let length = bytes.len() as u64;
        self.session.wait(self.session.store.put(name, bytes))?;
        self.stored.fetch_add(length, Ordering::Relaxed);
        self.registry.stored(name, &frames);
        Ok(())
    }
}

impl Batch<'_> {
    /// Takes a chunk of a segment. `numbers` gets its number.
    fn add(&mut self, chunk: &[u8], numbers: &mut Vec<u32>) -> Result<(), Error> {
        let hash = hash(chunk);
        let (number, is_new) = self.shared.registry.number(hash, chunk.len());
        numbers.push(number);
        if is_new {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(chunk);
            self.pending.push(Pending {
                number,
                hash,
                range: start..self.bytes.len(),
            });
        }
        if self.bytes.len() >= BATCH || self.pending.len() >= BATCH_CHUNKS {
            self.flush()?;
        }
        Ok(())
    }

    /// Stores the chunks of the batch that the store does not have.
    fn flush(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let session = self.shared.session;
        let hashes: Vec<BlobHash> = self.pending.iter().map(|chunk| chunk.hash).collect();
        let places = session.wait(session.store.find_chunks(&hashes))?;
        // An answer that is too short names no place for the rest.
        let places = places.into_iter().chain(std::iter::repeat(None));
        for (chunk, place) in self.pending.drain(..).zip(places) {
            let registry = self.shared.registry;
            if place.is_some_and(|place| registry.found(chunk.number, place)) {
                continue;
            }
            let frame = self.packer.frame(&self.bytes[chunk.range]);
            let frame = frame.map_err(|error| Error::file("compress", "zstd".into(), error))?;
            self.pack.add(chunk.number, frame);
            if self.pack.is_full() {
                self.shared.upload(std::mem::take(&mut self.pack))?;
            }
        }
        self.bytes.clear();
        Ok(())
    }
}
