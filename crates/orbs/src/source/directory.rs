//! A folder of orbs.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use outrider_config::{OrbReference, OrbVersion};

use super::{Found, Kind, Miss, Source, Wanted, blocking, parts, tree};
use crate::files;
use crate::version::{Release, fits, release};

/// A folder that holds orbs, in any of these forms:
///
/// - `namespace/orb/1.2.3.yml` and `namespace/orb@1.2.3.yml`: a version. The newest that fits is
///   taken;
/// - `namespace/orb.yml`: stands for every version that is not there as a file of its own;
/// - `namespace/orb/` or `namespace/orb/src/` with `@orb.yml`: the same, in pieces.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// A folder of orbs.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a reference could lie.
    pub fn place(root: &Path, reference: &OrbReference) -> Option<PathBuf> {
        let (namespace, name, version) = parts(reference)?;
        let file = match version {
            OrbVersion::Exact(..) => format!("{name}/{version}.yml"),
            _ => format!("{name}.yml"),
        };
        Some(root.join(namespace).join(file))
    }

    fn look(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let Some((namespace, name, version)) = parts(&wanted.reference) else {
            return Err(Miss::Absent("has no orbs of this kind".to_owned()));
        };
        let folder = self.root.join(namespace);
        if let Some((path, version)) = versioned(&folder, name, version)? {
            let resolved = OrbReference::Registry {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                version,
            };
            if let Some(text) = read(&path)? {
                let resolved = Some(resolved);
                let name = None;
                return Ok(Found {
                    resolved,
                    name,
                    text,
                });
            }
        }
        let text = match read(&folder.join(format!("{name}.yml")))? {
            Some(text) => Some(text),
            None => tree::read(&folder.join(name))
                .map_err(|problem| Miss::Unusable(format!("has it in pieces: {problem}")))?,
        };
        let found = text.map(|text| Found {
            resolved: None,
            name: None,
            text,
        });
        found.ok_or_else(|| Miss::Absent(format!("has no {}", wanted.reference)))
    }
}

#[async_trait]
impl Source for Directory {
    fn name(&self) -> String {
        self.root.display().to_string()
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss> {
        let (directory, wanted) = (self.clone(), wanted.clone());
        blocking(move || directory.look(&wanted)).await
    }

    fn kind(&self) -> Kind {
        Kind::Folder
    }
}

/// The file with the version that is wanted.
fn versioned(
    folder: &Path,
    name: &str,
    version: &OrbVersion,
) -> Result<Option<(PathBuf, OrbVersion)>, Miss> {
    if let OrbVersion::Dev(label) = version {
        // A label may have slashes, a name of a file may not.
        let file = format!("dev:{}.yml", label.replace('/', "_"));
        let places = [
            folder.join(name).join(&file),
            folder.join(format!("{name}@{file}")),
        ];
        let path = places.into_iter().find(|path| path.is_file());
        return Ok(path.map(|path| (path, version.clone())));
    }
    let beside = releases(folder, &format!("{name}@"))?;
    let newest = releases(&folder.join(name), "")?
        .into_iter()
        .chain(beside)
        .filter(|(found, _)| fits(version, *found))
        .max_by_key(|(found, _)| *found);
    Ok(newest.map(|((major, minor, patch), path)| (path, OrbVersion::Exact(major, minor, patch))))
}

/// The files of a folder that are named `<prefix>1.2.3.yml`.
pub(super) fn releases(folder: &Path, prefix: &str) -> Result<Vec<(Release, PathBuf)>, Miss> {
    let paths = files::list(folder).map_err(|problem| unusable(folder, &problem))?;
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str());
        let version = name.and_then(|name| name.strip_prefix(prefix)?.strip_suffix(".yml"));
        found.extend(version.and_then(release).map(|it| (it, path.clone())));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Option<String>, Miss> {
    files::read(path).map_err(|problem| unusable(path, &problem))
}

fn unusable(path: &Path, problem: &str) -> Miss {
    Miss::Unusable(format!("has {}, which {problem}", path.display()))
}
