//! The part of a log that is on the disk: all of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::FallocateFlags;

use super::{HEAD, TreeHash};

/// Stands where delivered bytes were that are asked for again and are not there any more. Zeros
/// follow it up to where the log goes on, so that offsets stay true.
const GONE: &[u8] = b"[outrider] The server lost this part of the log after the runner had \
    delivered and removed it; zeros stand in its place.\n";

/// The head, which stands in the journal, and the file after it.
#[derive(Debug, Default)]
pub struct Disk {
    head: Vec<u8>,
    file: Option<Arc<File>>,
    /// Of head and file.
    length: u64,
    /// Up to here bytes may be gone.
    punched: u64,
}

impl Disk {
    /// What an earlier process left.
    pub fn found(head: Vec<u8>, file: Option<File>, punched: u64) -> io::Result<Self> {
        let rest = file
            .as_ref()
            .map_or(Ok(0), |file| file.metadata().map(|meta| meta.len()))?;
        let length = head.len() as u64 + rest;
        Ok(Self {
            head,
            file: file.map(Arc::new),
            length,
            punched: punched.min(length),
        })
    }

    /// How many bytes there are.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Up to where they may be gone.
    pub const fn punched(&self) -> u64 {
        self.punched
    }

    /// Whether so many more go into the head.
    pub const fn fits_head(&self, bytes: usize) -> bool {
        self.file.is_none() && self.head.len() + bytes <= HEAD
    }

    /// The file, and where its end is.
    pub fn file_end(&self) -> (Option<Arc<File>>, u64) {
        (self.file.clone(), self.length - self.head.len() as u64)
    }

    /// The file for what does not fit the head.
    pub fn set_file(&mut self, file: File) {
        self.file = Some(Arc::new(file));
    }

    /// These bytes were written.
    pub fn wrote(&mut self, bytes: &Bytes, head: bool) {
        if head {
            self.head.extend_from_slice(bytes);
        }
        self.length += bytes.len() as u64;
    }

    /// What is needed to read up to `max` bytes from `offset` on.
    pub fn reader(&self, offset: u64, max: usize) -> Reader {
        let available = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let head = self.head.clone();
        Reader {
            head,
            file: self.file.clone(),
            offset,
            bytes: max.min(available),
        }
    }

    /// Gives the place of the bytes below `to` back. Best effort: not all file systems can.
    pub fn punch(&mut self, to: u64) {
        let head = self.head.len() as u64;
        let from = self.punched.max(head);
        if to <= from {
            return;
        }
        self.punched = to;
        let Some(file) = &self.file else { return };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Err(error) = rustix::fs::fallocate(file, flags, from - head, to - from) {
            tracing::debug!("the spool keeps delivered bytes: {error}");
        }
    }

    /// Writes a mark where bytes are gone, and takes them as they are now.
    pub fn mark_gone(&mut self) -> io::Result<()> {
        if self.punched > 0
            && let Some(file) = &self.file
        {
            let room = usize::try_from(self.punched - self.head.len() as u64).unwrap_or(usize::MAX);
            file.write_all_at(&GONE[..GONE.len().min(room)], 0)?;
        }
        self.punched = 0;
        Ok(())
    }
}

/// A read that needs no lock.
#[derive(Debug)]
pub struct Reader {
    head: Vec<u8>,
    file: Option<Arc<File>>,
    offset: u64,
    bytes: usize,
}

impl Reader {
    /// Reads.
    pub fn read(&self) -> io::Result<Bytes> {
        self.read_at(self.offset, self.bytes).map(Bytes::from)
    }

    fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let from = usize::try_from(offset).map_or(self.head.len(), |at| at.min(self.head.len()));
        let to = self.head.len().min(from + bytes);
        let mut buffer = self.head[from..to].to_vec();
        let known = buffer.len();
        if let Some(file) = &self.file
            && known < bytes
        {
            buffer.resize(bytes, 0);
            file.read_exact_at(
                &mut buffer[known..],
                offset + known as u64 - self.head.len() as u64,
            )?;
        }
        Ok(buffer)
    }

    /// Hashes everything up to `length`.
    pub fn hash_into(&self, hash: &mut TreeHash, length: u64) -> io::Result<()> {
        const PIECE: u64 = 1024 * 1024;
        let mut at = self.offset;
        while at < length {
            let bytes = usize::try_from(PIECE.min(length - at)).unwrap_or(0);
            hash.update(&self.read_at(at, bytes)?);
            at += bytes as u64;
        }
        Ok(())
    }
}
