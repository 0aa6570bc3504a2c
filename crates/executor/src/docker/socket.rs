//! The Engine's socket, for jobs that may have it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::engine::Engine;
use super::own_container::OwnContainer;

/// What a container needs to use its Engine's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// Where it is on the Engine's host, which is not where a runner in a container sees it.
    pub path: String,
    /// The group that may use it. None: its owner alone, who is root of the containers of an Engine
    /// without root. Such an Engine has other numbers for the host's groups.
    pub group: Option<u32>,
}

impl Socket {
    /// None: the Engine has no socket here, or the host's name for it cannot be known.
    pub fn find(engine: &Engine, own: Option<&OwnContainer>) -> Option<Self> {
        let seen = engine.socket()?;
        let path = match own {
            Some(own) => own.on_host(seen)?,
            None => seen.to_owned(),
        };
        Some(Self {
            path: path.to_str()?.to_owned(),
            group: fs::metadata(seen)
                .ok()
                .filter(|_| !engine.is_rootless())
                .map(|it| it.gid()),
        })
    }
}
