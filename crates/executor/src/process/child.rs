//! Waiting for the processes that we have started, and for nobody else's.

use std::collections::HashMap;
use std::io;
use std::sync::{LazyLock, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use outrider_model::AttemptId;
use outrider_model::report::{Exit, Usage};
use tokio::io::unix::AsyncFd;

use super::clone::Cloned;
use super::readiness;
use crate::ExecResult;

/// The first processes of all scripts, by process id, which is also the id of their session. An
/// entry stays until its environment is cleaned up, since others of its session may outlive it.
/// The whole process has one, as it has one set of children.
static LEADERS: LazyLock<Mutex<HashMap<i32, Leader>>> = LazyLock::new(Mutex::default);

/// Held for reading from before a child is made until it is in `LEADERS`, and for writing by
/// whoever needs to know which of our children are not.
static BIRTHS: RwLock<()> = RwLock::new(());

#[derive(Clone, Copy)]
struct Leader {
    attempt: AttemptId,
    waited_for: bool,
}

/// Permission to make a child; see [`register`].
pub(crate) fn announce_birth() -> RwLockReadGuard<'static, ()> {
    BIRTHS.read().unwrap_or_else(PoisonError::into_inner)
}

/// While this is held every child of ours that is not a leader was started by someone else, or was
/// given to us by the kernel.
pub(crate) fn hold_births() -> RwLockWriteGuard<'static, ()> {
    BIRTHS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Notes whose child this is. An older entry with the same id is of a session that has ended, or
/// the kernel would not have given the id away again.
pub(crate) fn register(pid: i32, attempt: AttemptId, _birth: &RwLockReadGuard<'static, ()>) {
    leaders(|all| {
        all.insert(
            pid,
            Leader {
                attempt,
                waited_for: false,
            },
        )
    });
}

/// Forgets the leaders of an attempt. All its processes have ended.
pub(crate) fn forget(attempt: AttemptId) {
    leaders(|all| all.retain(|_, leader| leader.attempt != attempt));
}

/// Whose session this is.
pub(crate) fn attempt_of_session(session: i32) -> Option<AttemptId> {
    leaders(|all| all.get(&session).map(|leader| leader.attempt))
}

/// Whether someone here waits for this child.
pub(crate) fn is_awaited(pid: i32) -> bool {
    leaders(|all| all.get(&pid).is_some_and(|leader| !leader.waited_for))
}

fn leaders<T>(f: impl FnOnce(&mut HashMap<i32, Leader>) -> T) -> T {
    f(&mut LEADERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A running script.
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    pidfd: AsyncFd<std::os::fd::OwnedFd>,
}

impl Child {
    /// Starts to watch a child. If it cannot be watched, it is ended.
    pub fn watch(cloned: Cloned) -> io::Result<Self> {
        let Cloned { pid, pidfd } = cloned;
        match readiness::watch(pidfd) {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err((pidfd, cause)) => {
                let _ = super::proc::send(&pidfd, rustix::process::Signal::KILL);
                reap(pid);
                Err(cause)
            }
        }
    }

    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for its end. To be called until it has returned once; it may be dropped before.
    pub async fn wait(&self) -> io::Result<ExecResult> {
        // A pidfd becomes readable when the process ends, and stays so.
        self.pidfd.readable().await?.retain_ready();
        // In one go, or the id might have become that of a new leader in between.
        leaders(|all| {
            let result = wait4(self.pid);
            all.get_mut(&self.pid)
                .into_iter()
                .for_each(|leader| leader.waited_for = true);
            result
        })
    }
}

/// Waits for a child that has ended or is about to, and forgets how it ended.
pub(crate) fn reap(pid: i32) {
    let _ = wait4(pid);
}

#[expect(
    unsafe_code,
    reason = "wait4 also says what the process used, and no wrapper has it"
)]
fn wait4(pid: i32) -> io::Result<ExecResult> {
    let mut status = 0;
    // SAFETY: `rusage` is plain data, and the call writes only to the two locals.
    let (result, used) = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        let wait = || libc::wait4(pid, &raw mut status, 0, &raw mut used);
        (retry(wait), used)
    };
    result?;
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    Ok(ExecResult {
        exit,
        usage: Some(usage(&used)),
        out_of_memory: None,
    })
}

fn retry(mut call: impl FnMut() -> libc::pid_t) -> io::Result<()> {
    loop {
        if call() >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The kernel counts the peak from before the program was executed, when the child still had our
/// memory: so the peak is never less than the runner's own, a few megabytes.
fn usage(used: &libc::rusage) -> Usage {
    let kib = u64::try_from(used.ru_maxrss).unwrap_or(0);
    Usage {
        peak_rss_bytes: kib * 1024,
        cpu: duration(used.ru_utime) + duration(used.ru_stime),
    }
}

fn duration(time: libc::timeval) -> Duration {
    let micros = time
        .tv_sec
        .saturating_mul(1_000_000)
        .saturating_add(time.tv_usec);
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
