//! Archives to and from the store, for caches and workspaces alike.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use outrider_archive::{
    Bases, Error, Manifest, Notes, Place, Progress, RestoreRequest, Restored, SaveRequest, Saved,
};

use super::{DataStep, size};
use crate::backoff::chain;
use crate::driver::Failure;
use crate::helper;

/// How often a long transfer says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// After so long what is known of files is forgotten.
const OLD: Duration = Duration::from_secs(30 * 24 * 3_600);

impl DataStep<'_> {
    /// Saves files, and says how much it was. Nothing if the step was told to stop.
    pub async fn save_archive(
        &self,
        places: Vec<Place>,
        bases: Bases,
    ) -> Result<Option<Saved>, Failure> {
        let (count, progress) = counter();
        let request = SaveRequest {
            state: self.tree_state(&places, &bases),
            places,
            bases,
            cancel: self.context.stop.clone(),
            progress: Some(progress),
        };
        let saving = outrider_archive::save(request, Arc::clone(self.blobs()) as _);
        let Some(saved) = self
            .unless_stopped(self.telling(&count, saving).await)
            .await?
        else {
            return Ok(None);
        };
        self.tell_notes(&saved.notes).await;
        let stats = saved.stats;
        let text = format!(
            "{} files and directories, {}: {} read, {} known to be unchanged, {} new in the store",
            saved.archive.entries,
            size(saved.archive.size),
            size(stats.read),
            size(stats.reused),
            size(stats.stored)
        );
        self.say(&text).await;
        Ok(Some(saved))
    }

    /// Restores files, and says how much it was. Nothing if the step was told to stop.
    pub async fn restore_archive(
        &self,
        manifest: Manifest,
        bases: Bases,
    ) -> Result<Option<Restored>, Failure> {
        let (count, progress) = counter();
        let request = RestoreRequest {
            state: self.tree_state(&manifest.roots(), &bases),
            manifest,
            bases,
            cancel: self.context.stop.clone(),
            progress: Some(progress),
        };
        let restoring = outrider_archive::restore(request, Arc::clone(self.blobs()) as _);
        let Some(restored) = self
            .unless_stopped(self.telling(&count, restoring).await)
            .await?
        else {
            return Ok(None);
        };
        let stats = restored.stats;
        let text = format!(
            "{} files were there already, {} were written: {}, of which {} came from the store",
            stats.kept,
            stats.written,
            size(stats.bytes),
            size(stats.fetched)
        );
        self.say(&text).await;
        Ok(Some(restored))
    }

    /// What a transfer brought; nothing if it was told to stop.
    async fn unless_stopped<T>(&self, ended: Result<T, Error>) -> Result<Option<T>, Failure> {
        match ended {
            Ok(done) => Ok(Some(done)),
            Err(Error::Canceled) => Ok(None),
            Err(error) => Err(self.blobs().failed(&error).await),
        }
    }

    /// Says now and then how far a transfer is.
    pub async fn telling<T>(&self, count: &AtomicU64, transfer: impl Future<Output = T>) -> T {
        let mut transfer = std::pin::pin!(transfer);
        loop {
            match tokio::time::timeout(SAY_EVERY, &mut transfer).await {
                Ok(done) => return done,
                Err(_) => {
                    let bytes = count.load(Ordering::Relaxed);
                    self.say(&format!("{} so far", size(bytes))).await;
                }
            }
        }
    }

    async fn tell_notes(&self, notes: &Notes) {
        for (left_out, why) in [
            (&notes.missing, "not there any more"),
            (&notes.special, "sockets, pipes or devices"),
            (&notes.unsteady, "changed while they were read"),
        ] {
            if left_out.count > 0 {
                let names = left_out.names.iter().map(|name| name.display().to_string());
                let names: Vec<String> = names.collect();
                let text = format!("{} left out, {why}: {}", left_out.count, names.join(", "));
                self.say(&text).await;
            }
        }
        if let Some(problem) = &notes.state {
            tracing::warn!("cannot write a tree state: {problem}");
        }
    }

    /// Where the runner remembers what it knows of the files in these places; for each scope apart,
    /// since it tells of contents. What is in the attempt's own directory is gone when that is.
    fn tree_state(&self, places: &[Place], bases: &Bases) -> Option<PathBuf> {
        let task = &self.context.task;
        let (own, trigger) = (task.places.attempt(), &task.trigger);
        let tier = if trigger.untrusted {
            "untrusted"
        } else {
            "trusted"
        };
        let mut hash = blake3::Hasher::new();
        hash.update(trigger.project.as_bytes()).update(&[0]);
        hash.update(tier.as_bytes()).update(&[0]);
        // A save names them as the config does, a restore as the archive does.
        let mut places: Vec<PathBuf> = places.iter().map(|place| bases.locate(place)).collect();
        places.sort_unstable();
        for place in &places {
            hash.update(place.as_os_str().as_encoded_bytes())
                .update(&[0]);
        }
        let lasts = places.iter().all(|place| !place.starts_with(own));
        let lasting = task.lasting_trees.clone().filter(|_| lasts);
        let folder = lasting.unwrap_or_else(|| helper::private_folder(own).join("trees"));
        if let Err(error) = make_private(&folder) {
            tracing::warn!("cannot make {}: {error}", folder.display());
            return None;
        }
        Some(folder.join(&hash.finalize().to_hex()[..32]))
    }
}

/// Forgets what was not of use for long: those files are perhaps no more.
pub fn forget_old_trees(folder: &Path) {
    for state in folder.read_dir().into_iter().flatten().flatten() {
        let age = state.metadata().and_then(|found| found.modified());
        let age = age.ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > OLD) {
            let _ = std::fs::remove_file(state.path());
        }
    }
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn counter() -> (Arc<AtomicU64>, Progress) {
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    let progress = move |bytes| {
        counting.fetch_add(bytes, Ordering::Relaxed);
    };
    (count, Arc::new(progress))
}

/// Who has to mend it: files that cannot be read are the job's matter.
pub fn failure(error: &Error) -> Failure {
    match error {
        Error::File { .. } | Error::BadPath { .. } | Error::ManifestTooLong => {
            Failure::User(chain(error))
        }
        _ => Failure::Infrastructure(chain(error)),
    }
}
