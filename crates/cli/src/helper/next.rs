//! Verbs that are not ours go to the `circleci` that the helper stands before on the `PATH`: a job
//! may have CircleCI's own command line installed.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::NAMES;
use crate::failure::{Failure, code};

/// Set for what was passed on: helpers of two runners must not pass it to and fro.
const PASSED_ON: &str = "OUTRIDER_HELPER_PASSED_ON";

/// Becomes that program. `None` if there is none.
pub fn pass_on(arguments: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(arguments.first()?).file_name()?;
    if name != NAMES[0] || std::env::var_os(PASSED_ON).is_some() {
        return None;
    }
    let program = find(name.as_ref())?;
    let mut command = Command::new(&program);
    let error = command.args(&arguments[1..]).env(PASSED_ON, "1").exec();
    let text = format!("cannot run {}: {error}", program.display());
    Some(Failure::new(code::FAILED, text).report())
}

fn find(name: &Path) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?.canonicalize().ok()?;
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|folder| folder.join(name));
    { candidates }.find(|candidate| {
        let is_other = candidate.canonicalize().is_ok_and(|real| real != own);
        is_other && rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok()
    })
}
