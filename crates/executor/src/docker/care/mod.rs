//! Keeps the Engine's disk from filling up with what runners have pulled and built.
//!
//! Only images that runners have pulled are removed (`images`), what builds keep for later only where
//! jobs may build or the runner's owner says so (`builds`), and volumes of older builds of this
//! program (`programs`).

mod builds;
mod images;
mod programs;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::programs::Programs;
use super::answer::{answered, told};
use super::image::records::Records;
use super::settings::{BuildCacheCare, ImageCare};
use crate::ExecutorError;

/// How often it is looked at what there is.
const EVERY: Duration = Duration::from_secs(600);

/// Why something is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Age(Duration),
    Size(u64),
    LowDisk,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(idle) => write!(f, "nobody has used it for {} h", idle.as_secs() / 3_600),
            Self::Size(limit) => write!(f, "all of its kind may have {} MB", limit / 1_000_000),
            Self::LowDisk => f.write_str("the Engine's disk is nearly full"),
        }
    }
}

/// Looks after the disk of one Engine.
pub struct Care {
    engine: Docker,
    settings: ImageCare,
    builds: Option<BuildCacheCare>,
    /// Whether the Engine's disk is one of this host.
    is_here: bool,
    seen_at: Option<PathBuf>,
    records: Records,
    programs: Programs,
    last: Mutex<Option<Instant>>,
}

impl Care {
    /// Looks after what runners that share the folder `owners` have pulled.
    pub fn new(engine: Docker, settings: ImageCare, owners: &Path) -> Self {
        Self {
            engine,
            settings,
            builds: None,
            is_here: true,
            seen_at: None,
            records: Records::new(owners.join("images")),
            programs: Programs::new(owners.join("programs")),
            last: Mutex::default(),
        }
    }

    /// Looks after the build cache too.
    #[must_use]
    pub const fn of_builds(mut self, builds: Option<BuildCacheCare>) -> Self {
        self.builds = builds;
        self
    }

    /// Whether the Engine is on this host: otherwise no disk of this host is its own.
    #[must_use]
    pub const fn here(mut self, is_here: bool) -> Self {
        self.is_here = is_here;
        self
    }

    /// A folder that is on the Engine's disk, for those who do not see the Engine's own: a runner
    /// in a container has a volume.
    #[must_use]
    pub fn seen_at(mut self, folder: Option<PathBuf>) -> Self {
        self.seen_at = folder;
        self
    }

    /// The volume with this program is in use.
    #[must_use]
    pub fn sparing(mut self, volume: &str) -> Self {
        self.programs.own = Some(volume.to_owned());
        self
    }

    pub(super) const fn records(&self) -> &Records {
        &self.records
    }

    /// Looks after the disk, if that was not done lately. Says what is wrong with it, if the disk
    /// is still nearly full.
    pub async fn care_if_due(&self) -> Option<String> {
        // Somebody may be at it.
        let mut last = self.last.try_lock().ok()?;
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return None;
        }
        *last = Some(Instant::now());
        self.care().await
    }

    /// Looks after the disk now.
    pub async fn care(&self) -> Option<String> {
        let short = self.short().await.unwrap_or(0);
        self.clean(short).await;
        let short = self.short().await.filter(|short| *short > 0)?;
        let warning = format!(
            "the Engine's disk is nearly full: {} MB more should be free",
            short.div_ceil(1_000_000)
        );
        tracing::warn!("{warning}");
        Some(warning)
    }

    /// Removes everything that nobody uses: the disk is full.
    pub(super) async fn make_room(&self) {
        self.clean(u64::MAX).await;
    }

    async fn clean(&self, short: u64) {
        self.prune_builds(short > 0).await;
        if let Err(error) = self.remove_images(short).await {
            tracing::warn!(%error, "cannot look after pulled images");
        }
        if let Err(error) = self.remove_programs().await {
            tracing::warn!(%error, "cannot look after volumes with older programs");
        }
    }

    /// How many bytes are missing. None: the Engine's disk is not to be seen from here.
    async fn short(&self) -> Option<u64> {
        let min_free = self.settings.min_free.filter(|_| self.is_here)?;
        let folder = match &self.seen_at {
            Some(folder) => folder.clone(),
            None => {
                let info = answered(&self.engine, self.engine.info()).await;
                info.ok()?.docker_root_dir?.into()
            }
        };
        let disk = rustix::fs::statvfs(&folder).ok()?;
        Some(min_free.saturating_sub(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
}

fn failed(what: &str, error: &Error) -> ExecutorError {
    let message = format!("the Engine cannot {what}: {}", told(error));
    ExecutorError::infrastructure(message, None)
}
