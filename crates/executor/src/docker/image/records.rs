//! What runners have pulled, and when it was last used.
//!
//! One small file per name of an image, in a folder that the runners of a host share. The time of
//! its last change is when a task last used the image.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::reference::Reference;
use crate::ExecutorError;

/// Who may use what was pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::docker) enum Access {
    /// Every job of this host.
    Open,
    /// Jobs that can log in to its registry themselves.
    Credentials,
}

/// What was pulled under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::docker) struct Record {
    /// The name in full.
    pub reference: String,
    /// The ids of the images that it has named.
    pub ids: BTreeMap<String, Access>,
    /// So many pulls with jobs' credentials have begun: until they end, nobody knows what the name
    /// stands for.
    pub pending: u32,
}

/// All records of a host.
#[derive(Clone, Debug)]
pub(in crate::docker) struct Records {
    folder: PathBuf,
}

impl Records {
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All of them, with when each was last used.
    pub fn all(&self) -> Result<Vec<(Record, SystemTime)>, ExecutorError> {
        let read = || -> io::Result<Vec<_>> {
            let entries = match fs::read_dir(&self.folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut records = Vec::new();
            for entry in entries {
                let path = entry?.path();
                if path.extension().is_some_and(|it| it == "json") {
                    records.extend(read(&path)?);
                }
            }
            Ok(records)
        };
        read().map_err(|error| self.failed("read", error))
    }

    /// That of one name.
    pub fn get(&self, reference: &Reference) -> Result<Option<Record>, ExecutorError> {
        read(&self.path(&reference.to_string()))
            .map(|found| found.map(|(record, _)| record))
            .map_err(|error| self.failed("read", error))
    }

    /// Whether a job must log in to use what a name stands for now.
    pub fn needs_credentials(
        &self,
        reference: &Reference,
        id: &str,
    ) -> Result<bool, ExecutorError> {
        let name = reference.to_string();
        Ok(self.all()?.iter().any(|(record, _)| {
            record.ids.get(id) == Some(&Access::Credentials)
                || record.pending > 0 && record.reference == name
        }))
    }

    /// Under which names an image was pulled, and for whom.
    pub fn givers(&self, id: &str) -> Result<Vec<(Reference, Access)>, ExecutorError> {
        let records = self.all()?.into_iter();
        records
            .filter_map(|(record, _)| Some((record.reference, *record.ids.get(id)?)))
            .map(|(name, access)| Ok((Reference::parse(&name)?, access)))
            .collect()
    }

    /// Notes that a task uses an image, if it is one of ours.
    pub fn touch(&self, reference: &Reference) -> Result<(), ExecutorError> {
        if self.get(reference)?.is_none() {
            return Ok(());
        }
        self.update(&reference.to_string(), |record| record)
    }

    /// Changes one, or forgets it, while nobody else does. Nobody ever sees half of it.
    pub fn update(
        &self,
        reference: &str,
        change: impl FnOnce(Option<Record>) -> Option<Record>,
    ) -> Result<(), ExecutorError> {
        let path = self.path(reference);
        let update = || {
            fs::create_dir_all(&self.folder)?;
            let lock = fs::File::create(self.folder.join("lock"))?;
            rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
            match change(read(&path)?.map(|(record, _)| record)) {
                Some(record) => replace(&path, &serde_json::to_vec(&record)?),
                None => remove(&path),
            }
        };
        update().map_err(|error| self.failed("change", error))
    }

    /// The time of day, as the file system of the records has it.
    pub fn now(&self) -> Result<SystemTime, ExecutorError> {
        let path = self.folder.join("now");
        fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&path, b""))
            .and_then(|()| fs::metadata(&path)?.modified())
            .map_err(|error| self.failed("write", error))
    }

    fn path(&self, reference: &str) -> PathBuf {
        let hash = blake3::hash(reference.as_bytes()).to_hex();
        self.folder.join(format!("{hash}.json"))
    }

    fn failed(&self, what: &str, error: io::Error) -> ExecutorError {
        let folder = self.folder.display();
        ExecutorError::infrastructure(
            format!(
                "cannot {what} the notes about pulled images in {folder}\n\
                 if one of them is damaged, remove it, and with it the image that it names: \
                 who may use that image is not known any more"
            ),
            error,
        )
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // One name is enough under the lock; what a killed runner left is overwritten.
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(bytes)?;
    // Half a note would say nothing of who may use the image.
    file.sync_data()?;
    fs::rename(&new, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> io::Result<Option<(Record, SystemTime)>> {
    let name =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let found = fs::read(path).and_then(|bytes| Ok((bytes, fs::metadata(path)?.modified()?)));
    match found {
        Ok((bytes, used)) => match serde_json::from_slice(&bytes) {
            Ok(record) => Ok(Some((record, used))),
            Err(error) => Err(name(error.into())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(name(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Record, Records, Reference};

    fn name(text: &str) -> Reference {
        Reference::parse(text).expect("a name")
    }

    fn put(records: &Records, text: &str, access: Access, pending: u32) {
        let record = Record {
            reference: name(text).to_string(),
            ids: [("sha256:1".to_owned(), access)].into(),
            pending,
        };
        records
            .update(&name(text).to_string(), |_| Some(record))
            .expect("written");
    }

    #[test]
    fn an_image_is_closed_under_every_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let records = Records::new(folder.path().join("images"));
        let needs = |text: &str, id: &str| {
            records
                .needs_credentials(&name(text), id)
                .expect("readable")
        };
        assert!(!needs("a", "sha256:1"));
        put(&records, "a", Access::Open, 0);
        assert!(!needs("a", "sha256:1"));
        put(&records, "b", Access::Credentials, 0);
        assert!(needs("c", "sha256:1") && !needs("b", "sha256:2"));
        put(&records, "d", Access::Open, 1);
        assert!(needs("d", "sha256:3"));
        let forgotten = name("d").to_string();
        records.update(&forgotten, |_| None).expect("removed");
        assert!(!needs("d", "sha256:3"));
    }
}
