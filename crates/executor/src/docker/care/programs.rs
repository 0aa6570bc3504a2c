//! Volumes with builds of this program that no runner uses any more.
//!
//! In a folder that the runners of a host share there is a file for each; the time of its last change
//! is when a runner last used it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bollard::query_parameters::RemoveVolumeOptions;

use super::{Care, failed};
use crate::ExecutorError;
use crate::docker::engine::status;

/// What is known of them.
pub(super) struct Programs {
    folder: PathBuf,
    /// That of this process.
    pub own: Option<String>,
}

impl Programs {
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, own: None }
    }

    /// Notes that our own is in use.
    fn touch(&self) -> io::Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        fs::create_dir_all(&self.folder)?;
        fs::write(self.folder.join(own), b"")
    }

    /// Those of others that have not been used for some time, and for how long.
    fn idle(&self, now: SystemTime, age: Duration) -> io::Result<Vec<(String, Duration)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut idle = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let since = now.duration_since(entry.metadata()?.modified()?);
            let since = since.unwrap_or_default();
            if since > age && Some(&name) != self.own.as_ref() {
                idle.push((name, since));
            }
        }
        Ok(idle)
    }
}

impl Care {
    /// A runner that comes back to a volume that is gone fills it again.
    pub(super) async fn remove_programs(&self) -> Result<(), ExecutorError> {
        let noted = |error| {
            let folder = self.programs.folder.display();
            let message = format!("cannot keep the notes about volumes in {folder}");
            ExecutorError::infrastructure(message, error)
        };
        self.programs.touch().map_err(noted)?;
        let Some(age) = self.settings.max_age else {
            return Ok(());
        };
        let idle = self
            .programs
            .idle(self.records.now()?, age)
            .map_err(noted)?;
        for (volume, idle) in idle {
            // Not by force: the Engine refuses what a container uses.
            let options = None::<RemoveVolumeOptions>;
            match self.engine.remove_volume(&volume, options).await {
                Ok(()) => {
                    let hours = idle.as_secs() / 3_600;
                    tracing::info!(
                        volume,
                        "volume removed: no runner has used it for {hours} h"
                    );
                }
                Err(error) if status(&error) == Some(404) => {}
                Err(error) if status(&error) == Some(409) => continue,
                Err(error) => return Err(failed("remove a volume", &error)),
            }
            let _ = fs::remove_file(self.programs.folder.join(&volume));
        }
        Ok(())
    }
}
