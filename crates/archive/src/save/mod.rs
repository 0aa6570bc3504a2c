//! Saving.

mod assemble;
mod plan;
pub(crate) mod read;
mod registry;
mod reuse;
mod worker;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use outrider_model::blob::Archive;
use tokio_util::sync::CancellationToken;

use crate::chunk::pack::Pack;
use crate::error::Error;
use crate::notes::Notes;
use crate::place::{Bases, Place};
use crate::session::{Progress, Session, workers};
use crate::state::TreeState;
use crate::store::BlobStore;
use crate::tree::Time;
use crate::tree::directories::OpenBases;
use crate::tree::walk::walk;

use plan::Plan;
use reuse::Reuse;
use worker::{Done, Shared};

/// A file with more data than this is a segment of its own, or several.
pub(crate) const LARGE: u64 = 128 * 1024;

/// How many bytes a thread takes on at a time, at least and at most.
const RUN: Range<u64> = 1024 * 1024..16 * 1024 * 1024;

/// What is to be saved.
pub struct SaveRequest {
    /// These files and directories and all that is below them.
    pub places: Vec<Place>,
    /// Where they are.
    pub bases: Bases,
    /// The tree state of an earlier save or restore of the same files. It is replaced.
    pub state: Option<PathBuf>,
    /// Ends the save.
    pub cancel: CancellationToken,
    /// Told how many bytes of files are done.
    pub progress: Option<Progress>,
}

/// An archive that is in the store.
#[derive(Debug)]
pub struct Saved {
    /// The archive.
    pub archive: Archive,
    /// How much work it was.
    pub stats: SaveStats,
    /// What is not in it.
    pub notes: Notes,
}

/// How much work a save was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveStats {
    /// So many bytes of files were read.
    pub read: u64,
    /// So many bytes of files are known to be unchanged and were not read.
    pub reused: u64,
    /// So many bytes went to the store in packs.
    pub stored: u64,
}

/// Saves files.
///
/// # Errors
/// A file cannot be read, the store fails, or somebody cancels. Nothing refers then to what is in
/// the store already.
pub async fn save(request: SaveRequest, store: Arc<dyn BlobStore>) -> Result<Saved, Error> {
    let cancel = request.cancel.clone();
    let progress = request.progress.clone();
    let save = move |session: &Session| save_with(request, session);
    Session::run(store, &cancel, progress, save).await
}

fn save_with(request: SaveRequest, session: &Session) -> Result<Saved, Error> {
    let taken = Time::now();
    let path = request.state;
    let state = path.as_deref().and_then(TreeState::load);
    let bases = OpenBases::open(request.bases)?;
    let (found, mut notes) = walk(&request.places, &bases, session)?;
    let plan = Plan::new(found, state.as_ref());
    let reuse = Reuse::new(&plan, state.as_ref().map(|state| &state.manifest), session)?;
    let runs = runs(&plan, &reuse.unread);
    let shared = Shared {
        session,
        bases: &bases,
        plan: &plan,
        registry: &reuse.registry,
        unread: &reuse.unread,
        runs: &runs,
        next_run: AtomicUsize::new(0),
        read: AtomicU64::new(0),
        stored: AtomicU64::new(0),
    };
    let done = read_all(&shared)?;
    let mut stats = SaveStats {
        read: shared.read.into_inner(),
        stored: shared.stored.into_inner(),
        reused: reuse.bytes,
    };
    let mut assembled = assemble::assemble(plan, reuse, done, &bases, &mut notes)?;
    let stored = crate::manifest::store(&assembled.manifest, session)?;
    stats.stored += stored.length;
    let archive = assembled.archive(&stored);
    if let Some(path) = path {
        let state = TreeState {
            taken,
            manifest: assembled.manifest,
            identities: assembled.identities,
        };
        notes.state = state.write(&path).err().map(|error| error.to_string());
    }
    Ok(Saved {
        archive,
        stats,
        notes,
    })
}

/// Reads all that must be read and stores what is new.
fn read_all(shared: &Shared<'_>) -> Result<Vec<Done>, Error> {
    let parts = shared.session.in_parallel(|| worker::work(shared))?;
    let mut done = Vec::new();
    let mut last = Pack::default();
    for (part, mut pack) in parts {
        done.extend(part);
        if !last.absorb(&pack) {
            std::mem::swap(&mut last, &mut pack);
            shared.upload(pack)?;
        }
    }
    shared.upload(last)?;
    done.sort_unstable_by_key(|done| done.segment);
    Ok(done)
}

/// Divides what must be read among threads.
fn runs(plan: &Plan, unread: &[u32]) -> Vec<Range<usize>> {
    let length = |segment: &u32| plan.length(&plan.segments[*segment as usize]);
    let total: u64 = unread.iter().map(length).sum();
    divide(unread.iter().map(length), total)
}

/// Divides a list of things of these lengths into parts for threads.
pub(crate) fn divide(lengths: impl Iterator<Item = u64>, total: u64) -> Vec<Range<usize>> {
    let run = (total / (4 * workers() as u64)).clamp(RUN.start, RUN.end);
    let mut runs = Vec::new();
    let mut start = 0;
    let mut sum = 0;
    let mut end = 0;
    for length in lengths {
        end += 1;
        sum += length;
        if sum >= run {
            runs.push(start..end);
            start = end;
            sum = 0;
        }
    }
    if start < end {
        runs.push(start..end);
    }
    runs
}
