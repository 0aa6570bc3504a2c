//! Segments that have not changed since an earlier archive.

use std::collections::HashSet;

use outrider_model::blob::{BlobHash, ChunkPlace};

use super::plan::{Plan, keys};
use super::registry::Registry;
use crate::chunk::PACK;
use crate::error::Error;
use crate::manifest::{Chunk, Manifest};
use crate::session::Session;

/// The store is asked about so many chunks at a time.
const BATCH: usize = 500;

/// Of packs that the archive has little use for it keeps so many. Then their chunks are stored
/// anew, side by side, so that no pack lives on for a sliver.
const MAX_SLIVERS: usize = 16;

/// What need not be read.
pub(crate) struct Reuse {
    /// Has the chunks of the earlier archive that are still in the store.
    pub registry: Registry,
    /// The numbers of the chunks of each segment that has not changed.
    pub chunks: Vec<Option<Vec<u32>>>,
    /// The segments that must be read.
    pub unread: Vec<u32>,
    /// How many bytes need not be read.
    pub bytes: u64,
}

impl Reuse {
    pub fn new(plan: &Plan, old: Option<&Manifest>, session: &Session) -> Result<Self, Error> {
        let mut reuse = Self {
            registry: Registry::default(),
            chunks: vec![None; plan.segments.len()],
            unread: Vec::new(),
            bytes: 0,
        };
        if let Some(old) = old {
            let slivers = slivers(old);
            let kept = confirm(old, &slivers, session)?;
            reuse.registry = Registry::new(slivers);
            reuse.find(plan, old, &kept);
        }
        for (number, segment) in plan.segments.iter().enumerate() {
            if reuse.chunks[number].is_none() {
                reuse.unread.push(number as u32);
            } else {
                reuse.bytes += plan.length(segment);
            }
        }
        session.advance(reuse.bytes);
        Ok(reuse)
    }

    /// Finds the segments of the plan in the earlier archive. `kept` are its packs that are there.
    fn find(&mut self, plan: &Plan, old: &Manifest, kept: &[bool]) {
        let number = |chunk: &Chunk| {
            let (number, is_new) = self.registry.number(chunk.hash, chunk.length as usize);
            let place = ChunkPlace {
                pack: old.packs[chunk.pack as usize],
                offset: chunk.offset,
                stored: chunk.stored,
                length: chunk.length,
            };
            (!is_new || self.registry.found(number, place)).then_some(number)
        };
        let number = |chunk: &Chunk| kept[chunk.pack as usize].then(|| number(chunk)).flatten();
        let numbers: Vec<Option<u32>> = old.chunks.iter().map(number).collect();
        let keys = keys(old);
        for (segment, chunks) in plan.segments.iter().zip(&mut self.chunks) {
            let same = plan.key(segment).and_then(|key| keys.get(&key));
            *chunks = same.and_then(|same| {
                let range = &old.segments[*same as usize].chunks;
                let numbers = &numbers[range.start as usize..range.end as usize];
                numbers.iter().copied().collect()
            });
        }
    }
}

/// The packs of which the archive uses little, if there are many of them.
fn slivers(old: &Manifest) -> HashSet<BlobHash> {
    let mut used = vec![0; old.packs.len()];
    for chunk in &old.chunks {
        used[chunk.pack as usize] += chunk.stored as usize;
    }
    let little = |(_, used): &(&BlobHash, usize)| *used < PACK / 4;
    let packs = old.packs.iter().zip(used).filter(little);
    let slivers: HashSet<BlobHash> = packs.map(|(pack, _)| *pack).collect();
    if slivers.len() > MAX_SLIVERS {
        slivers
    } else {
        HashSet::new()
    }
}

/// Which packs of an archive are still in the store. To ask for one chunk of each is enough: the
/// answer names the pack, and a pack never changes.
fn confirm(
    old: &Manifest,
    slivers: &HashSet<BlobHash>,
    session: &Session,
) -> Result<Vec<bool>, Error> {
    let mut first: Vec<Option<&Chunk>> = vec![None; old.packs.len()];
    for chunk in &old.chunks {
        let pack = chunk.pack as usize;
        if !slivers.contains(&old.packs[pack]) {
            first[pack].get_or_insert(chunk);
        }
    }
    let mut kept = vec![false; old.packs.len()];
    let asked: Vec<&Chunk> = first.into_iter().flatten().collect();
    for batch in asked.chunks(BATCH) {
        let hashes: Vec<BlobHash> = batch.iter().map(|chunk| chunk.hash).collect();
        let places = session.wait(session.store.find_chunks(&hashes))?;
        for (chunk, place) in batch.iter().zip(places) {
            let pack = chunk.pack as usize;
            kept[pack] = place.is_some_and(|place| place.pack == old.packs[pack]);
        }
    }
    Ok(kept)
}
