//! What there is to save, and in which segments.

use std::collections::HashMap;
use std::ops::Range;

use outrider_model::blob::BlobHash;

use super::LARGE;
use crate::chunk::content;
use crate::manifest::{Entry, Kind, Manifest};
use crate::place::compare;
use crate::state::TreeState;
use crate::tree::walk::{Found, FoundKind};

/// One in so many small files begins a segment.
const FILES_PER_SEGMENT: u8 = 2;

/// What is to be saved.
pub(crate) struct Plan {
    pub found: Vec<Found>,
    /// For each: the file found before that it is another name of.
    pub links: Vec<Option<u32>>,
    /// Those that are files with data.
    pub files: Vec<PlannedFile>,
    pub segments: Vec<PlannedSegment>,
}

pub(crate) struct PlannedFile {
    /// Of what was found.
    pub found: u32,
    pub data: u64,
    /// The hash of its content, if the tree state knows it.
    pub known: Option<BlobHash>,
}

/// A part of the content that is cut by itself. Where segments begin depends on paths and sizes
/// close by only, so that a change moves no border far away.
pub(crate) struct PlannedSegment {
    /// Of the files of the plan.
    pub files: Range<u32>,
    /// Not all of the file but this piece of it.
    pub piece: Option<u32>,
}

impl Plan {
    pub fn new(found: Vec<Found>, state: Option<&TreeState>) -> Self {
        let links = links(&found);
        let files = files(&found, &links, state);
        let segments = segments(&found, &files);
        Self {
            found,
            links,
            files,
            segments,
        }
    }

    pub fn found(&self, file: u32) -> &Found {
        &self.found[self.files[file as usize].found as usize]
    }

    pub fn files_of(&self, segment: &PlannedSegment) -> &[PlannedFile] {
        &self.files[segment.files.start as usize..segment.files.end as usize]
    }

    /// How many bytes are in a segment.
    pub fn length(&self, segment: &PlannedSegment) -> u64 {
        let files = self.files_of(segment);
        match segment.piece {
            Some(piece) => content::piece_length(files[0].data, piece),
            None => files.iter().map(|file| file.data).sum(),
        }
    }

    /// What tells whether a segment is the same as one of an earlier archive.
    pub fn key(&self, segment: &PlannedSegment) -> Option<BlobHash> {
        let contents = self.files_of(segment).iter();
        let contents = contents.map(|file| Some((file.known?, file.data)));
        let contents: Option<Vec<_>> = contents.collect();
        Some(key(contents?.into_iter(), segment.piece))
    }
}

fn key(contents: impl Iterator<Item = (BlobHash, u64)>, piece: Option<u32>) -> BlobHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&piece.map_or(0, |piece| u64::from(piece) + 1).to_le_bytes());
    for (hash, data) in contents {
        hasher.update(&hash.0).update(&data.to_le_bytes());
    }
    content::finish(&hasher)
}

/// The segments of an earlier archive by what tells them apart.
pub(crate) fn keys(manifest: &Manifest) -> HashMap<BlobHash, u32> {
    let key_of = |number: usize| {
        let segment = &manifest.segments[number];
        let contents = segment.files.clone().map(|file| {
            let (_, _, file) = manifest.file(file);
            (file.hash, file.data())
        });
        (key(contents, segment.piece), number as u32)
    };
    (0..manifest.segments.len()).map(key_of).collect()
}

fn links(found: &[Found]) -> Vec<Option<u32>> {
    let mut first = HashMap::new();
    let link = |(number, found): (usize, &Found)| match found.kind {
        FoundKind::File { links, .. } if links > 1 => {
            let inode = (found.identity.device, found.identity.inode);
            let first = *first.entry(inode).or_insert(number as u32);
            (first != number as u32).then_some(first)
        }
        _ => None,
    };
    found.iter().enumerate().map(link).collect()
}

fn files(found: &[Found], links: &[Option<u32>], state: Option<&TreeState>) -> Vec<PlannedFile> {
    let mut known = Known { state, at: 0 };
    let file = |(number, (found, link)): (usize, (&Found, &Option<u32>))| {
        let FoundKind::File { extents, .. } = &found.kind else {
            return None;
        };
        let data = match extents {
            Some(extents) => extents.iter().map(|extent| extent.length).sum(),
            None => found.identity.size,
        };
        (data > 0 && link.is_none()).then(|| PlannedFile {
            found: number as u32,
            data,
            known: known.content(found),
        })
    };
    found
        .iter()
        .zip(links)
        .enumerate()
        .filter_map(file)
        .collect()
}

/// Looks into a tree state along with a list in the same order.
struct Known<'a> {
    state: Option<&'a TreeState>,
    at: usize,
}

impl Known<'_> {
    /// The hash of the content of a file that has not changed.
    fn content(&mut self, found: &Found) -> Option<BlobHash> {
        let state = self.state?;
        let order = |entry: &Entry| {
            (entry.base.cmp(&found.base)).then_with(|| compare(&entry.path, &found.path))
        };
        let entries = &state.manifest.entries;
        while entries
            .get(self.at)
            .is_some_and(|entry| order(entry).is_lt())
        {
            self.at += 1;
        }
        let entry = entries.get(self.at).filter(|entry| order(entry).is_eq())?;
        let Kind::File(file) = &entry.kind else {
            return None;
        };
        let FoundKind::File { extents, .. } = &found.kind else {
            return None;
        };
        let same = state.identity(self.at as u32) == Some(found.identity);
        (same && file.extents == *extents).then_some(file.hash)
    }
}

fn segments(found: &[Found], files: &[PlannedFile]) -> Vec<PlannedSegment> {
    let mut segments: Vec<PlannedSegment> = Vec::new();
    let mut continues = false;
    for (number, file) in files.iter().enumerate() {
        let number = number as u32;
        let large = file.data >= LARGE;
        if let Some(pieces) = content::pieces(file.data) {
            segments.extend((0..pieces).map(|piece| PlannedSegment {
                files: number..number + 1,
                piece: Some(piece),
            }));
        } else if let Some(last) = segments.last_mut()
            && continues
            && !large
            && !begins_segment(&found[file.found as usize].path)
        {
            last.files.end = number + 1;
        } else {
            segments.push(PlannedSegment {
                files: number..number + 1,
                piece: None,
            });
        }
        continues = !large;
    }
    segments
}

fn begins_segment(path: &[u8]) -> bool {
    blake3::hash(path).as_bytes()[0].is_multiple_of(FILES_PER_SEGMENT)
}
