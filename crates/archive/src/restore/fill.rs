//! Fetching what is missing and writing it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use outrider_model::blob::BlobHash;
use rustix::fd::OwnedFd;

use super::fetch::Frames;
use super::write::Writer;
use super::{Restore, RestoreStats};
use crate::chunk::content;
use crate::chunk::pack::Unpacker;
use crate::error::Error;
use crate::manifest::{Chunk, Entry, File, Kind, Segment};
use crate::save::divide;
use crate::tree::Identity;

/// What all threads share.
struct Shared<'a> {
    restore: &'a Restore<'a>,
    wanted: &'a [bool],
    segments: Vec<&'a Segment>,
    /// Parts of that list.
    runs: Vec<Range<usize>>,
    next_run: AtomicUsize,
    /// The files that are written in pieces, by entry.
    large: HashMap<u32, Large>,
}

/// A file that is written in pieces, by several threads.
struct Large {
    /// The hashes of the pieces that are written. None at the end, once the file is right.
    pieces: Mutex<Option<Vec<Option<BlobHash>>>>,
}

/// What a thread did.
#[derive(Default)]
struct Done {
    identities: Vec<(u32, Identity)>,
    stats: RestoreStats,
}

/// A part of a segment: a file, or a piece of one.
#[derive(Clone, Copy)]
struct Part {
    /// Among the entries.
    number: u32,
    wanted: bool,
    /// In the segment.
    start: u64,
    end: u64,
}

/// A file, or a piece of it, that is being written.
struct Open {
    number: u32,
    fd: OwnedFd,
    hasher: blake3::Hasher,
}

struct Filler<'a> {
    shared: &'a Shared<'a>,
    writer: Writer<'a>,
    open: Option<Open>,
    done: Done,
}

impl Restore<'_> {
    /// Writes the wanted files. `identities` gets theirs.
    pub(super) fn fill(
        &self,
        wanted: &[bool],
        identities: &mut [Option<Identity>],
    ) -> Result<RestoreStats, Error> {
        let mut shared = Shared {
            restore: self,
            wanted,
            segments: Vec::new(),
            runs: Vec::new(),
            next_run: AtomicUsize::new(0),
            large: HashMap::new(),
        };
        shared.divide();
        let filled = self
            .create_all(&mut shared, identities)
            .and_then(|()| self.session.in_parallel(|| fill(&shared)));
        shared.discard_unfinished();
        let files = self.manifest.files.iter();
        let mut stats = RestoreStats {
            kept: files.filter(|number| !wanted[**number as usize]).count() as u64,
            ..RestoreStats::default()
        };
        for done in filled? {
            for (number, identity) in done.identities {
                identities[number as usize] = Some(identity);
            }
            stats.written += done.stats.written;
            stats.bytes += done.stats.bytes;
            stats.fetched += done.stats.fetched;
        }
        Ok(stats)
    }

    /// Makes the files that have no data, and those that are written in pieces.
    fn create_all(
        &self,
        shared: &mut Shared<'_>,
        identities: &mut [Option<Identity>],
    ) -> Result<(), Error> {
        let mut writer = Writer::new(self);
        for (number, entry) in self.manifest.entries.iter().enumerate() {
            let Kind::File(file) = &entry.kind else {
                continue;
            };
            if !shared.wanted[number] {
                continue;
            }
            let data = file.data();
            if data == 0 {
                let open = writer.create(entry)?;
                identities[number] = Some(writer.finish(&open, entry)?);
            } else if let Some(pieces) = content::pieces(data) {
                writer.create(entry)?;
                let pieces = Mutex::new(Some(vec![None; pieces as usize]));
                shared.large.insert(number as u32, Large { pieces });
            }
        }
        Ok(())
    }
}

impl<'a> Shared<'a> {
    /// Finds the segments that have wanted files and divides them among threads.
    fn divide(&mut self) {
        let manifest = self.restore.manifest;
        let wanted = |file: u32| self.wanted[manifest.files[file as usize] as usize];
        let segments = manifest.segments.iter();
        let segments: Vec<&Segment> = segments
            .filter(|segment| segment.files.clone().any(wanted))
            .collect();
        let length = |segment: &&Segment| -> u64 {
            let chunks = manifest.chunks_of(segment).iter();
            chunks.map(|chunk| u64::from(chunk.length)).sum()
        };
        let total = segments.iter().map(length).sum();
        self.runs = divide(segments.iter().map(length), total);
        self.segments = segments;
    }

    /// The files of a segment, with where in it they are.
    fn parts(&self, segment: &Segment) -> Vec<Part> {
        let manifest = self.restore.manifest;
        let mut start = 0;
        let part = |file: u32| {
            let number = manifest.files[file as usize];
            let end = start + manifest.part(segment, file);
            let part = Part {
                number,
                wanted: self.wanted[number as usize],
                start,
                end,
            };
            start = end;
            part
        };
        segment.files.clone().map(part).collect()
    }

    /// The chunks of a segment that have something wanted, with where in it they are.
    fn chunks(&self, segment: &Segment, parts: &[Part]) -> Vec<(u64, &'a Chunk)> {
        let mut start = 0;
        let mut chunks = Vec::new();
        for chunk in self.restore.manifest.chunks_of(segment) {
            let end = start + u64::from(chunk.length);
            let overlaps = |part: &Part| part.wanted && part.start < end && part.end > start;
            if parts.iter().any(overlaps) {
                chunks.push((start, chunk));
            }
            start = end;
        }
        chunks
    }

    fn file(&self, number: u32) -> (&'a Entry, &'a File) {
        let entry = &self.restore.manifest.entries[number as usize];
        let Kind::File(file) = &entry.kind else {
            unreachable!("only files are in segments");
        };
        (entry, file)
    }

    /// Removes the large files that some pieces are missing of.
    fn discard_unfinished(&self) {
        let mut writer = Writer::new(self.restore);
        for (number, large) in &self.large {
            let pieces = large.pieces.lock().unwrap_or_else(PoisonError::into_inner);
            if pieces.is_some() {
                writer.discard(self.file(*number).0);
            }
        }
    }
}

/// Writes until nothing is left to do.
fn fill(shared: &Shared<'_>) -> Result<Done, Error> {
    let mut unpacker =
        Unpacker::new().map_err(|error| Error::file("decompress", "zstd".into(), error))?;
    let mut filler = Filler {
        shared,
        writer: Writer::new(shared.restore),
        open: None,
        done: Done::default(),
    };
    while let Some(run) = shared
        .runs
        .get(shared.next_run.fetch_add(1, Ordering::Relaxed))
    {
        let filled = filler.run(&shared.segments[run.clone()], &mut unpacker);
        if let Err(error) = filled {
            filler.discard();
            return Err(error);
        }
    }
    Ok(filler.done)
}

impl Filler<'_> {
    fn run(&mut self, segments: &[&Segment], unpacker: &mut Unpacker) -> Result<(), Error> {
        let restore = self.shared.restore;
        let mut plans = Vec::with_capacity(segments.len());
        for segment in segments {
            let parts = self.shared.parts(segment);
            let chunks = self.shared.chunks(segment, &parts);
            plans.push((segment.piece, parts, chunks));
        }
        let chunks = plans.iter().flat_map(|(_, _, chunks)| chunks);
        let chunks = chunks.map(|(_, chunk)| *chunk);
        let mut frames = Frames::new(restore.session, restore.manifest, chunks);
        for (piece, parts, chunks) in &plans {
            restore.session.check()?;
            self.segment(*piece, parts, chunks, &mut frames, unpacker)?;
        }
        self.done.stats.fetched += frames.fetched;
        Ok(())
    }

    fn segment(
        &mut self,
        piece: Option<u32>,
        parts: &[Part],
        chunks: &[(u64, &Chunk)],
        frames: &mut Frames<'_>,
        unpacker: &mut Unpacker,
    ) -> Result<(), Error> {
        let mut parts = parts.iter().peekable();
        for (start, chunk) in chunks {
            let pack = self.shared.restore.manifest.packs[chunk.pack as usize];
            let frame = frames.next()?.unwrap_or_default();
            let bytes = unpacker.chunk(&frame, chunk.hash, chunk.length as usize, pack)?;
            let end = start + u64::from(chunk.length);
            while parts.next_if(|part| part.end <= *start).is_some() {}
            while let Some(part) = parts.peek()
                && part.start < end
            {
                if part.wanted {
                    let from = part.start.max(*start);
                    let to = part.end.min(end);
                    let here = &bytes[(from - start) as usize..(to - start) as usize];
                    self.write(part, piece, from - part.start, here)?;
                }
                if part.end > end {
                    break;
                }
                parts.next();
            }
        }
        Ok(())
    }

    /// Writes bytes of a part. It begins with the first and ends with the last.
    fn write(
        &mut self,
        part: &Part,
        piece: Option<u32>,
        at: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let (entry, file) = self.shared.file(part.number);
        if self.open.is_none() {
            let fd = match piece {
                None => self.writer.create(entry)?,
                Some(_) => self.writer.open(entry)?,
            };
            self.open = Some(Open {
                number: part.number,
                fd,
                hasher: blake3::Hasher::new(),
            });
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let before = piece.map_or(0, |piece| u64::from(piece) * content::PIECE);
        self.writer
            .write(&open.fd, entry, file, before + at, bytes)?;
        open.hasher.update(bytes);
        self.done.stats.bytes += bytes.len() as u64;
        self.shared.restore.session.advance(bytes.len() as u64);
        if at + bytes.len() as u64 == part.end - part.start {
            self.finish(piece)?;
        }
        Ok(())
    }

    /// Ends the part that is being written.
    fn finish(&mut self, piece: Option<u32>) -> Result<(), Error> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let (entry, file) = self.shared.file(open.number);
        let hash = content::finish(&open.hasher);
        let hash = match piece {
            None => Some(hash),
            Some(piece) => self.shared.large[&open.number].add(piece, hash),
        };
        // Nothing while other pieces are missing.
        if let Some(hash) = hash {
            if hash != file.hash {
                return Err(Error::WrongContent {
                    path: self
                        .shared
                        .restore
                        .bases
                        .names
                        .real(entry.base, &entry.path),
                });
            }
            let identity = self.writer.finish(&open.fd, entry)?;
            self.done.identities.push((open.number, identity));
            self.done.stats.written += 1;
            if let Some(large) = self.shared.large.get(&open.number) {
                large.finish();
            }
        }
        self.open = None;
        Ok(())
    }

    /// Removes the file that is being written, if it is not one that others write, too.
    fn discard(&mut self) {
        if let Some(open) = self.open.take()
            && !self.shared.large.contains_key(&open.number)
        {
            self.writer.discard(self.shared.file(open.number).0);
        }
    }
}

impl Large {
    /// A piece is written. The hash of the file, if it was the last one.
    fn add(&self, piece: u32, hash: BlobHash) -> Option<BlobHash> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = pieces.as_mut()?;
        pieces[piece as usize] = Some(hash);
        let all: Option<Vec<BlobHash>> = pieces.iter().copied().collect();
        all.map(content::of_pieces)
    }

    /// The file is as it should be.
    fn finish(&self) {
        *self.pieces.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
