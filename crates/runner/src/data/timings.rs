//! How long tests took before, for the helper: where a job is split into several tasks.

use std::path::Path;

use outrider_executor::Environment;

use super::blobs::TaskBlobs;
use crate::backoff::chain;
use crate::driver::Failure;
use crate::helper;

/// Puts the timings where the helper looks for them. All tasks of a job get the same. Without them
/// the helper splits by name, and says so; then it must not be that only this task does.
pub async fn provide(blobs: &TaskBlobs, environment: &dyn Environment) -> Result<(), Failure> {
    let Some(timings) = blobs.retried(|api, by| api.timings(by)).await? else {
        return Ok(());
    };
    let file = helper::timings_file(environment);
    let written = tokio::task::spawn_blocking(move || write(&file, &timings)).await;
    let written = written.map_err(std::io::Error::other).flatten();
    written.map_err(|error| {
        let text = format!("cannot write how long tests took: {}", chain(&error));
        Failure::Infrastructure(text)
    })
}

fn write(file: &Path, timings: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if let Some(folder) = file.parent() {
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(folder)?;
    }
    std::fs::write(file, timings)
}
