//! Where a run keeps things.
//!
//! What later runs of the same folder build on (caches, test results) lies in a folder of the user's
//! cache directory. Working directories are temporary. With `--keep` everything lies in a folder of
//! its own that stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use outrider_model::Random;
use outrider_service::{Clock, SystemClock};
use outrider_store::{CancelTarget, PipelineFilter, Store, StoreError};

use crate::failure::{Failure, code};
use crate::paths;
use crate::server::open_store;
use crate::show::hint;

/// How many pipelines of a folder are remembered.
const REMEMBERED: u32 = 20;

/// A file that tells by its age when a folder was last used.
const LAST_RUN: &str = "last-run";

/// How long what the runs of a folder kept stays after the last of them.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A lease of a process that is gone has ended, whatever it says: later than any of them.
const AFTER_ALL_LEASES: Duration = Duration::from_secs(24 * 3_600);

/// The folders of one run.
pub struct RunFolders {
    work: WorkFolder,
    /// Where the store, logs and blobs are, if not in the work folder.
    kept: Option<PathBuf>,
}

/// Where working directories are: a folder that goes away, unless it is to be kept.
enum WorkFolder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl RunFolders {
    /// Those for a run of a project's folder.
    pub fn new(project: &Path, keep: bool, fresh: bool) -> Result<Self, Failure> {
        let work = WorkFolder::new(keep)?;
        let kept = (!keep && !fresh)
            .then(|| paths::run_cache(project))
            .flatten();
        Ok(Self { work, kept })
    }

    /// Where working directories and the runner's own files are.
    pub fn work(&self) -> &Path {
        match &self.work {
            WorkFolder::Temporary(folder) => folder.path(),
            WorkFolder::Kept(folder) => folder,
        }
    }

    /// Where the store, logs and blobs are.
    pub fn data(&self) -> &Path {
        self.kept.as_deref().unwrap_or_else(|| self.work())
    }

    /// Opens the store. What cannot be used hinders no run: it goes without what earlier ones kept.
    pub async fn open_store(
        &mut self,
        random: &Arc<dyn Random>,
    ) -> Result<Arc<dyn Store>, Failure> {
        if let Some(folder) = self.kept.take() {
            match open_kept(&folder, random).await {
                Ok(store) => {
                    self.kept = Some(folder);
                    return Ok(store);
                }
                Err(error) => hint!("{}", without(&folder, &error)),
            }
        }
        open_store(self.work(), random, None)
    }

    /// Removes what is not to stay, and tells what does.
    pub fn leave(self) {
        match self.work {
            WorkFolder::Kept(folder) => hint!("kept: {}", folder.display()),
            WorkFolder::Temporary(folder) => {
                let path = folder.path().to_owned();
                if let Err(error) = folder.close() {
                    hint!("could not remove {}: {error}", path.display());
                }
            }
        }
    }
}

impl WorkFolder {
    fn new(keep: bool) -> Result<Self, Failure> {
        let wrong = |error| {
            Failure::cannot_write("a temporary folder", error)
                .advise("Set TMPDIR to a folder with room.")
        };
        if !keep {
            let folder = tempfile::Builder::new().prefix("outrider-").tempdir();
            return folder.map(Self::Temporary).map_err(wrong);
        }
        let runs = paths::kept_runs()?;
        paths::private_directory(&runs)?;
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(runs);
        folder
            .map(|folder| Self::Kept(folder.keep()))
            .map_err(wrong)
    }
}

async fn open_kept(folder: &Path, random: &Arc<dyn Random>) -> Result<Arc<dyn Store>, Failure> {
    remove_unused(folder);
    paths::private_directory(folder)?;
    let store = open_store(folder, random, None)?;
    let written = std::fs::write(folder.join(LAST_RUN), "");
    written.map_err(|error| Failure::cannot_write(folder.display(), error))?;
    let settled = end_what_is_left(store.as_ref()).await;
    settled.map_err(|error| Failure::internal("end what an earlier run left", error))?;
    Ok(store)
}

/// Removes what runs of other folders kept and have not opened for long: those may be gone.
fn remove_unused(folder: &Path) {
    let siblings = folder.parent().and_then(|above| above.read_dir().ok());
    for sibling in siblings.into_iter().flatten().flatten() {
        let opened = sibling.path().join(LAST_RUN).metadata();
        let age = opened
            .and_then(|file| file.modified())
            .map(|at| at.elapsed());
        if matches!(age, Ok(Ok(age)) if age > UNUSED) {
            let _ = std::fs::remove_dir_all(sibling.path());
        }
    }
}

/// A run that was killed leaves tasks that nobody runs: they end, so that they neither start again
/// nor keep a turn in a group.
async fn end_what_is_left(store: &dyn Store) -> Result<(), StoreError> {
    let now = SystemClock.now();
    let by = "the next run: this one did not come to its end".to_owned();
    let filter = PipelineFilter {
        project: None,
        before: None,
        limit: u32::MAX,
    };
    let pipelines = store.pipelines(filter).await?;
    for left in pipelines.iter().filter(|it| it.finished_at.is_none()) {
        let target = CancelTarget::Pipeline(left.id);
        store.cancel(target, by.clone(), now).await?;
    }
    // The processes that held them are gone: the folder has one owner.
    store
        .expire_leases(now + AFTER_ALL_LEASES, u32::MAX)
        .await?;
    store.forget_pipelines(REMEMBERED, now).await?;
    Ok(())
}

/// Why a run goes without what earlier ones kept.
fn without(folder: &Path, failure: &Failure) -> String {
    match failure.code() {
        code::IN_USE => {
            "note: another run of this folder has its caches open; this one goes without".to_owned()
        }
        _ => format!(
            "note: cannot use what earlier runs kept in {}: {}",
            folder.display(),
            failure.text()
        ),
    }
}
