//! Sets of files in a blob store.

mod chunk;
mod error;
mod manifest;
mod notes;
mod place;
mod restore;
mod save;
mod session;
mod state;
mod store;
mod tree;

pub use error::{Error, InvalidManifest};
pub use manifest::{Limits, Listed, ListedKind, Manifest};
pub use notes::{LeftOut, Notes};
pub use place::{Base, Bases, Place};
pub use restore::{RestoreRequest, RestoreStats, Restored, restore};
pub use save::{SaveRequest, SaveStats, Saved, save};
pub use session::Progress;
pub use store::{BlobError, BlobStore};
