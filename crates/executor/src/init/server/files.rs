//! Files inside, touched with the rights of the steps' user: by a thread that has no others.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tokio::sync::oneshot;

use super::processes::is_first;
use crate::ExecutorError;
use crate::init::protocol::FileAction;
use crate::process::clone::Credentials;

/// The thread. None of its work waits for anybody: what opens a file makes it first.
pub(super) struct Files {
    orders: Sender<Box<dyn FnOnce() + Send>>,
}

impl Files {
    /// Starts it.
    pub fn start(credentials: Option<Credentials>) -> io::Result<Self> {
        let (orders, taken) = channel();
        let (tell, told) = channel();
        std::thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || serve(credentials.as_ref(), &tell, &taken))?;
        told.recv().map_err(io::Error::other)??;
        Ok(Self { orders })
    }

    /// Does it, for the runner.
    pub async fn act(
        &self,
        action: FileAction,
        path: String,
        bytes: Bytes,
    ) -> Result<bool, ExecutorError> {
        let shown = path.clone();
        let done = self.run(move || act(action, Path::new(&path), &bytes));
        done.await.map_err(|error| refused(action, &shown, error))
    }

    /// Does it as the steps' user.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (tell, told) = oneshot::channel();
        let order = Box::new(move || drop(tell.send(work())));
        self.orders
            .send(order)
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        told.await.map_err(io::Error::other)?
    }
}

fn serve(
    credentials: Option<&Credentials>,
    tell: &Sender<io::Result<()>>,
    orders: &Receiver<Box<dyn FnOnce() + Send>>,
) {
    let become_user = credentials.map_or(Ok(()), assume);
    let failed = become_user.is_err();
    if tell.send(become_user).is_err() || failed {
        return;
    }
    for order in orders {
        order();
    }
}

/// This thread alone gives up all rights but those of the user. No process of that user can look
/// into it: the init is not dumpable, and its signals do not end it.
fn assume(user: &Credentials) -> io::Result<()> {
    let groups: Vec<_> = user.groups.iter().map(|&id| Gid::from_raw(id)).collect();
    set_thread_groups(&groups)?;
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid)?;
    // Whoever changes its user becomes as dumpable as the host says (`fs.suid_dumpable`), and with
    // this thread the whole init.
    if is_first() {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

fn refused(action: FileAction, path: &str, source: io::Error) -> ExecutorError {
    let what = match action {
        FileAction::Write { .. } => {
            format!("the file `{path}` could not be written in the container")
        }
        FileAction::Exists => format!("`{path}` could not be looked for in the container"),
        FileAction::Remove => format!("`{path}` could not be removed in the container"),
    };
    let (error, advice): (fn(String, io::Error) -> ExecutorError, _) = match source.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => (
            ExecutorError::infrastructure,
            "the container's disk is full: free some space on its host",
        ),
        Some(_) => (
            ExecutorError::user,
            "choose a path that the steps' user may use",
        ),
        None => (
            ExecutorError::infrastructure,
            "look at the container's limits on memory and processes",
        ),
    };
    error(format!("{what}\n{advice}"), source)
}

fn act(action: FileAction, path: &Path, bytes: &[u8]) -> io::Result<bool> {
    match action {
        FileAction::Write { mode, .. } => write(path, mode, bytes).map(|()| true),
        FileAction::Exists => exists(path),
        FileAction::Remove => remove(path),
    }
}

/// The old file stays until the new one is whole.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(parent)?;
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(".outrider-part");
    let draft = path.with_file_name(draft);
    // Left by a writer that was ended.
    let _ = fs::remove_file(&draft);
    let written = fill(&draft, mode, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

fn fill(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))
}

fn exists(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<bool> {
    let is_folder = match path.symlink_metadata() {
        Ok(found) => found.is_dir(),
        Err(error) if is_absence(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    if is_folder {
        crate::process::remove_all(path)?;
    } else {
        fs::remove_file(path)?;
    }
    Ok(true)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}
