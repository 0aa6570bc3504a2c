//! What was fetched before.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use outrider_config::{OrbReference, OrbVersion};

use super::{Found, Kind, Miss, Source, Wanted, blocking, directory, parts};
use crate::files;
use crate::hash::ContentHash;
use crate::version::fits;

/// The first line of a file in the cache, before the hash of what follows.
const MARK: &str = "# fetched by Outrider, ";

/// What may change under its name is kept by its hash. No namespace has this name.
const BY_HASH: &str = "@content";

/// A folder that holds what other sources gave: released versions as `namespace/orb/1.2.3.yml`,
/// everything else by its hash. Each file begins with its hash, so that a damaged one is noticed.
/// Any number of processes may use it.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in this folder. It is made when there is something to keep.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Keeps an orb that another source gave.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub async fn keep(&self, orb: &Found) -> io::Result<()> {
        let (cache, orb) = (self.clone(), orb.clone());
        tokio::task::spawn_blocking(move || cache.write(&orb))
            .await
            .map_err(io::Error::other)?
    }

    fn write(&self, orb: &Found) -> io::Result<()> {
        let hash = ContentHash::of(&orb.text);
        let reference = orb.resolved.as_ref();
        let Some(path) = reference.and_then(|reference| self.place(reference, Some(hash))) else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        files::replace(&path, &format!("{MARK}{hash}\n{}", orb.text))
    }

    /// Where an orb of this version, or with this hash, is kept.
    fn place(&self, reference: &OrbReference, hash: Option<ContentHash>) -> Option<PathBuf> {
        match parts(reference) {
            Some((namespace, name, version @ OrbVersion::Exact(..))) => {
                let file = format!("{version}.yml");
                Some(self.root.join(namespace).join(name).join(file))
            }
            _ => {
                let file = format!("{}.yml", hash?.digits());
                Some(self.root.join(BY_HASH).join(file))
            }
        }
    }

    fn look(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let absent = || Miss::Absent(format!("has no {}", wanted.reference));
        let (path, resolved) = match self.place(&wanted.reference, wanted.hash) {
            Some(path) => (path, wanted.reference.clone()),
            None => self.newest(&wanted.reference).ok_or_else(absent)?,
        };
        // Damage here is not the user's: whoever has the orb may be asked, and mends it.
        let damaged = |problem| Miss::Absent(format!("has {}, which {problem}", path.display()));
        let text = checked(&path).map_err(damaged)?.ok_or_else(absent)?;
        if wanted
            .hash
            .is_some_and(|hash| hash != ContentHash::of(&text))
        {
            return Err(damaged("is not what the lock file says".to_owned()));
        }
        Ok(Found {
            name: None,
            resolved: Some(resolved),
            text,
        })
    }

    /// The newest version here that fits.
    fn newest(&self, reference: &OrbReference) -> Option<(PathBuf, OrbReference)> {
        let (namespace, name, wanted) = parts(reference)?;
        let folder = self.root.join(namespace).join(name);
        let found = directory::releases(&folder, "").ok()?;
        let newest = found
            .into_iter()
            .filter(|(release, _)| fits(wanted, *release))
            .max_by_key(|(release, _)| *release);
        newest.map(|((major, minor, patch), path)| {
            let resolved = OrbReference::Registry {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                version: OrbVersion::Exact(major, minor, patch),
            };
            (path, resolved)
        })
    }
}

/// The text of a file in the cache, if it is as it was written.
fn checked(path: &Path) -> Result<Option<String>, String> {
    let Some(whole) = files::read(path)? else {
        return Ok(None);
    };
    let parts = whole
        .strip_prefix(MARK)
        .and_then(|rest| rest.split_once('\n'));
    match parts {
        Some((hash, text)) if hash.parse() == Ok(ContentHash::of(text)) => {
            Ok(Some(text.to_owned()))
        }
        _ => Err("is damaged".to_owned()),
    }
}

#[async_trait]
impl Source for Cache {
    fn name(&self) -> String {
        format!("the cache {}", self.root.display())
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let (cache, wanted) = (self.clone(), wanted.clone());
        blocking(move || cache.look(&wanted)).await
    }

    fn kind(&self) -> Kind {
        Kind::Cache
    }
}
