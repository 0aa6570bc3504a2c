//! Mirrors: a bare repository on the runner's disk for each repository that its jobs check out, so
//! that the next checkout fetches only what is new.
//!
//! A mirror belongs to a project, a trust tier and a URL. Whoever fetches into it holds its lock,
//! which the system frees when the process ends. Repositories that are made from a mirror have its
//! objects as hard links: a mirror can be merged, removed or made anew at any time, and a job that
//! destroys its own repository harms nobody.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use outrider_model::Timestamp;
use outrider_model::plan::Trigger;

use crate::attempt::StepContext;

/// How often it is asked whether a lock is free.
const POLL: Duration = Duration::from_millis(100);
/// How often somebody who waits says so: more often than a step may be silent.
pub const SAY: Duration = Duration::from_secs(60);
/// After how long without a checkout a mirror is removed.
const UNUSED: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Host keys of code hosts, as they publish them, so that nobody can pose as one of them at first.
const HOST_KEYS: &str = include_str!("known_hosts");

/// All mirrors of a runner.
#[derive(Debug)]
pub struct Mirrors(PathBuf);

/// The mirror of one repository, with its lock.
#[derive(Debug)]
pub struct Mirror {
    path: PathBuf,
    lock: File,
}

impl Mirrors {
    /// The directory, made if it is not there.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
        let mirrors = Self(directory.to_owned());
        let made = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(mirrors.known_hosts());
        match made {
            Ok(mut file) => file.write_all(HOST_KEYS.as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(mirrors)
    }

    /// The SSH host keys that this runner has seen.
    pub fn known_hosts(&self) -> PathBuf {
        Self::known_hosts_in(&self.0)
    }

    /// That file, among mirrors in this directory.
    pub fn known_hosts_in(directory: &Path) -> PathBuf {
        directory.join("known_hosts")
    }

    /// Where the mirror of a repository is. Pipelines that are not trusted have their own.
    pub fn path(&self, trigger: &Trigger, url: &str) -> PathBuf {
        let tier = if trigger.untrusted {
            "untrusted"
        } else {
            "trusted"
        };
        let mut hash = blake3::Hasher::new();
        for part in [trigger.project.as_str(), tier, url] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let name = hash.finalize().to_hex();
        self.0.join(format!("{}.git", &name[..32]))
    }

    /// Removes mirrors that nobody has used for long.
    pub async fn sweep(self, now: Timestamp) {
        let sweeping = move || {
            let items = self.0.read_dir().into_iter().flatten().flatten();
            let mirrors = items.map(|item| item.path());
            for path in mirrors.filter(|path| path.extension().is_some_and(|it| it == "git")) {
                if is_old(&path, now)
                    && let Err(error) = remove_unused(&path)
                {
                    tracing::warn!("cannot remove the mirror {}: {error}", path.display());
                }
            }
        };
        // It cannot fail, and the checkout does not depend on it.
        let _ = tokio::task::spawn_blocking(sweeping).await;
    }
}

fn is_old(mirror: &Path, now: Timestamp) -> bool {
    let used = lock_path(mirror).metadata();
    let used = used.map_or(0, |meta| meta.mtime() * 1000);
    let unused = u64::try_from(now.as_millis() - used).unwrap_or(0);
    unused > UNUSED.as_millis() as u64
}

/// One that is in use now is passed over.
fn remove_unused(path: &Path) -> io::Result<()> {
    match Mirror::try_lock(path.to_owned())? {
        Some(mirror) => {
            mirror.remove()?;
            std::fs::remove_file(lock_path(path))
        }
        None => Ok(()),
    }
}

impl Mirror {
    /// Waits until nobody else fetches into it. None if the step is stopped first.
    pub async fn lock(context: &StepContext, path: PathBuf) -> io::Result<Option<Self>> {
        let mut silent = SAY;
        loop {
            if let Some(mut mirror) = Self::try_lock(path.clone())? {
                mirror.sign(context)?;
                return Ok(Some(mirror));
            }
            if silent >= SAY {
                silent = Duration::ZERO;
                let holder = std::fs::read_to_string(lock_path(&path)).unwrap_or_default();
                context
                    .say(&format!(
                        "Waiting for {}, which fetches the same repository",
                        if holder.is_empty() {
                            "another task"
                        } else {
                            &holder
                        }
                    ))
                    .await;
            }
            let pause = tokio::time::sleep(POLL);
            if context.stop.run_until_cancelled(pause).await.is_none() {
                return Ok(None);
            }
            silent += POLL;
        }
    }

    fn try_lock(path: PathBuf) -> io::Result<Option<Self>> {
        let lock_path = lock_path(&path);
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // It may have been removed with its mirror before it was locked.
        let still_there = lock_path
            .metadata()
            .is_ok_and(|meta| lock.metadata().is_ok_and(|own| own.ino() == meta.ino()));
        Ok(still_there.then_some(Self { path, lock }))
    }

    /// Says who holds it, for those who wait, and that it is used.
    fn sign(&mut self, context: &StepContext) -> io::Result<()> {
        let payload = &context.task.payload;
        self.lock.set_len(0)?;
        self.lock.rewind()?;
        write!(
            self.lock,
            "job {} (number {}) of pipeline {}",
            payload.job_name, payload.job_number, payload.pipeline_number
        )
    }

    /// How large it is, including what is arriving.
    pub fn bytes(&self) -> u64 {
        let packs = self.path.join("objects/pack").read_dir();
        let files = packs.into_iter().flatten().flatten();
        files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away, so that it is made anew.
    pub fn remove(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Whatever it is, it is in the way.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                std::fs::remove_file(&self.path)
            }
            removed => removed,
        }
    }
}

fn lock_path(mirror: &Path) -> PathBuf {
    mirror.with_extension("lock")
}
