//! What is known about how long the names took.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outrider_test_data::timings::{self, Kind, Timings};

use super::halt::task_data;
use super::names;
use crate::failure::{Failure, code};

/// What is known of names.
pub enum Known {
    /// Nothing of any of them, and why.
    Nothing(&'static str),
    /// Something of some.
    Times(Times),
}

/// How long each name took, if that is known.
pub struct Times {
    pub kind: Kind,
    pub times: Vec<Option<Duration>>,
}

const NOT_THERE: &str = "There are no timings of this job yet: splitting by name.";
const NOT_DETECTED: &str = "Error auto-detecting timing type, falling back to weighting by name.";
const NOT_OF_THIS_TYPE: &str = "There are no timings of this type for these names, falling back to \
                                weighting by name.";

/// Looks names up in a file of timings, or in the one that the runner has brought.
pub fn known_timings(
    file: Option<&Path>,
    names: &[&[u8]],
    kinds: &[Kind],
) -> Result<Known, Failure> {
    let timings = match file {
        Some(path) => open(path).map_err(|why| Failure::new(code::NOT_FOUND, why))?,
        None => brought(task_data().as_deref())?,
    };
    if timings.is_empty() {
        return Ok(Known::Nothing(NOT_THERE));
    }
    let from_job = from_job_directory(names);
    let from_job: Vec<&[u8]> = from_job.iter().map(Vec::as_slice).collect();
    let ways = [names, &from_job].into_iter().flat_map(|names| {
        let kinds = kinds.iter();
        kinds.map(move |kind| (*kind, names))
    });
    // Of equals the first: names as they were given, and files before classes before tests.
    let mut best = None;
    let mut most = 0;
    for (kind, view) in ways {
        let count = timings.count(kind, view);
        if count > most {
            (best, most) = (Some((kind, view)), count);
        }
    }
    let Some((kind, view)) = best else {
        let detected = kinds.len() > 1;
        return Ok(Known::Nothing(if detected {
            NOT_DETECTED
        } else {
            NOT_OF_THIS_TYPE
        }));
    };
    let times = view.iter().map(|name| timings.get(kind, name)).collect();
    Ok(Known::Times(Times { kind, times }))
}

/// The names as they are from the job's working directory: results of tests keep them so, and a
/// step may run elsewhere or name files in full.
fn from_job_directory(names: &[&[u8]]) -> Vec<Vec<u8>> {
    let job = std::env::var_os("CIRCLE_WORKING_DIRECTORY").map(PathBuf::from);
    let (Some(job), Ok(here)) = (job, std::env::current_dir()) else {
        return Vec::new();
    };
    let inside = |name: &&[u8]| {
        let path = here.join(names::path(name));
        let path = path.strip_prefix(&job).unwrap_or(&path);
        path.as_os_str().as_encoded_bytes().to_vec()
    };
    names.iter().map(inside).collect()
}

/// What the runner has brought. Without a file there are no timings; with one that cannot be read
/// this task would split otherwise than its siblings, and tests would be run by none of them.
fn brought(data: Option<&Path>) -> Result<Timings, Failure> {
    let Some(path) = data.map(|data| data.join(outrider_runner::helper::TIMINGS)) else {
        return Ok(Timings::default());
    };
    let timings = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Timings::default()),
        Err(error) => Err(unreadable(&path, &error)),
        Ok(file) => read(&path, file),
    };
    timings.map_err(|why| {
        Failure::new(code::FAILED, why).advise(
            "The other tasks of this job may split by these timings: run the job again, or split \
             by name or size.",
        )
    })
}

fn open(path: &Path) -> Result<Timings, String> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    read(path, file)
}

fn read(path: &Path, file: File) -> Result<Timings, String> {
    timings::read(file).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> String {
    let why = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    format!("cannot read timings from {}: {error}{why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_that_are_not_there_are_none_and_damaged_ones_an_error() {
        let data = tempfile::tempdir().unwrap();
        assert!(brought(None).unwrap().is_empty());
        assert!(brought(Some(data.path())).unwrap().is_empty());
        let path = data.path().join(outrider_runner::helper::TIMINGS);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, [0x28, 0xb5, 0x2f, 0xfd, 0, 0]).unwrap();
        assert!(brought(Some(data.path())).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(brought(Some(data.path())).is_err());
    }
}
