//! The helper that steps find on their `PATH`, and the folder by which it and the runner talk.
//!
//! The helper is the program itself under other names: links to it lie in a folder that is made
//! once for each runner. The folder for talking is made by whoever first needs it, so that tasks
//! that never call the helper cost nothing.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use outrider_executor::{Environment, ExecutorError};

use crate::task_files;

/// The names that configs call it by.
const NAMES: [&str; 2] = ["circleci", "circleci-agent"];
/// In the attempt's directory: out of the way of the code, which may be checked out there.
const TASK_DATA: &str = ".outrider-task-data";
/// Where programs are if nobody says.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The variable by which steps know the folder.
pub const TASK_DATA_VARIABLE: &str = "CIRCLE_INTERNAL_TASK_DATA";
/// In that folder: there if the job is to end after the step that runs.
pub const HALT: &str = "halt";
/// In that folder: how long tests took before, in the form of `outrider-test-data`.
pub const TIMINGS: &str = "circle-test-results/timings.jsonl.zst";

/// Links to the program, in a folder of their own below the spool.
pub(crate) fn install(program: &Path, spool: &Path) -> io::Result<PathBuf> {
    let folder = spool.join("bin");
    std::fs::create_dir_all(&folder)?;
    for name in NAMES {
        let link = folder.join(name);
        if std::fs::read_link(&link).is_ok_and(|target| target == program) {
            continue;
        }
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => symlink(program, &link)?,
        }
    }
    Ok(folder)
}

/// A `PATH` with the helper first.
pub(crate) fn path_with(folder: &Path, path: Option<&String>) -> String {
    let path = path.map_or(DEFAULT_PATH, String::as_str);
    format!("{}:{path}", folder.display())
}

/// The folder by which the helper and the runner talk, as steps see it.
pub(crate) fn task_data(environment: &dyn Environment) -> PathBuf {
    environment.resolve(&format!("~/{TASK_DATA}"))
}

/// The same folder, in the directory that is `~`.
pub(crate) fn private_folder(directory: &Path) -> PathBuf {
    directory.join(TASK_DATA)
}

/// Whether a step has asked for the end of the job.
pub(crate) async fn is_halted(environment: &dyn Environment) -> bool {
    let halt = format!("{TASK_DATA}/{HALT}");
    let found = task_files::exists(environment, &halt).await;
    // An environment that is lost says so by the next step.
    found.unwrap_or(false)
}

/// Puts timings where the helper looks for them.
pub(crate) async fn provide_timings(
    environment: &dyn Environment,
    timings: Bytes,
) -> Result<(), ExecutorError> {
    let file = format!("{TASK_DATA}/{TIMINGS}");
    task_files::write(environment, &file, timings).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_anew_when_the_program_has_moved() {
        let place = tempfile::tempdir().expect("a folder");
        let spool = place.path().join("spool");
        for program in ["/old/outrider", "/new/outrider", "/new/outrider"] {
            let folder = install(Path::new(program), &spool).expect("installed");
            for name in ["circleci", "circleci-agent"] {
                let target = std::fs::read_link(folder.join(name)).expect("a link");
                assert_eq!(target, Path::new(program));
            }
            assert_eq!(folder.read_dir().expect("there").count(), 2);
        }
    }

    #[test]
    fn the_helper_comes_first() {
        let folder = Path::new("/spool/bin");
        let own = "/own".to_owned();
        assert_eq!(path_with(folder, Some(&own)), "/spool/bin:/own");
        assert_eq!(
            path_with(folder, None),
            "/spool/bin:/usr/local/bin:/usr/bin:/bin"
        );
    }
}
