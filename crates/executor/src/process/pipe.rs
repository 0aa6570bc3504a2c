//! The pipe through which a script's output comes.

use std::io;
use std::os::fd::OwnedFd;

use bytes::{BufMut, Bytes, BytesMut};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::unix::AsyncFd;

use super::readiness;

/// What most scripts write fits, and costs no more than a small allocation.
const FIRST_BUFFER: usize = 8 << 10;
/// What a script gets that fills its buffers. Larger ones bring nothing.
const LARGE_BUFFER: usize = 256 << 10;
/// How much a writer may be ahead once it has filled a large buffer: what Linux lets everyone have.
const LARGE_PIPE: usize = 1 << 20;

/// The reading end.
#[derive(Debug)]
pub(crate) struct PipeReader {
    pipe: AsyncFd<OwnedFd>,
    buffer: BytesMut,
    size: usize,
    pipe_is_large: bool,
}

/// A pipe: what we read from, and what becomes the script's stdout and stderr.
pub(crate) fn pipe() -> io::Result<(PipeReader, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // Only our end: programs do not expect theirs to refuse a write.
    fcntl_setfl(&read, OFlags::NONBLOCK)?;
    let pipe = readiness::watch(read).map_err(|(_, error)| error)?;
    let buffer = BytesMut::new();
    Ok((
        PipeReader {
            pipe,
            buffer,
            size: FIRST_BUFFER,
            pipe_is_large: false,
        },
        write,
    ))
}

/// What a look into the pipe found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Now {
    Bytes(Bytes),
    Nothing,
    /// Nobody has the writing end any more.
    End,
}

impl PipeReader {
    /// The next bytes, or `None` once nobody has the writing end any more. Nothing is lost if it
    /// is dropped before it has returned.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let mut ready = self.pipe.readable().await?;
            match read(ready.get_inner(), &mut self.buffer, self.size) {
                Ok(0) => return Ok(None),
                Ok(count) => return Ok(Some(self.take(count))),
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is in the pipe at this moment, at most a buffer of it.
    pub fn now(&mut self) -> io::Result<Now> {
        loop {
            match read(self.pipe.get_ref(), &mut self.buffer, self.size) {
                Ok(0) => return Ok(Now::End),
                Ok(count) => return Ok(Now::Bytes(self.take(count))),
                Err(rustix::io::Errno::AGAIN) => return Ok(Now::Nothing),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many bytes are in the pipe.
    pub fn pending(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(self.pipe.get_ref())?)
    }

    fn take(&mut self, count: usize) -> Bytes {
        if self.buffer.len() == self.buffer.capacity() || count >= self.size {
            self.grow();
        }
        self.buffer.split().freeze()
    }

    fn grow(&mut self) {
        if self.size == LARGE_BUFFER && !self.pipe_is_large {
            self.pipe_is_large = true;
            // Where it is refused, because the user's pipes take too much already, we go on.
            let _ = fcntl_setpipe_size(self.pipe.get_ref(), LARGE_PIPE);
        }
        self.size = (self.size * 8).min(LARGE_BUFFER);
    }
}

/// Fills an empty `buffer` with up to `size` bytes. Its memory is used again if all that was taken
/// from it earlier has been dropped.
#[expect(
    unsafe_code,
    reason = "reads into memory that has not been written to before"
)]
fn read(pipe: &OwnedFd, buffer: &mut BytesMut, size: usize) -> rustix::io::Result<usize> {
    if buffer.capacity() < size / 2 {
        buffer.reserve(size);
    }
    // SAFETY: nothing is written to the slice but what the call writes.
    let spare = unsafe { buffer.chunk_mut().as_uninit_slice_mut() };
    let limit = spare.len().min(size);
    let (read, _) = rustix::io::read(pipe, &mut spare[..limit])?;
    let count = read.len();
    // SAFETY: the call has written that many bytes.
    unsafe { buffer.advance_mut(count) };
    Ok(count)
}
