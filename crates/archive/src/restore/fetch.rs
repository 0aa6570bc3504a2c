//! Getting frames out of packs, many with one request.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use outrider_model::blob::BlobHash;

use crate::error::Error;
use crate::manifest::{Chunk, Manifest};
use crate::session::Session;

/// How many bytes are fetched ahead.
const WINDOW: u64 = 4 * 1024 * 1024;

/// Bytes between two frames that are cheaper to fetch than to ask a second time.
const GAP: u64 = 64 * 1024;

/// How many requests a thread has under way.
const AT_ONCE: usize = 4;

/// The frames of chunks, in the order in which they are wanted.
pub(super) struct Frames<'a> {
    session: &'a Session,
    manifest: &'a Manifest,
    wanted: VecDeque<&'a Chunk>,
    ready: VecDeque<Bytes>,
    /// How many bytes were fetched.
    pub fetched: u64,
}

/// A part of a pack, and the chunks in it with their places among those that are fetched together.
struct Request<'a> {
    pack: u32,
    range: Range<u64>,
    chunks: Vec<(usize, &'a Chunk)>,
}

impl<'a> Frames<'a> {
    pub fn new(
        session: &'a Session,
        manifest: &'a Manifest,
        wanted: impl Iterator<Item = &'a Chunk>,
    ) -> Self {
        Self {
            session,
            manifest,
            wanted: wanted.collect(),
            ready: VecDeque::new(),
            fetched: 0,
        }
    }

    /// The next frame, and the pack it is from. There are as many as were wanted.
    pub fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.ready.is_empty() {
            self.fetch()?;
        }
        Ok(self.ready.pop_front())
    }

    fn fetch(&mut self) -> Result<(), Error> {
        let window = self.take_window();
        let mut frames = vec![Bytes::new(); window.len()];
        let requests = requests(&window);
        let session = self.session;
        let manifest = self.manifest;
        let get = |request: Request<'a>| async move {
            let pack = manifest.packs[request.pack as usize];
            let bytes = session.store.get(pack, request.range.clone()).await?;
            Ok((request, pack, bytes))
        };
        let gets = stream::iter(requests.into_iter().map(get)).buffered(AT_ONCE);
        let answers: Vec<(Request<'_>, BlobHash, Bytes)> = session.wait(gets.try_collect())?;
        for (request, pack, bytes) in answers {
            if bytes.len() as u64 != request.range.end - request.range.start {
                return Err(Error::damaged(pack));
            }
            self.fetched += bytes.len() as u64;
            for (place, chunk) in request.chunks {
                let start = (u64::from(chunk.offset) - request.range.start) as usize;
                frames[place] = bytes.slice(start..start + chunk.stored as usize);
            }
        }
        self.ready.extend(frames);
        Ok(())
    }

    /// The next chunks that fit into the window, at least one.
    fn take_window(&mut self) -> Vec<&'a Chunk> {
        let mut window = Vec::new();
        let mut length = 0;
        while let Some(chunk) = self.wanted.front()
            && (window.is_empty() || length + u64::from(chunk.stored) <= WINDOW)
        {
            length += u64::from(chunk.stored);
            window.extend(self.wanted.pop_front());
        }
        window
    }
}

/// Which parts of packs have these chunks.
fn requests<'a>(window: &[&'a Chunk]) -> Vec<Request<'a>> {
    let mut chunks: Vec<(usize, &Chunk)> = window.iter().copied().enumerate().collect();
    chunks.sort_by_key(|(_, chunk)| (chunk.pack, chunk.offset));
    let mut requests: Vec<Request<'_>> = Vec::new();
    for (place, chunk) in chunks {
        let start = u64::from(chunk.offset);
        let end = start + u64::from(chunk.stored);
        match requests.last_mut() {
            Some(last) if last.pack == chunk.pack && start <= last.range.end + GAP => {
                last.range.end = last.range.end.max(end);
                last.chunks.push((place, chunk));
            }
            _ => requests.push(Request {
                pack: chunk.pack,
                range: start..end,
                chunks: vec![(place, chunk)],
            }),
        }
    }
    requests
}
