//! A cgroup of version 2 around all processes of an attempt: nothing that they do gets them out,
//! and the kernel itself can kill all of them at once. See the kernel's `cgroup-v2.rst`.
//!
//! Making and removing a cgroup takes longer than a short script runs, so each slot of the runner
//! keeps its own: `outrider-<runner>/slot-<n>` below the cgroup that the runner itself is in.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use outrider_model::AttemptId;
use rustix::fs::FlockOperation;

use super::clone::{self, Program, Stage};
use crate::cgroup::{Tree, locate};

/// The cgroup that this process is in, if cgroups can be made below it and killed.
/// The error says in words what is missing.
pub(super) fn find() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let (mounts, own) = (read("/proc/self/mountinfo")?, read("/proc/self/cgroup")?);
    let path = locate(&mounts, &own, Tree::Unified).ok_or("cgroup v2 is not mounted")?;
    let shown = path.display();
    rustix::fs::access(&path, rustix::fs::Access::WRITE_OK)
        .map_err(|error| format!("cgroups cannot be made below {shown}: {error}"))?;
    // The root has no such file, but its children do.
    if fs::exists(path.join("cgroup.kill")).unwrap_or(false) || has_killable_child(&path) {
        return Ok(path);
    }
    // Linux 5.14 brought it: without it only trying would tell, and trying is not for a look.
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    match kernel_version(&release) {
        Some(version) if version >= (5, 14) => Ok(path),
        _ => Err(format!(
            "Linux {release} cannot kill a cgroup, 5.14 and later can"
        )),
    }
}

/// Whether there is such a cgroup and it was made by [`Cgroups`]: a damaged handle must not make
/// us kill anything else.
pub(super) fn is_ours(path: &Path) -> bool {
    let starts = |path: Option<&Path>, start: &str| {
        path.and_then(Path::file_name)
            .is_some_and(|name| name.as_encoded_bytes().starts_with(start.as_bytes()))
    };
    starts(Some(path), "slot-") && starts(path.parent(), "outrider-") && path.exists()
}

fn has_killable_child(path: &Path) -> bool {
    subdirectories(path)
        .iter()
        .any(|child| child.join("cgroup.kill").exists())
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn subdirectories(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .flatten()
        .filter(is_directory)
        .map(|entry| entry.path())
        .collect()
}

/// The cgroups of one runner.
#[derive(Debug)]
pub(super) struct Cgroups {
    path: PathBuf,
    slots: Mutex<HashMap<usize, Arc<Cgroup>>>,
}

impl Cgroups {
    /// Makes the runner's cgroup and proves that processes can be started inside it.
    pub fn create(name: &str) -> Result<Self, String> {
        let path = find()?.join(format!("outrider-{name}"));
        let all = Self {
            path,
            slots: Mutex::default(),
        };
        let probe = format!("probe-{}", std::process::id());
        let probe = all
            .make(&probe)
            .map_err(|error| format!("{}: {error}", all.path.display()))?;
        let result = try_to_start_in(&probe);
        remove(&probe.path);
        result.map(|()| all)
    }

    /// An empty cgroup for an attempt: the slot's, or a new one if something is left in that or
    /// another runner of the same name has it.
    pub fn acquire(&self, slot: usize, attempt: AttemptId) -> io::Result<Arc<Cgroup>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = slots.get(&slot) {
            if known.in_use.load(Ordering::Acquire) {
                return self.make_extra(slot, attempt);
            }
            match known.is_empty() {
                Ok(true) => return Ok(known.take()),
                Ok(false) => return self.make_extra(slot, attempt),
                // It was removed, by someone or because it was killed.
                Err(_) => slots.remove(&slot),
            };
        }
        match self.make(&format!("slot-{slot}")) {
            Ok(new) if new.is_empty()? => {
                let new = Arc::new(new);
                slots.insert(slot, Arc::clone(&new));
                Ok(new.take())
            }
            Ok(_) => self.make_extra(slot, attempt),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.make_extra(slot, attempt)
            }
            Err(error) => Err(error),
        }
    }

    fn make_extra(&self, slot: usize, attempt: AttemptId) -> io::Result<Arc<Cgroup>> {
        let mut extra = self.make(&format!("slot-{slot}-{attempt}"))?;
        extra.is_extra = true;
        Ok(Arc::new(extra).take())
    }

    fn make(&self, name: &str) -> io::Result<Cgroup> {
        let path = self.path.join(name);
        fs::create_dir_all(&path)?;
        // Statistics of how long its processes wait cost something at each switch between them,
        // and nobody reads them. Linux 6.1 and later can do without.
        let _ = fs::write(path.join("cgroup.pressure"), "0");
        Cgroup::lock(path)
    }

    /// Removes what no attempt uses.
    pub fn remove_unused(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| slot.in_use.load(Ordering::Acquire) || !remove(&slot.path));
        let _ = fs::remove_dir(&self.path);
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.remove_unused();
    }
}

/// A container's system call filter, or rules of the parent cgroup, may forbid it.
fn try_to_start_in(cgroup: &Cgroup) -> Result<(), String> {
    let null = File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
    let nothing = Program {
        // A directory cannot be executed: the attempt fails, but only after what we want to know.
        path: c"/",
        arguments: &[std::ptr::null()],
        environment: &[std::ptr::null()],
        directory: c"/",
        stdin: null.as_fd(),
        stdout: null.as_fd(),
        stderr: null.as_fd(),
        credentials: None,
        expendable: false,
        cgroup: Some(cgroup.as_fd()),
        new_session: false,
    };
    match clone::start(&nothing) {
        Err((Stage::Clone, error)) => Err(format!(
            "processes cannot be started inside a cgroup: {error}"
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Removes a cgroup and those that processes in it have made. Says whether it is gone.
fn remove(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => return true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
        Err(_) => {}
    }
    subdirectories(path).iter().for_each(|child| {
        remove(child);
    });
    fs::remove_dir(path).is_ok()
}

/// One cgroup, held by a lock on its directory for as long as this lives: of two processes only
/// one has it.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    directory: File,
    events: File,
    in_use: AtomicBool,
    killed: AtomicBool,
    is_extra: bool,
}

impl Cgroup {
    /// Locks a cgroup that exists. `WouldBlock`: someone else has it.
    pub fn lock(path: PathBuf) -> io::Result<Self> {
        let directory = File::open(&path)?;
        rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
        let events = File::open(path.join("cgroup.events"))?;
        let in_use = AtomicBool::new(false);
        Ok(Self {
            path,
            directory,
            events,
            in_use,
            killed: AtomicBool::new(false),
            is_extra: false,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    fn take(self: &Arc<Self>) -> Arc<Self> {
        self.in_use.store(true, Ordering::Release);
        Arc::clone(self)
    }

    /// Gives it back. Its processes have ended. One that was killed is not used again: Linux 6.18
    /// kills whatever is started in it later, too.
    pub fn release(&self) {
        if self.is_extra || self.killed.load(Ordering::Acquire) {
            remove(&self.path);
        }
        self.in_use.store(false, Ordering::Release);
    }

    /// Removes it for good, and the runner's if it was the last. Its processes have ended.
    pub fn remove(&self) {
        remove(&self.path);
        if let Some(parent) = self.path.parent() {
            let _ = fs::remove_dir(parent);
        }
    }

    /// Whether no process is in it or below it. Those that have ended and were not waited for do
    /// not count.
    pub fn is_empty(&self) -> io::Result<bool> {
        let mut text = [0; 128];
        let length = self.events.read_at(&mut text, 0)?;
        Ok(text[..length]
            .split(|&byte| byte == b'\n')
            .any(|line| line == b"populated 0"))
    }

    /// The ids of the processes in it and below it.
    pub fn processes(&self) -> io::Result<Vec<i32>> {
        let mut found = Vec::new();
        collect(&self.path, &mut found)?;
        Ok(found)
    }

    /// Kills all that is in it and below it, also what is being forked at this moment.
    pub fn kill(&self) -> io::Result<()> {
        self.killed.store(true, Ordering::Release);
        fs::write(self.path.join("cgroup.kill"), "1")
    }
}

fn collect(path: &Path, found: &mut Vec<i32>) -> io::Result<()> {
    match fs::read_to_string(path.join("cgroup.procs")) {
        Ok(text) => found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
        // Of a threaded cgroup the one above it lists the processes.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    subdirectories(path)
        .iter()
        .try_for_each(|child| collect(child, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_compare_by_number() {
        assert!(kernel_version("5.9.0-1-amd64") < kernel_version("5.14.0"));
        assert_eq!(kernel_version("6.18.44-fc-v509"), Some((6, 18)));
        assert_eq!(kernel_version("weird"), None);
    }
}
