//! Drops data that is past its time, and deletes objects that nothing needs.
//!
//! The store says first that an object is garbage, then the object is deleted, then the store
//! forgets it. A crash in between leaves work for the next time and loses nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use outrider_blobs::{BlobName, Object};
use outrider_model::Timestamp;
use outrider_store::{BlobObject, DataUsage, Evicted};

use crate::core::name_of;
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

/// Collects garbage, and remembers when it has last gone through all objects.
pub struct Collector {
    next_list: Mutex<Timestamp>,
}

impl Collector {
    /// Starts with what the store knows; the list of all objects comes later.
    pub fn new(core: &Core) -> Self {
        Self {
            next_list: Mutex::new(core.started_at + FIRST_LIST),
        }
    }

    /// Drops and deletes what may go, and makes room where there is too little.
    pub async fn collect_once(&self, core: &Core) -> Result<Duration, ApiError> {
        sweep(core).await?;
        let evicted = make_room(core).await?;
        if evicted.caches > 0 {
            sweep(core).await?;
        }
        delete_garbage(core).await?;
        core.metrics.note_data(&core.store.data_usage().await?);
        if self.is_time_for_the_list(core.clock.now()) {
            delete_orphans(core).await?;
        }
        Ok(PAUSE)
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

/// Drops caches of projects that have too much, and of all where the disk has too little room.
async fn make_room(core: &Core) -> Result<Evicted, ApiError> {
    let mut all = Evicted::default();
    if let Some(quota) = core.settings.data.project_quota {
        for (project, bytes) in by_project(&core.store.data_usage().await?) {
            let over = bytes.saturating_sub(quota);
            let evicted = evict(core, Some(project), over).await?;
            if evicted.caches > 0 {
                tracing::info!(project, ?evicted, "a project has more data than its quota");
            }
            all.caches += evicted.caches;
        }
    }
    let missing = core.missing_space();
    let evicted = evict(core, None, missing).await?;
    if missing > 0 {
        tracing::warn!(
            missing,
            ?evicted,
            "the disk of the blob store is nearly full: the least used caches go, and new ones are refused"
        );
    }
    all.caches += evicted.caches;
    core.metrics.evicted_caches.inc_by(u64::from(all.caches));
    Ok(all)
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

/// Deletes the objects that the store has given up.
async fn delete_garbage(core: &Core) -> Result<(), ApiError> {
    loop {
        let garbage: Vec<BlobObject> = core.store.garbage(OBJECTS).await?;
        if garbage.is_empty() {
            return Ok(());
        }
        let names: Vec<BlobName> = garbage.iter().map(name_of).collect();
        core.blobs.delete(&names).await?;
        core.pass("garbage.deleted");
        let rows = garbage.iter().map(|object| object.row).collect();
        core.store.garbage_gone(rows).await?;
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
