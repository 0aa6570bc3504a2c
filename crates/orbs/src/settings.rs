//! What the caller says about sources.

use std::path::PathBuf;

use outrider_model::secret::Token;

use crate::http::Network;
use crate::source::{DEFAULT_REGISTRY, UrlPrefix};

/// Where orbs may come from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folders of orbs; the first that has one wins.
    pub directories: Vec<PathBuf>,
    /// Where fetched orbs are kept.
    pub cache: Option<PathBuf>,
    /// Below which URLs orbs may lie.
    pub url_prefixes: Vec<UrlPrefix>,
    /// The registry's URL.
    pub registry: String,
    /// For orbs that are not public. Sent to the registry only.
    pub token: Option<Token>,
    /// Whether nobody is asked over the network.
    pub offline: bool,
    /// Whether versions are chosen anew, whatever the lock file says.
    pub update: bool,
    /// How the network is used.
    pub network: Network,
    /// Bounds on the work.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directories: Vec::new(),
            cache: None,
            url_prefixes: Vec::new(),
            registry: DEFAULT_REGISTRY.to_owned(),
            token: None,
            offline: false,
            update: false,
            network: Network::default(),
            limits: Limits::default(),
        }
    }
}

/// Bounds on what one config may need.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many orbs.
    pub orbs: usize,
    /// How many bytes they have together.
    pub bytes: usize,
    /// How deep orbs may use orbs.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            orbs: 200,
            bytes: 16 * 1024 * 1024,
            depth: 20,
        }
    }
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSettings(pub String);
