//! Where orbs come from.
//!
//! The compiler reads nothing from disk or network: it says which orbs it misses. A [`Resolver`]
//! gets them, one round after the other since orbs use orbs, from folders, from the cache, and from
//! their URL or the registry. The lock file holds each reference to the version and the text that
//! it had the first time.
//!
//! Choosing versions (`version`), the lock file's text (`lock`), packing an orb that is in pieces
//! (`source/tree.rs`) and the order of sources are pure; files and network are at the edge.

mod files;
mod hash;
mod http;
mod lock;
mod resolver;
mod settings;
mod source;
mod unresolved;
mod version;

pub use hash::{ContentHash, InvalidHash};
pub use http::Network;
pub use resolver::{Resolution, ResolveError, Resolver};
pub use settings::{InvalidSettings, Limits, Settings};
pub use source::{
    Cache, DEFAULT_REGISTRY, Directory, Found, Kind, Miss, Source, UrlPrefix, Wanted,
};
pub use unresolved::{Problem, Tried, Unresolved};
