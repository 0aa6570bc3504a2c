//! Sets of files in a blob store: what caches and workspaces are made of.
//!
//! [`save()`] stores files as an archive, [`restore()`] brings them back. Each content is stored once,
//! and what is already there is neither stored nor fetched again. Where blobs are is the business
//! of whoever implements [`BlobStore`].
//!
//! ```
//! # use std::sync::Arc;
//! # use outrider_archive::*;
//! # use tokio_util::sync::CancellationToken;
//! # async fn example(store: Arc<dyn BlobStore>) -> Result<(), Error> {
//! let saved = save(
//!     SaveRequest {
//!         places: vec![Place::new(Base::Work, "node_modules")?],
//!         bases: Bases::new().with(Base::Work, "/home/me/project"),
//!         state: Some("/var/lib/runner/node_modules.tree".into()),
//!         cancel: CancellationToken::new(),
//!         progress: None,
//!     },
//!     store.clone(),
//! )
//! .await?;
//!
//! let cancel = CancellationToken::new();
//! let name = saved.archive.manifest;
//! let manifest = Manifest::fetch(name, store.clone(), Limits::default(), &cancel).await?;
//! let restored = restore(
//!     RestoreRequest {
//!         manifest,
//!         bases: Bases::new().with(Base::Work, "/home/other/project"),
//!         state: None,
//!         cancel,
//!         progress: None,
//!     },
//!     store,
//! )
//! .await?;
//! println!("{} files written", restored.stats.written);
//! # Ok(())
//! # }
//! ```
//!
//! # Format
//!
//! The *content* of an archive is the data of its files, one after the other in the order of their
//! paths, without holes. The *manifest* has all the rest: paths, kinds, modes, times, and where the
//! content is. A tar stream would mix the two, and then a new time stamp makes a new chunk; here it
//! changes a few bytes of the manifest.
//!
//! - The content is divided into *segments*: runs of small files, single files from 128 KiB on, and
//!   pieces of 16 MiB of larger ones. A path decides by its hash whether a small file begins a
//!   segment, so a change moves no border elsewhere.
//! - A segment is cut into *chunks* by FastCDC: 16 KiB to 1 MiB, 128 KiB on average. A chunk is named
//!   by the BLAKE3 of its bytes and stored as a zstd frame.
//! - Chunks lie side by side in *packs* of 4 to 5 MiB, named by the BLAKE3 of theirs.
//! - The manifest is a zstd frame after eight bytes that name the kind and the version. One that is
//!   too long for a blob is divided, and its blob names the parts; [`Archive::packs`] has them, too.
//! - Paths start from a [`Base`], so that a cache of one home can be restored into another.
//!
//! # Promises
//!
//! - Regular, empty and sparse files, directories, symlinks and hard links come back with content,
//!   mode and time, whatever bytes their names have. Owners do not, nor do the bits that let a
//!   program run with another user's rights. Sockets, FIFOs and devices are passed over and named.
//! - Every chunk and every file is checked against its hash before it counts as restored. Damage is
//!   an error. A file is whole or as it was before, also if the process is killed: it is written
//!   under a temporary name beside its place, and put there last. What a killed process leaves are
//!   files named `.outrider-*.part`; no save takes them along, and nobody removes them.
//! - Several restores may go to the same place at the same time: each file is then one of theirs,
//!   and no tree state vouches for the content of another one's.
//! - A manifest is believed only what keeps its rules: no path leads out of its base, none is there
//!   twice, none lies below a symlink. Below the roots of an archive no symlink is followed, neither
//!   when it is saved nor when it is restored; on the way from a base to a root those that the user
//!   made are. Nothing is written where [`Bases`] does not allow it.
//! - A [tree state](SaveRequest::state) only saves work. It is believed where a file's device, inode,
//!   size and times are those it had, and its time is old enough that every later change shows.
//! - Files that change while they are read are taken as they were at one moment as far as that can
//!   be told; those that go away or become shorter are left out and [named](Notes).
//!
//! # Limits
//!
//! A transfer works on at most four threads, each with at most 14 MB of content in memory. Beside
//! that, an archive takes some 200 bytes for each entry and 100 for each chunk. Directories may be
//! nested 128 deep.
//!
//! [`Archive::packs`]: outrider_model::blob::Archive::packs

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
