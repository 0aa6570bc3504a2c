//! Restoring.

mod compare;
mod fetch;
mod fill;
mod finish;
mod lay;
mod write;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::manifest::{Entry, Kind, Manifest};
use crate::place::{Base, Bases};
use crate::session::{Progress, Session};
use crate::state::{TreeState, join};
use crate::store::BlobStore;
use crate::tree::directories::OpenBases;
use crate::tree::{Identity, Time};

/// What is to be restored, and where to.
pub struct RestoreRequest {
    /// What the archive holds.
    pub manifest: Manifest,
    /// Where its files go.
    pub bases: Bases,
    /// The tree state of an earlier save or restore of the same files. It is replaced.
    pub state: Option<PathBuf>,
    /// Ends the restore.
    pub cancel: CancellationToken,
    /// Told how many bytes of files are done.
    pub progress: Option<Progress>,
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// How much work it was.
    pub stats: RestoreStats,
    /// Why the tree state could not be written. The next transfer is slower for it.
    pub state: Option<String>,
}

/// How much work a restore was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreStats {
    /// So many files with data were there already.
    pub kept: u64,
    /// So many were written.
    pub written: u64,
    /// So many bytes of files were written.
    pub bytes: u64,
    /// So many bytes came from the store in packs.
    pub fetched: u64,
}

/// What all parts of a restore share.
struct Restore<'a> {
    session: &'a Session,
    bases: &'a OpenBases,
    manifest: &'a Manifest,
    old: Option<&'a TreeState>,
    /// For each entry the one of the old manifest with the same path.
    old_entries: Vec<Option<u32>>,
}

/// Restores an archive. What is there already is not fetched; what is not in the archive is left
/// alone; what is in the way is replaced.
///
/// # Errors
/// The archive holds what may not be restored here, a file cannot be written, the store fails or
/// has damaged blobs, or somebody cancels. Then some files may be restored and others not, but each
/// is whole.
pub async fn restore(
    request: RestoreRequest,
    store: Arc<dyn BlobStore>,
) -> Result<Restored, Error> {
    let cancel = request.cancel.clone();
    let progress = request.progress.clone();
    let restore = move |session: &Session| restore_with(request, session);
    Session::run(store, &cancel, progress, restore).await
}

fn restore_with(request: RestoreRequest, session: &Session) -> Result<Restored, Error> {
    let RestoreRequest {
        manifest,
        bases,
        state: path,
        ..
    } = request;
    check_allowed(&manifest, &bases)?;
    let old = path.as_deref().and_then(TreeState::load);
    if let Some(path) = &path {
        forget(path)?;
    }
    make_bases(&manifest, &bases)?;
    let bases = OpenBases::open(bases)?;
    let others = old.as_ref().map(|old| &old.manifest.entries[..]);
    let restore = Restore {
        session,
        bases: &bases,
        manifest: &manifest,
        old: old.as_ref(),
        old_entries: join(manifest.entries.iter(), others.unwrap_or_default()),
    };
    let fresh = restore.lay_directories()?;
    let (wanted, mut identities) = restore.compare(&fresh)?;
    let stats = restore.fill(&wanted, &mut identities)?;
    restore.link(&mut identities)?;
    restore.finish_directories()?;
    let state = path.and_then(|path| {
        let state = TreeState {
            taken: taken(&identities),
            manifest,
            identities,
        };
        state.write(&path).err().map(|error| error.to_string())
    });
    Ok(Restored { stats, state })
}

/// When the state is taken. What was written in this tick of the clock cannot be trusted: if that is
/// much, the next tick is sooner there than all of it is read again.
fn taken(identities: &[Option<Identity>]) -> Time {
    let much_is_fresh = |now: Time| {
        let files = identities.iter().flatten();
        let fresh = files.filter(|file| !file.changed.is_surely_before(now));
        fresh.map(|file| file.size).sum::<u64>() >= MUCH
    };
    // In vain where times are of whole seconds.
    for _ in 0..LOOKS {
        if !much_is_fresh(Time::now()) {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Time::now()
}

/// Everything must go where the caller lets it go.
fn check_allowed(manifest: &Manifest, bases: &Bases) -> Result<(), Error> {
    let roots = manifest.entries.iter().filter(|entry| entry.is_root());
    for root in roots {
        if !bases.allows(root.base, &root.path) {
            return Err(Error::NotAllowed {
                base: root.base,
                path: bases.real(root.base, &root.path),
            });
        }
    }
    Ok(())
}

/// Removes the tree state: it is not right any more once files are replaced, and whoever dies
/// while they are must not leave it behind.
fn forget(path: &std::path::Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file("remove", path.to_owned(), error))
        }
        _ => Ok(()),
    }
}

fn make_bases(manifest: &Manifest, bases: &Bases) -> Result<(), Error> {
    for base in Base::ALL {
        let used = manifest.entries.iter().any(|entry| entry.base == base);
        if let Some(directory) = bases.directory(base).filter(|_| used) {
            fs::create_dir_all(directory)
                .map_err(|error| Error::file("create", directory.to_owned(), error))?;
        }
    }
    Ok(())
}

impl Restore<'_> {
    /// The mode that an entry gets. To run with the rights of another user is not restored.
    fn mode(entry: &Entry) -> u16 {
        match entry.kind {
            Kind::Directory => entry.mode & 0o1777,
            _ => entry.mode & 0o777,
        }
    }

    /// The identity that the tree state knows of a file whose content is the wanted one.
    fn known(&self, number: usize) -> Known {
        let Some((old, at)) = self.old.zip(self.old_entries[number]) else {
            return Known::Nothing;
        };
        let (Kind::File(file), Kind::File(old_file)) = (
            &self.manifest.entries[number].kind,
            &old.manifest.entries[at as usize].kind,
        ) else {
            return Known::Nothing;
        };
        match old.identity(at) {
            Some(identity) if file == old_file => Known::Same(identity),
            Some(identity) => Known::Other(identity),
            None => Known::Nothing,
        }
    }

    fn failed(
        &self,
        action: &'static str,
        entry: &Entry,
    ) -> impl Fn(rustix::io::Errno) -> Error + use<'_> {
        let path = self.bases.names.real(entry.base, &entry.path);
        move |error| Error::file(action, path.clone(), error)
    }
}

/// So many bytes take longer to be read than a tick of the clock.
const MUCH: u64 = 1 << 20;
/// A tick takes 10 ms at most.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS: u32 = 20;

/// What the tree state knows of a file.
enum Known {
    /// With this identity it has the wanted content.
    Same(Identity),
    /// With this identity it has another one.
    Other(Identity),
    Nothing,
}
