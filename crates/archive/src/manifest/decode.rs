//! Reading a manifest that anybody may have made.
//!
//! It is read as a stream, so that no more is kept than what it lists, and no list grows faster than
//! bytes arrive.

use std::io::Read;

use outrider_model::blob::{BlobHash, LARGEST_BLOB};

use super::check::Rules;
use super::encode::{IS_ROOT, IS_SPARSE, KIND, time_before};
use super::{Chunk, Entry, File, Kind, Limits, Manifest, Segment};
use crate::chunk::{MAX_CHUNK, MAX_FRAME};
use crate::error::{Error, InvalidManifest};
use crate::place::{Base, depth, is_valid};
use crate::tree::Time;
use crate::tree::extents::{Extent, MAX_EXTENTS};

/// Lists start with room for no more than this, whatever the manifest says.
const FIRST_ROOM: u64 = 65_536;

/// A symlink leads to a path of at most this many bytes.
const LONGEST_TARGET: u64 = 4_095;

/// The manifest whose body is read here.
pub(crate) fn decode(body: impl Read, limits: &Limits) -> Result<Manifest, Error> {
    let mut read = Reader(body);
    let [entries, segments, chunks, packs, size] = read.counts()?;
    if entries > limits.entries {
        let limit = limits.entries;
        return Err(Error::TooManyEntries { entries, limit });
    }
    if size > limits.size {
        let limit = limits.size;
        return Err(Error::TooLarge { size, limit });
    }
    let mut manifest = Manifest {
        entries: room_for(entries),
        files: Vec::new(),
        segments: room_for(segments),
        chunks: room_for(chunks),
        packs: room_for(packs),
        size,
    };
    for _ in 0..packs {
        manifest.packs.push(read.hash()?);
    }
    read.entries(entries, &mut manifest)?;
    let mut end = 0_u32;
    for _ in 0..segments {
        let count = read.number_up_to(u64::from(u32::MAX - end))? as u32;
        manifest.segments.push(Segment {
            files: 0..0,
            piece: None,
            chunks: end..end + count,
        });
        end += count;
    }
    if u64::from(end) != chunks {
        return Err(InvalidManifest::BadChunks.into());
    }
    for _ in 0..chunks {
        let chunk = read.chunk(manifest.chunks.last(), packs)?;
        manifest.chunks.push(chunk);
    }
    read.end()?;
    super::check::lay_out(&mut manifest)?;
    Ok(manifest)
}

fn room_for<T>(count: u64) -> Vec<T> {
    Vec::with_capacity(count.min(FIRST_ROOM) as usize)
}

/// Reads the parts of what was encoded.
pub(crate) struct Reader<R>(pub R);

type Part<T> = Result<T, InvalidManifest>;

impl<R: Read> Reader<R> {
    pub fn exactly<const N: usize>(&mut self) -> Part<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Part<()> {
        self.0
            .read_exact(bytes)
            .map_err(|_| InvalidManifest::Damaged)
    }

    pub fn number(&mut self) -> Part<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.exactly()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(InvalidManifest::Damaged)
    }

    pub fn signed(&mut self) -> Part<i64> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    pub fn hash(&mut self) -> Part<BlobHash> {
        self.exactly().map(BlobHash)
    }

    pub fn time(&mut self, before: Time) -> Part<Time> {
        Ok(Time {
            seconds: before.seconds.wrapping_add(self.signed()?),
            nanos: self.number_up_to(999_999_999)? as u32,
        })
    }

    pub fn number_up_to(&mut self, most: u64) -> Part<u64> {
        self.number().and_then(|number| {
            (number <= most)
                .then_some(number)
                .ok_or(InvalidManifest::Damaged)
        })
    }

    /// That nothing follows.
    pub fn end(&mut self) -> Part<()> {
        match self.0.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(InvalidManifest::Damaged),
        }
    }

    fn counts(&mut self) -> Part<[u64; 5]> {
        let all = u64::from(u32::MAX);
        Ok([
            self.number_up_to(all)?,
            self.number_up_to(all)?,
            self.number_up_to(all)?,
            self.number_up_to(all)?,
            self.number()?,
        ])
    }

    fn entries(&mut self, count: u64, manifest: &mut Manifest) -> Result<(), Error> {
        let mut rules = Rules::default();
        let mut size = 0_u64;
        for number in 0..count as u32 {
            let entry = self.entry(&manifest.entries)?;
            rules.check(&entry, &manifest.entries)?;
            if let Kind::File(file) = &entry.kind {
                size = size
                    .checked_add(file.size)
                    .ok_or(InvalidManifest::Damaged)?;
                if file.data() > 0 {
                    manifest.files.push(number);
                }
            }
            manifest.entries.push(entry);
        }
        if size != manifest.size {
            return Err(InvalidManifest::Damaged.into());
        }
        Ok(())
    }

    fn entry(&mut self, before: &[Entry]) -> Part<Entry> {
        let flags = self.number_up_to(KIND | IS_ROOT | IS_SPARSE)?;
        let base = Base::ALL[self.number_up_to(2)? as usize];
        let path = self.path(before.last())?;
        let mode = self.number_up_to(0o7777)? as u16;
        let modified = self.time(time_before(before.last()))?;
        let kind = match flags & KIND {
            0 => Kind::File(self.file(flags & IS_SPARSE != 0)?),
            1 => Kind::Directory,
            2 => Kind::Symlink(self.target()?),
            _ => Kind::HardLink(self.number_up_to(u64::from(u32::MAX))? as u32),
        };
        // Where a root lies says the path; others lie in the root that came last.
        let root = match flags & IS_ROOT {
            0 => before.last().ok_or(InvalidManifest::NoDirectory)?.root,
            _ => depth(&path) as u8,
        };
        let entry = Entry {
            base,
            root,
            path,
            mode,
            modified,
            kind,
        };
        if entry.is_root() != (flags & IS_ROOT != 0) {
            return Err(InvalidManifest::NoDirectory);
        }
        Ok(entry)
    }

    fn path(&mut self, before: Option<&Entry>) -> Part<Box<[u8]>> {
        let before: &[u8] = before.map_or(&[], |before| &before.path);
        let shared = self.number_up_to(before.len() as u64)? as usize;
        let rest = self.number_up_to(LONGEST_TARGET)? as usize;
        let mut path = vec![0; shared + rest];
        path[..shared].copy_from_slice(&before[..shared]);
        self.fill(&mut path[shared..])?;
        if !is_valid(&path) {
            return Err(InvalidManifest::BadPath);
        }
        Ok(path.into())
    }

    fn target(&mut self) -> Part<Box<[u8]>> {
        let length = self.number_up_to(LONGEST_TARGET)? as usize;
        let mut target = vec![0; length];
        self.fill(&mut target)?;
        if target.is_empty() || target.contains(&0) {
            return Err(InvalidManifest::BadPath);
        }
        Ok(target.into())
    }

    fn file(&mut self, sparse: bool) -> Part<File> {
        let size = self.number_up_to(i64::MAX as u64)?;
        let hash = self.hash()?;
        let extents = if sparse {
            Some(self.extents(size)?)
        } else {
            None
        };
        Ok(File {
            size,
            hash,
            extents,
        })
    }

    fn extents(&mut self, size: u64) -> Part<Box<[Extent]>> {
        let count = self.number_up_to(MAX_EXTENTS as u64)?;
        let mut extents = Vec::new();
        let mut end = 0_u64;
        for _ in 0..count {
            let start = end.checked_add(self.number()?);
            let length = self.number()?;
            let stop = start.and_then(|start| start.checked_add(length));
            let (Some(start), Some(stop)) = (start, stop) else {
                return Err(InvalidManifest::BadHoles);
            };
            if length == 0 || stop > size {
                return Err(InvalidManifest::BadHoles);
            }
            extents.push(Extent { start, length });
            end = stop;
        }
        Ok(extents.into())
    }

    fn chunk(&mut self, before: Option<&Chunk>, packs: u64) -> Part<Chunk> {
        let hash = self.hash()?;
        let expected = before.map_or((0, 0), |before| {
            (before.pack, before.offset + before.stored)
        });
        let pack = i64::from(expected.0).checked_add(self.signed()?);
        let offset = i64::from(expected.1).checked_add(self.signed()?);
        let stored = self.number_up_to(MAX_FRAME as u64)? as u32;
        let length = self.number_up_to(MAX_CHUNK as u64)? as u32;
        let (Some(pack), Some(offset)) = (pack, offset) else {
            return Err(InvalidManifest::BadChunks);
        };
        let in_blob = (0..=LARGEST_BLOB.cast_signed() - i64::from(stored)).contains(&offset);
        if !(0..packs.cast_signed()).contains(&pack) || !in_blob || stored == 0 || length == 0 {
            return Err(InvalidManifest::BadChunks);
        }
        Ok(Chunk {
            hash,
            pack: pack as u32,
            offset: offset as u32,
            stored,
            length,
        })
    }
}
