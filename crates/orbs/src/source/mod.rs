//! Places that may have an orb.

mod built_in;
mod cache;
mod directory;
mod registry;
mod tree;
mod url;

pub use built_in::BuiltIn;
pub use cache::Cache;
pub use directory::Directory;
pub use registry::{DEFAULT_REGISTRY, Registry};
pub use url::{UrlOrbs, UrlPrefix};

use async_trait::async_trait;
use outrider_config::{OrbReference, OrbVersion};

use crate::hash::ContentHash;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which orb; the version that is locked, if one is.
    pub reference: OrbReference,
    /// What it must hold, if it is locked.
    pub hash: Option<ContentHash>,
}

impl Wanted {
    /// Whether no later version can take its place.
    pub const fn is_fixed(&self) -> bool {
        let exact = matches!(
            self.reference,
            OrbReference::Registry {
                version: OrbVersion::Exact(..),
                ..
            }
        );
        exact || self.hash.is_some()
    }
}

/// An orb that a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one it is, as exactly as its source knows. Nothing if it stands for every version:
    /// then there is nothing to lock.
    pub resolved: Option<OrbReference>,
    /// What to call it in messages, where its reference does not say it all.
    pub name: Option<String>,
    /// Its YAML.
    pub text: String,
}

/// Why a source gives no orb. The reasons are fragments that follow the name of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It is not there; the next source may have it.
    Absent(String),
    /// It is there and must not be used: the next source is not asked, since it would hide that.
    Unusable(String),
}

/// A place that may have an orb.
#[async_trait]
pub trait Source: Send + Sync {
    /// How people know it.
    fn name(&self) -> String;

    /// Looks for an orb.
    async fn find(&self, wanted: &Wanted) -> Result<Found, Miss>;

    /// What kind of place it is.
    fn kind(&self) -> Kind;
}

/// What kind of place a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user put orbs there.
    Folder,
    /// It is a part of the program.
    BuiltIn,
    /// What others gave before.
    Cache,
    /// What it gives is worth keeping.
    Remote,
}

/// The network, where it must not be used.
pub struct Offline;

#[async_trait]
impl Source for Offline {
    fn name(&self) -> String {
        "the network".to_owned()
    }

    async fn find(&self, _: &Wanted) -> Result<Found, Miss> {
        Err(Miss::Absent("is not used: --offline".to_owned()))
    }

    fn kind(&self) -> Kind {
        Kind::Remote
    }
}

/// Runs what waits for a disk on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Miss> + Send + 'static,
) -> Result<T, Miss> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Miss::Unusable(format!("could not be read: {error}"))))
}

/// The names of a reference to an orb that has a version, if it is one that a config can spell:
/// only then do its parts make names of files.
fn parts(reference: &OrbReference) -> Option<(&str, &str, &OrbVersion)> {
    let OrbReference::Registry {
        namespace,
        name,
        version,
    } = reference
    else {
        return None;
    };
    let spelled = reference.to_string().parse().ok();
    (spelled.as_ref() == Some(reference)).then_some((namespace, name, version))
}
