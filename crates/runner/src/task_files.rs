//! The files of a task that the runner itself makes and looks at.

use std::path::Path;

use outrider_executor::Environment;

/// The directory of the host that steps see as `~`.
pub(crate) fn here(environment: &dyn Environment) -> &Path {
    environment.files().here().unwrap_or_else(|| Path::new("/"))
}
