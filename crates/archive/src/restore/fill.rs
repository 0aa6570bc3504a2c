//! Fetching what is missing and writing it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrider_model::blob::BlobHash;

use super::fetch::Frames;
use super::write::{NewFile, Writer};
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

/// A file that is written in pieces, by several threads. They are done in order, so few such files
/// are open at a time.
struct Large(Mutex<Pieces>);

struct Pieces {
    /// From the first piece that is begun until the last one is written.
    file: Option<Arc<NewFile>>,
    /// Those of the pieces that are written.
    hashes: Vec<Option<BlobHash>>,
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
    file: Arc<NewFile>,
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

    /// Makes the files that have no data, and finds those that are written in pieces.
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
                let new = writer.create(entry)?;
                identities[number] = Some(writer.finish(new, entry)?);
            } else if let Some(pieces) = content::pieces(data) {
                shared.large.insert(number as u32, Large::new(pieces));
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
        filler.run(&shared.segments[run.clone()], &mut unpacker)?;
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
            let file = match piece {
                None => Arc::new(self.writer.create(entry)?),
                Some(_) => self.shared.large[&part.number].open(entry, &mut self.writer)?,
            };
            self.open = Some(Open {
                number: part.number,
                file,
                hasher: blake3::Hasher::new(),
            });
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let before = piece.map_or(0, |piece| u64::from(piece) * content::PIECE);
        self.writer
            .write(&open.file, entry, file, before + at, bytes)?;
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
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let (entry, file) = self.shared.file(open.number);
        let hash = content::finish(&open.hasher);
        let written = match piece {
            None => Arc::into_inner(open.file).map(|new| (new, hash)),
            Some(piece) => self.shared.large[&open.number].add(piece, hash, open.file),
        };
        let Some((new, hash)) = written else {
            // Other pieces are missing.
            return Ok(());
        };
        if hash != file.hash {
            return Err(Error::WrongContent {
                path: self.writer.path(entry),
            });
        }
        let identity = self.writer.finish(new, entry)?;
        self.done.identities.push((open.number, identity));
        self.done.stats.written += 1;
        Ok(())
    }
}

impl Large {
    fn new(pieces: u32) -> Self {
        Self(Mutex::new(Pieces {
            file: None,
            hashes: vec![None; pieces as usize],
        }))
    }

    /// The file, which is made for the first piece.
    fn open(&self, entry: &Entry, writer: &mut Writer<'_>) -> Result<Arc<NewFile>, Error> {
        let mut pieces = self.lock();
        let file = match pieces.file.take() {
            Some(file) => file,
            None => Arc::new(writer.create(entry)?),
        };
        Ok(Arc::clone(pieces.file.insert(file)))
    }

    /// A piece is written. The file and the hash of its content, if it was the last one.
    fn add(&self, piece: u32, hash: BlobHash, file: Arc<NewFile>) -> Option<(NewFile, BlobHash)> {
        let mut pieces = self.lock();
        // Each thread gives the file back here, so the last one has it to itself.
        drop(file);
        pieces.hashes[piece as usize] = Some(hash);
        let all: Option<Vec<BlobHash>> = pieces.hashes.iter().copied().collect();
        let hash = content::of_pieces(all?);
        let file = Arc::into_inner(pieces.file.take()?)?;
        Some((file, hash))
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
