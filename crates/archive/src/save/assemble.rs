//! From what was found and read to the manifest.

use std::collections::{HashMap, HashSet};

use outrider_model::blob::{Archive, BlobHash, PackIndex};

use super::LARGE;
use super::plan::{Plan, PlannedFile, PlannedSegment};
use super::read::ReadFile;
use super::registry::Inner;
use super::reuse::Reuse;
use super::worker::Done;
use crate::chunk::{content, hash};
use crate::error::Error;
use crate::manifest::{Entry, File, Kind, Manifest, Segment, Stored, lay_out};
use crate::notes::Notes;
use crate::tree::Identity;
use crate::tree::directories::OpenBases;
use crate::tree::walk::{Found, FoundKind, real_path};

/// A manifest, and what else is to be told of the archive.
pub(crate) struct Assembled {
    pub manifest: Manifest,
    /// Of each entry that is a file and held still.
    pub identities: Vec<Option<Identity>>,
    new_packs: Vec<PackIndex>,
}

/// What became of a file of the plan.
struct Outcome {
    /// Of the whole, or of its pieces one after the other.
    hashes: Vec<BlobHash>,
    size: u64,
    modified: crate::tree::Time,
    steady: bool,
    lost: bool,
}

pub(crate) fn assemble(
    plan: Plan,
    reuse: Reuse,
    done: Vec<Done>,
    bases: &OpenBases,
    notes: &mut Notes,
) -> Result<Assembled, Error> {
    let files = 0..plan.files.len() as u32;
    let mut outcomes: Vec<Outcome> = files
        .map(|file| Outcome::expected(plan.found(file)))
        .collect();
    let mut chunks = reuse.chunks;
    for done in done {
        let segment = &plan.segments[done.segment as usize];
        for (file, read) in segment.files.clone().zip(done.files) {
            outcomes[file as usize].add(read);
        }
        chunks[done.segment as usize] = Some(done.chunks);
    }
    let mut assembled = Assembled {
        manifest: Manifest::default(),
        identities: Vec::new(),
        new_packs: Vec::new(),
    };
    let contents = outcomes.iter().zip(&plan.files);
    let contents: Vec<Option<BlobHash>> = contents
        .map(|(outcome, planned)| outcome.content(planned))
        .collect();
    assembled.add_segments(&plan, &chunks, &contents, reuse.registry.into_inner());
    assembled.add_entries(plan, &outcomes, &contents, &mut |found| {
        notes.unsteady.add(real_path(bases, found));
    });
    lay_out(&mut assembled.manifest)?;
    Ok(assembled)
}

impl Outcome {
    /// What holds of a file that need not be read.
    fn expected(found: &Found) -> Self {
        Self {
            hashes: Vec::new(),
            size: found.identity.size,
            modified: found.modified(),
            steady: true,
            lost: false,
        }
    }

    fn add(&mut self, read: Option<ReadFile>) {
        let Some(read) = read else {
            self.lost = true;
            return;
        };
        self.hashes.push(read.hash);
        self.size = read.size;
        self.modified = read.modified;
        self.steady &= read.steady;
    }

    /// The hash of the content, if there is one content.
    fn content(&self, planned: &PlannedFile) -> Option<BlobHash> {
        if self.lost {
            return None;
        }
        match content::pieces(planned.data) {
            Some(pieces) if self.hashes.len() == pieces as usize => {
                Some(content::of_pieces(self.hashes.iter().copied()))
            }
            None if !self.hashes.is_empty() => Some(self.hashes[0]),
            // The rest is as it was; together they are one content if nothing changed meanwhile.
            _ => planned.known.filter(|_| self.steady),
        }
    }
}

impl Assembled {
    /// What the server is told.
    pub fn archive(&mut self, stored: &Stored) -> Archive {
        let used: HashSet<BlobHash> = self.manifest.packs.iter().copied().collect();
        let mut new_packs = std::mem::take(&mut self.new_packs);
        new_packs.retain(|index| used.contains(&index.pack));
        new_packs.extend(stored.parts.iter().map(|part| PackIndex {
            pack: *part,
            chunks: Vec::new(),
        }));
        Archive {
            manifest: stored.head,
            packs: [&self.manifest.packs[..], &stored.parts].concat(),
            new_packs,
            entries: self.manifest.entries.len() as u64,
            size: self.manifest.size,
        }
    }

    fn add_segments(
        &mut self,
        plan: &Plan,
        chunks: &[Option<Vec<u32>>],
        contents: &[Option<BlobHash>],
        inner: Inner,
    ) {
        let manifest = &mut self.manifest;
        let mut packs = HashMap::new();
        for (segment, numbers) in plan.segments.iter().zip(chunks) {
            let start = manifest.chunks.len() as u32;
            let left_out = is_left_out(plan, segment, contents);
            let numbers = numbers.iter().flatten().filter(|_| !left_out);
            for mut chunk in numbers.filter_map(|number| inner.chunk(*number)) {
                let next = packs.len() as u32;
                let pack = *packs.entry(chunk.pack).or_insert(next);
                if pack == next {
                    manifest.packs.push(inner.packs[chunk.pack as usize]);
                }
                chunk.pack = pack;
                manifest.chunks.push(chunk);
            }
            let end = manifest.chunks.len() as u32;
            if start < end {
                manifest.segments.push(Segment {
                    files: 0..0,
                    piece: None,
                    chunks: start..end,
                });
            }
        }
        self.new_packs = inner.new_packs;
    }

    fn add_entries(
        &mut self,
        plan: Plan,
        outcomes: &[Outcome],
        contents: &[Option<BlobHash>],
        left_out: &mut impl FnMut(&Found),
    ) {
        // Where what was found is in the manifest.
        let mut numbers: Vec<Option<u32>> = Vec::with_capacity(plan.found.len());
        let mut file = 0;
        for (at, found) in plan.found.into_iter().enumerate() {
            let planned = plan.files.get(file).filter(|file| file.found == at as u32);
            let content = planned.map(|_| {
                file += 1;
                contents[file - 1].map(|hash| (hash, &outcomes[file - 1]))
            });
            let link = plan.links[at].map(|first| numbers[first as usize]);
            let number = match (link, content) {
                (Some(None), _) | (_, Some(None)) => {
                    left_out(&found);
                    None
                }
                (Some(Some(to)), _) => Some(self.add_entry(found, Some(to), None)),
                (None, content) => Some(self.add_entry(found, None, content.flatten())),
            };
            numbers.push(number);
        }
    }

    fn add_entry(
        &mut self,
        found: Found,
        link: Option<u32>,
        content: Option<(BlobHash, &Outcome)>,
    ) -> u32 {
        let number = self.manifest.entries.len() as u32;
        let mut modified = found.modified();
        let mut identity = None;
        let kind = match (found.kind, link) {
            (_, Some(to)) => Kind::HardLink(to),
            (FoundKind::Directory, None) => Kind::Directory,
            (FoundKind::Symlink(target), None) => Kind::Symlink(target),
            (FoundKind::File { extents, .. }, None) => {
                let (hash, size, steady) = match content {
                    Some((hash, outcome)) => {
                        modified = outcome.modified;
                        (hash, outcome.size, outcome.steady)
                    }
                    None => (hash(&[]), found.identity.size, true),
                };
                identity = steady.then_some(found.identity);
                let file = File {
                    size,
                    hash,
                    extents,
                };
                if file.data() > 0 {
                    self.manifest.files.push(number);
                }
                self.manifest.size += size;
                Kind::File(file)
            }
        };
        self.identities.push(identity);
        self.manifest.entries.push(Entry {
            base: found.base,
            root: found.root,
            path: found.path,
            mode: found.mode,
            modified,
            kind,
        });
        number
    }
}

/// Whether a segment has nothing but a file that could not be read.
fn is_left_out(plan: &Plan, segment: &PlannedSegment, contents: &[Option<BlobHash>]) -> bool {
    let files = plan.files_of(segment);
    let alone = files.len() == 1 && files[0].data >= LARGE;
    alone && contents[segment.files.start as usize].is_none()
}
