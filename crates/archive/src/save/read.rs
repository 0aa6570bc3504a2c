//! Reading files that may change at the same time.

use outrider_model::blob::BlobHash;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, pread};

use super::LARGE;
use super::plan::Plan;
use crate::chunk::content;
use crate::error::Error;
use crate::place::Bases;
use crate::tree::directories::Directories;
use crate::tree::extents::{Extent, ranges};
use crate::tree::walk::{Found, FoundKind};
use crate::tree::{Identity, Time};

/// How much of a large file is read at a time.
const STEP: usize = 256 * 1024;

/// What was read of a file: all of it, or a piece.
pub(crate) struct ReadFile {
    pub hash: BlobHash,
    /// Of all of the file.
    pub size: u64,
    pub modified: Time,
    /// It is what was found, and did not change while it was read.
    pub steady: bool,
}

/// Reads files, with one buffer for all of them.
pub(crate) struct Reader<'a> {
    plan: &'a Plan,
    bases: &'a Bases,
    directories: Directories<'a>,
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub fn new(plan: &'a Plan, bases: &'a Bases, directories: Directories<'a>) -> Self {
        Self {
            plan,
            bases,
            directories,
            buffer: vec![0; STEP.max(LARGE as usize)],
        }
    }

    /// Reads a small file at once. Nothing if it is gone, or changed whenever it was read.
    pub fn small(&mut self, file: u32) -> Result<Option<(ReadFile, &[u8])>, Error> {
        let found = self.plan.found(file);
        let failed = |error| Error::file("read", self.bases.real(found.base, &found.path), error);
        let FoundKind::File { extents, .. } = &found.kind else {
            return Ok(None);
        };
        for _ in 0..2 {
            let Some((open, before)) = open(&mut self.directories, found).map_err(failed)? else {
                return Ok(None);
            };
            // One that has holes, or has become large meanwhile, is taken as long as it was.
            let as_found = extents.is_some() || before.size >= LARGE;
            let (size, data) = if as_found {
                (found.identity.size, self.plan.files[file as usize].data)
            } else {
                (before.size, before.size)
            };
            let buffer = &mut self.buffer[..data as usize];
            let length = read_data(&open, extents.as_deref(), buffer).map_err(failed)?;
            let after = Identity::of(&fstat(&open).map_err(failed)?);
            if length as u64 == data {
                let bytes = &self.buffer[..length];
                let read = ReadFile {
                    hash: crate::chunk::hash(bytes),
                    size,
                    modified: before.modified,
                    steady: before == found.identity && after == before,
                };
                return Ok(Some((read, bytes)));
            }
        }
        Ok(None)
    }

    /// Reads a large file, or a piece of it, step by step. Nothing if it is gone or became shorter;
    /// what `each` got by then is of no use.
    pub fn large(
        &mut self,
        file: u32,
        piece: Option<u32>,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Option<ReadFile>, Error> {
        let planned = &self.plan.files[file as usize];
        let found = self.plan.found(file);
        let failed = |error| Error::file("read", self.bases.real(found.base, &found.path), error);
        let Some((open, before)) = open(&mut self.directories, found).map_err(failed)? else {
            return Ok(None);
        };
        let (at, length) = piece.map_or((0, planned.data), |piece| {
            let at = u64::from(piece) * content::PIECE;
            (at, content::piece_length(planned.data, piece))
        });
        let FoundKind::File { extents, .. } = &found.kind else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        for range in ranges(extents.as_deref(), at, length) {
            let mut at = range.start;
            while at < range.end() {
                let step = self.buffer.len().min((range.end() - at) as usize);
                let got = retried(|| pread(&open, &mut self.buffer[..step], at)).map_err(failed)?;
                if got == 0 {
                    return Ok(None);
                }
                hasher.update(&self.buffer[..got]);
                each(&self.buffer[..got])?;
                at += got as u64;
            }
        }
        let after = Identity::of(&fstat(&open).map_err(failed)?);
        Ok(Some(ReadFile {
            hash: content::finish(&hasher),
            size: found.identity.size,
            modified: before.modified,
            steady: before == found.identity && after == before,
        }))
    }
}

/// Opens a regular file. Nothing if there is none any more.
fn open(
    directories: &mut Directories<'_>,
    found: &Found,
) -> Result<Option<(OwnedFd, Identity)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = directories
        .parent(found.way())
        .and_then(|(parent, name)| openat(parent, name, flags, Mode::empty()));
    let open = match opened {
        Ok(open) => open,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error),
    };
    let stat = fstat(&open)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok(regular.then(|| (open, Identity::of(&stat))))
}

/// Fills a buffer with the data of a file, up to its end.
fn read_data(
    file: impl AsFd,
    extents: Option<&[Extent]>,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let mut length = 0;
    for range in ranges(extents, 0, buffer.len() as u64) {
        let mut at = range.start;
        while at < range.end() {
            let end = length + (range.end() - at) as usize;
            match retried(|| pread(&file, &mut buffer[length..end], at))? {
                0 => return Ok(length),
                got => {
                    length += got;
                    at += got as u64;
                }
            }
        }
    }
    Ok(length)
}

/// Does it again when a signal came in between.
pub(crate) fn retried<T>(attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    rustix::io::retry_on_intr(attempt)
}
