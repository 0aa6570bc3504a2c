//! What the tests of archives share.

mod store;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outrider_archive::{
    Base, Bases, Error, Limits, Manifest, Place, RestoreRequest, Restored, SaveRequest, Saved,
    restore, save,
};
use outrider_model::blob::BlobHash;
use tokio_util::sync::CancellationToken;

pub use store::{Inner, MemoryStore};

/// A directory with trees in it, and a store.
pub struct World {
    pub directory: tempfile::TempDir,
    pub store: Arc<MemoryStore>,
}

impl World {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            store: Arc::default(),
        }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Saves all that is in a directory, as the job's working directory.
    pub async fn save(&self, from: &str) -> Result<Saved, Error> {
        self.save_with(self.request(from, &[""])).await
    }

    pub fn request(&self, from: &str, places: &[&str]) -> SaveRequest {
        let place = |path: &&str| Place::new(Base::Work, path).unwrap();
        SaveRequest {
            places: places.iter().map(place).collect(),
            bases: Bases::new().with(Base::Work, self.path(from)),
            state: None,
            cancel: CancellationToken::new(),
            progress: None,
        }
    }

    pub async fn save_with(&self, request: SaveRequest) -> Result<Saved, Error> {
        let saved = save(request, self.store.clone()).await?;
        self.store.commit(&saved.archive);
        Ok(saved)
    }

    pub async fn save_state(&self, from: &str, state: &str) -> Saved {
        let mut request = self.request(from, &[""]);
        request.state = Some(self.path(state));
        self.save_with(request).await.unwrap()
    }

    pub async fn manifest(&self, name: BlobHash) -> Result<Manifest, Error> {
        let cancel = CancellationToken::new();
        Manifest::fetch(name, self.store.clone(), Limits::default(), &cancel).await
    }

    /// Restores an archive into a directory.
    pub async fn restore(&self, saved: &Saved, to: &str) -> Result<Restored, Error> {
        self.restore_state(saved, to, None).await
    }

    pub async fn restore_state(
        &self,
        saved: &Saved,
        to: &str,
        state: Option<&str>,
    ) -> Result<Restored, Error> {
        let request = RestoreRequest {
            manifest: self.manifest(saved.archive.manifest).await?,
            bases: Bases::new().with(Base::Work, self.path(to)),
            state: state.map(|state| self.path(state)),
            cancel: CancellationToken::new(),
            progress: None,
        };
        restore(request, self.store.clone()).await
    }
}

/// All that a restore must bring back: of each path its kind, mode, time and content.
pub fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    list(root, root, &mut all);
    all
}

fn list(root: &Path, path: &Path, all: &mut BTreeMap<PathBuf, String>) {
    let metadata = fs::symlink_metadata(path).unwrap();
    let kind = metadata.file_type();
    let what = if kind.is_symlink() {
        format!("-> {:?}", fs::read_link(path).unwrap())
    } else {
        let mode = metadata.permissions().mode() & 0o7777;
        let content = if kind.is_file() {
            blake3::hash(&fs::read(path).unwrap()).to_string()
        } else {
            String::new()
        };
        let links = if kind.is_file() { metadata.nlink() } else { 0 };
        format!("{kind:?} {mode:o} {links} {content}")
    };
    let time = (metadata.mtime(), metadata.mtime_nsec());
    let relative = path.strip_prefix(root).unwrap().to_owned();
    all.insert(relative, format!("{what} {time:?}"));
    if kind.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            list(root, &entry.unwrap().path(), all);
        }
    }
}

/// Bytes that do not compress, and are others for each seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
