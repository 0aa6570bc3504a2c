//! Ends the processes of the container: all but this one.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process_group};
use tokio::time::{Instant, sleep};

use crate::ExecutorError;
use crate::process::orphans;
use crate::process::proc::{Identity, Stat};

/// How often we look whether processes have ended.
const PAUSE: Duration = Duration::from_millis(10);
/// How often those that were forked meanwhile are halted, too. Who forks faster is killed in the end.
const HALTING_ROUNDS: u32 = 8;
/// How long a killed process may take: one that waits for a disk ends only afterwards.
const KILL_DEADLINE: Duration = Duration::from_secs(30);

/// Whether this is the first process of its namespace: then all others there are are the job's.
pub(super) fn is_first() -> bool {
    getpid() == Pid::INIT
}

/// TERM to all, KILL to those that are left after `grace`.
pub(super) async fn stop(grace: Duration) -> io::Result<()> {
    let end = Instant::now() + grace;
    if !grace.is_zero() {
        tell_to_end()?;
    }
    while !members()?.is_empty() {
        if Instant::now() >= end {
            return kill().await;
        }
        sleep(PAUSE.min(end.saturating_duration_since(Instant::now()))).await;
    }
    Ok(())
}

/// TERM to all that there are. All are halted first, so that nobody forks meanwhile: what starts
/// afterwards is part of an orderly end, and is not told.
fn tell_to_end() -> io::Result<()> {
    let mut halted = HashSet::new();
    for _ in 0..HALTING_ROUNDS {
        let before = halted.len();
        for member in members()? {
            if halted.insert(member) {
                member.signal(Signal::STOP)?;
            }
        }
        if halted.len() == before {
            break;
        }
    }
    for signal in [Signal::TERM, Signal::CONT] {
        halted.iter().try_for_each(|member| member.signal(signal))?;
    }
    Ok(())
}

/// Kills all and waits until nothing is left.
pub(super) async fn kill() -> io::Result<()> {
    let end = Instant::now() + KILL_DEADLINE;
    loop {
        let left = members()?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if is_first() {
            kill_everybody();
        } else {
            left.iter()
                .try_for_each(|member| member.signal(Signal::KILL))?;
        }
        sleep(PAUSE).await;
        orphans::reap();
    }
}

pub(super) fn describe(error: io::Error) -> ExecutorError {
    let message = "the step's processes could not be ended\n\
        look at the container's host: one of them may wait for a disk that does not answer";
    ExecutorError::infrastructure(message, error)
}

/// Kills a process that leads a session, and its group.
pub(super) fn kill_session(leader: Identity) {
    // As long as it is not waited for, its id is not given away again.
    if Identity::of(leader.pid) == Some(leader)
        && let Some(group) = Pid::from_raw(leader.pid)
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// In one go: what forks faster than we look is hit, too.
#[expect(unsafe_code, reason = "no wrapper has the id that means everybody")]
fn kill_everybody() {
    // SAFETY: the call has no pointers; as the first process we reach only our own namespace.
    unsafe {
        libc::kill(-1, libc::SIGKILL);
    }
}

/// The processes that have not ended.
fn members() -> io::Result<Vec<Identity>> {
    let all = Stat::all()?;
    let own = getpid().as_raw_nonzero().get();
    let found = if is_first() {
        all.iter().filter(|stat| stat.identity.pid != own).collect()
    } else {
        descendants(&all, own)
    };
    let alive = found.into_iter().filter(|stat| !stat.zombie);
    Ok(alive.map(|stat| stat.identity).collect())
}

fn descendants(all: &[Stat], root: i32) -> Vec<&Stat> {
    let mut children: HashMap<i32, Vec<&Stat>> = HashMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child.identity.pid);
            found.push(child);
        }
    }
    found
}
