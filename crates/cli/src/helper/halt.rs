//! `circleci step halt`

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::{Failure, code};

/// Tells the runner, by a file that it looks for after each step.
pub fn run() -> Result<ExitCode, Failure> {
    let Some(folder) = task_data() else {
        return Err(Failure::new(code::FAILED, "there is no job to halt here")
            .advise("Call this in a step of a job: the runner sets CIRCLE_INTERNAL_TASK_DATA."));
    };
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);
    made.and_then(|()| File::create(folder.join(outrider_runner::helper::HALT)))
        .map_err(|error| Failure::cannot_write(folder.display(), error))?;
    Ok(ExitCode::SUCCESS)
}

/// The folder that the runner and the helper share while a task runs.
pub fn task_data() -> Option<PathBuf> {
    let folder = std::env::var_os(outrider_runner::helper::TASK_DATA_VARIABLE)?;
    (!folder.is_empty()).then(|| folder.into())
}
