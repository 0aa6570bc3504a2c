//! Drops data that is past its time, and deletes objects that nothing needs.
//!
//! The store says first that an object is garbage, then the object is deleted, then the store
//! forgets it. A crash in between leaves work for the next time and loses nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use outrider_blobs::{BlobName, BlobsError, Object, Trouble};
use outrider_model::Timestamp;
use outrider_store::{BlobObject, DataUsage, Evicted};

use crate::core::name_of;
use crate::error::chain;
use crate::{ApiError, Core};

const PAUSE: Duration = Duration::from_secs(60);

/// How much of a kind goes in one transaction: others want to write too.
const BATCH: u32 = 50;

/// How many objects are deleted at once.
const OBJECTS: u32 = 200;

/// How many names of the list are looked up at once.
const NAMES: usize = 1_000;

/// How often the list of all objects is gone through.
const LIST_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// How long after a start that is done first.
const FIRST_LIST: Duration = Duration::from_secs(10 * 60);

/// An object of which the store knows nothing goes when it is this old: an upload whose lease ran
/// out may have left it.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3_600);

/// How many objects are deleted one by one at the same time.
const ONE_BY_ONE: usize = 16;

/// Collects garbage, and remembers when it has last gone through all objects.
pub struct Collector {
    next_list: Mutex<Timestamp>,
    /// The row after which deleting goes on: what cannot be deleted holds up nothing else.
    deleted_up_to: AtomicU64,
}

impl Collector {
    /// Starts with what the store knows; the list of all objects comes later.
    pub fn new(core: &Core) -> Self {
        Self {
            next_list: Mutex::new(core.started_at + FIRST_LIST),
            deleted_up_to: AtomicU64::new(0),
        }
    }

    /// Drops and deletes what may go, and makes room where there is too little.
    pub async fn collect_once(&self, core: &Core) -> Result<Duration, ApiError> {
        self.clean(core).await?;
        // What goes for its project's sake may be room enough, once it is deleted.
        for make_room in [keep_quotas(core).boxed(), free_space(core).boxed()] {
            let evicted = make_room.await?;
            core.metrics.evicted_caches.inc_by(u64::from(evicted));
            if evicted > 0 {
                self.clean(core).await?;
            }
        }
        core.metrics.note_data(&core.store.data_usage().await?);
        if self.is_time_for_the_list(core.clock.now()) {
            delete_orphans(core).await?;
        }
        Ok(PAUSE)
    }

    /// Drops what may go, and deletes it.
    async fn clean(&self, core: &Core) -> Result<(), ApiError> {
        sweep(core).await?;
        if let Err(error) = self.delete_garbage(core).await? {
            let error = chain(&error);
            tracing::warn!(error, "objects cannot be deleted; will try again");
        }
        Ok(())
    }

    /// Deletes the objects that the store has given up. Goes on after one that cannot be deleted,
    /// and ends where of many none can: the next time goes on from there.
    async fn delete_garbage(&self, core: &Core) -> Result<Result<(), BlobsError>, ApiError> {
        let mut outcome = Ok(());
        loop {
            let after = self.deleted_up_to.load(Ordering::Relaxed);
            let garbage = core.store.garbage(after, OBJECTS).await?;
            let last = garbage.last().map_or(0, |object| object.row);
            self.deleted_up_to.store(last, Ordering::Relaxed);
            if garbage.is_empty() {
                return Ok(outcome);
            }
            let (gone, deleted) = delete(core, &garbage).await;
            core.pass("garbage.deleted");
            outcome = outcome.and(deleted);
            if gone.is_empty() {
                return Ok(outcome);
            }
            core.store.garbage_gone(gone).await?;
        }
    }

    fn is_time_for_the_list(&self, now: Timestamp) -> bool {
        let mut next = self
            .next_list
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_time = now >= *next;
        if is_time {
            *next = now + LIST_EVERY;
        }
        is_time
    }
}

/// Drops what is past its time and what nothing uses.
async fn sweep(core: &Core) -> Result<(), ApiError> {
    while core.store.expire_data(core.clock.now(), BATCH).await?.more {
        core.pass("data.expired");
    }
    Ok(())
}

/// Drops caches of projects that have too much; how many.
async fn keep_quotas(core: &Core) -> Result<u32, ApiError> {
    let Some(quota) = core.settings.data.project_quota else {
        return Ok(0);
    };
    let mut caches = 0;
    for (project, bytes) in by_project(&core.store.data_usage().await?) {
        let over = bytes.saturating_sub(quota);
        let evicted = evict(core, Some(project), over).await?;
        if evicted.caches > 0 {
            tracing::info!(project, ?evicted, "a project has more data than its quota");
        }
        caches += evicted.caches;
    }
    Ok(caches)
}

/// Drops caches of all where the disk has too little room; how many.
async fn free_space(core: &Core) -> Result<u32, ApiError> {
    let missing = core.missing_space();
    let evicted = evict(core, None, missing).await?;
    if missing > 0 {
        tracing::warn!(
            missing,
            ?evicted,
            "the disk of the blob store is nearly full: the least used caches go, and new ones are refused"
        );
    }
    Ok(evicted.caches)
}

async fn evict(core: &Core, project: Option<u64>, bytes: u64) -> Result<Evicted, ApiError> {
    let mut all = Evicted::default();
    while all.bytes < bytes {
        let evicted = core
            .store
            .evict_caches(project, bytes - all.bytes, BATCH)
            .await?;
        if evicted.caches == 0 {
            break;
        }
        all.caches += evicted.caches;
        all.bytes += evicted.bytes;
    }
    Ok(all)
}

/// How many bytes each project has in the blob store.
fn by_project(usage: &DataUsage) -> Vec<(u64, u64)> {
    let mut sums: Vec<(u64, u64)> = Vec::new();
    for (scope, amount) in &usage.blobs {
        match sums.last_mut() {
            Some((project, sum)) if *project == scope.project => *sum += amount.bytes,
            _ => sums.push((scope.project, amount.bytes)),
        }
    }
    sums
}

/// Deletes objects: the rows of those that are gone, and the first error.
async fn delete(core: &Core, garbage: &[BlobObject]) -> (Vec<u64>, Result<(), BlobsError>) {
    let names: Vec<BlobName> = garbage.iter().map(name_of).collect();
    let rows = names.iter().map(|name| name.row);
    match core.blobs.delete(&names).await {
        Ok(()) => (rows.collect(), Ok(())),
        Err(error) if !may_be_of_one(&error) => (Vec::new(), Err(error)),
        Err(error) => {
            let gone = stream::iter(names)
                .map(|name| async move {
                    let deleted = core.blobs.delete(&[name]).await;
                    deleted.is_ok().then_some(name.row)
                })
                .buffer_unordered(ONE_BY_ONE)
                .filter_map(|row| async move { row });
            (gone.collect().await, Err(error))
        }
    }
}

/// Whether an error may be one object's fault, and not the whole store's.
const fn may_be_of_one(error: &BlobsError) -> bool {
    match error {
        BlobsError::Store(error) => matches!(error.trouble, Trouble::Denied | Trouble::Other),
        _ => true,
    }
}

/// Deletes objects of which the store knows nothing.
async fn delete_orphans(core: &Core) -> Result<(), ApiError> {
    let now = core.clock.now();
    let old = core
        .blobs
        .list()
        .try_filter_map(|object| async move { Ok(old_blob(&object, now)) });
    let mut pages = std::pin::pin!(old.try_chunks(NAMES));
    while let Some(page) = pages.next().await {
        let names = page.map_err(|error| error.1)?;
        let rows = names.iter().map(|name| name.row).collect();
        let known = core.store.known_blobs(rows).await?;
        let orphans: Vec<BlobName> = names
            .into_iter()
            .zip(known)
            .filter_map(|(name, known)| (!known).then_some(name))
            .collect();
        if !orphans.is_empty() {
            tracing::info!(
                count = orphans.len(),
                "objects that nobody knows are deleted"
            );
            core.blobs.delete(&orphans).await?;
        }
    }
    Ok(())
}

/// The blob that an object is, if it is old enough for a look.
fn old_blob(object: &Object, now: Timestamp) -> Option<BlobName> {
    let is_old = now.since(object.stored_at) >= ORPHAN_AGE;
    object.name().filter(|_| is_old)
}
