//! The log of one attempt: written through to the disk, and kept in memory as far as the uploader
//! has not had it yet and it is not too much.

mod disk;
mod hash;
mod queue;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use outrider_model::report::LogHash;
use tokio::sync::Notify;

pub use disk::Disk;
pub use hash::{BLOCK, TreeHash};
use queue::Queue;

/// So much of a log stands in the journal, so that a short one needs no file.
pub const HEAD: usize = 4 * 1024;

/// The bytes of one attempt's log, in order.
#[derive(Debug)]
pub struct Log {
    state: Mutex<State>,
    /// There is more to send.
    pub grown: Notify,
}

#[derive(Debug)]
struct State {
    disk: Disk,
    queue: Queue,
    hash: TreeHash,
    /// The server has it up to here.
    acknowledged: u64,
}

impl Log {
    /// A log that is empty, or of which so much is on the disk.
    pub fn new(disk: Disk, hash: TreeHash) -> Self {
        let length = disk.length();
        let acknowledged = disk.punched();
        let queue = Queue::starting_at(length);
        let state = Mutex::new(State {
            disk,
            queue,
            hash,
            acknowledged,
        });
        Self {
            state,
            grown: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.state().disk.length()
    }

    /// Whether there is a file besides the journal.
    pub fn has_file(&self) -> bool {
        self.state().disk.file_end().0.is_some()
    }

    /// How many of them the server has.
    pub fn acknowledged(&self) -> u64 {
        self.state().acknowledged
    }

    /// BLAKE3 of the whole.
    pub fn hash(&self) -> LogHash {
        LogHash(self.state().hash.root())
    }

    /// How the next bytes get to the disk. Only one caller at a time writes.
    pub fn placement(&self, bytes: usize) -> Placement {
        let state = self.state();
        if state.disk.fits_head(bytes) {
            return Placement::Head {
                offset: state.disk.length(),
            };
        }
        let (file, at) = state.disk.file_end();
        file.map_or(Placement::NewFile, |file| Placement::File { file, at })
    }

    /// From now on, what does not fit the head goes there.
    pub fn set_file(&self, file: std::fs::File) {
        self.state().disk.set_file(file);
    }

    /// These bytes are on the disk now.
    pub fn wrote(&self, bytes: &Bytes, head: bool) {
        {
            let mut state = self.state();
            let offset = state.disk.length();
            state.queue.push(offset, bytes);
            state.hash.update(bytes);
            state.disk.wrote(bytes, head);
        }
        self.grown.notify_one();
    }

    /// Up to `max` bytes from `offset` on: from memory if they are there, else from the disk.
    pub fn read(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let plan = {
            let state = self.state();
            if let Some(bytes) = state.queue.read(offset, max) {
                return Ok(bytes);
            }
            state.disk.reader(offset, max)
        };
        plan.read()
    }

    /// As [`Log::read`], without holding up others where the disk has to be asked for much.
    pub async fn fetch(self: &std::sync::Arc<Self>, offset: u64, max: usize) -> io::Result<Bytes> {
        let known = self.state().queue.read(offset, max);
        if let Some(bytes) = known {
            return Ok(bytes);
        }
        let log = std::sync::Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || log.read(offset, max));
        read.await.map_err(io::Error::other)?
    }

    /// The server has `length` bytes. Less than before means that it needs some again; if those
    /// are gone from the disk, the answer is true: see [`Log::mark_gone`].
    pub fn settle(&self, length: u64) -> bool {
        let mut state = self.state();
        state.acknowledged = length.min(state.disk.length());
        let acknowledged = state.acknowledged;
        state.queue.release(acknowledged);
        self.grown.notify_one();
        acknowledged < state.disk.punched()
    }

    /// Chaining values of delivered blocks, from the block `from` on, whose place on the disk can
    /// be given back.
    pub fn spare_blocks(&self, from: u64) -> Vec<[u8; 32]> {
        let state = self.state();
        state.hash.blocks(from, state.acknowledged / BLOCK).to_vec()
    }

    /// Gives the place of the first `blocks` blocks on the disk back.
    pub fn punch(&self, blocks: u64) {
        self.state().disk.punch(blocks * BLOCK);
    }

    /// Bytes that were delivered and removed are asked for again: what stood there cannot be told
    /// any more. Puts a mark in their place, and hashes everything anew.
    pub fn mark_gone(&self) -> io::Result<()> {
        let (length, reader) = {
            let mut state = self.state();
            state.disk.mark_gone()?;
            state.queue = Queue::starting_at(state.disk.length());
            (state.disk.length(), state.disk.reader(0, 0))
        };
        let mut hash = TreeHash::default();
        reader.hash_into(&mut hash, length)?;
        self.state().hash = hash;
        Ok(())
    }
}

/// Where the next bytes are written.
#[derive(Debug)]
pub enum Placement {
    /// Into the journal.
    Head {
        /// Where they stand in the log.
        offset: u64,
    },
    /// Into a file that has to be opened first.
    NewFile,
    /// Into the file.
    File {
        /// The file.
        file: std::sync::Arc<std::fs::File>,
        /// Where in it.
        at: u64,
    },
}
