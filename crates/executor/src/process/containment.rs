//! What holds the processes of one attempt together, and how all of them are ended.

use std::collections::HashSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::cgroup::Cgroup;
use super::orphans;
use super::proc::Identity;
use super::sweep::Sweep;

/// How long killed processes may take to disappear before that is an error: the kernel ends one
/// only when its system call lets it, and a dead disk or network share may not.
const KILL_DEADLINE: Duration = Duration::from_secs(60);
/// How often TERM is sent to processes that were forked meanwhile. What starts later is more
/// likely to be part of an orderly end.
const TERM_ROUNDS: u32 = 8;

#[derive(Clone, Debug)]
pub(super) enum Containment {
    Cgroup(Arc<Cgroup>),
    Sweep(Arc<Sweep>),
}

impl Containment {
    /// Where new processes must be started, if that matters.
    pub fn cgroup(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Cgroup(cgroup) => Some(cgroup.as_fd()),
            Self::Sweep(_) => None,
        }
    }

    /// TERM to all, KILL to those that are left after `grace`.
    pub async fn terminate(&self, grace: Duration) -> io::Result<()> {
        let end = Instant::now() + grace;
        let mut told = HashSet::new();
        for _ in 0..TERM_ROUNDS {
            let new = self.tell_to_end(told).await?;
            told = new.1;
            if new.0 == 0 {
                break;
            }
        }
        let mut pause = Pause::default();
        while !self.is_empty().await? {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.kill().await;
            }
            pause.wait(left).await;
        }
        Ok(())
    }

    /// Kills all and waits until nothing is left. Quick if nothing is there.
    pub async fn kill(&self) -> io::Result<()> {
        let end = Instant::now() + KILL_DEADLINE;
        match self {
            Self::Cgroup(cgroup) => kill_cgroup(cgroup, end).await?,
            Self::Sweep(sweep) => kill_by_sweeps(sweep, end).await?,
        }
        Ok(())
    }

    async fn is_empty(&self) -> io::Result<bool> {
        match self {
            Self::Cgroup(cgroup) => cgroup.is_empty(),
            Self::Sweep(sweep) => {
                let sweep = Arc::clone(sweep);
                blocking(move || Ok(sweep.members()?.is_empty())).await
            }
        }
    }

    /// Sends TERM to all that are not in `told`; returns how many that were, and `told` with them.
    async fn tell_to_end(&self, told: HashSet<Identity>) -> io::Result<(usize, HashSet<Identity>)> {
        match self {
            // Not on another thread: that would go on if the caller gives up, and might then find
            // the next attempt in the cgroup.
            Self::Cgroup(_) => self.tell_members_to_end(told),
            Self::Sweep(_) => {
                let containment = self.clone();
                blocking(move || containment.tell_members_to_end(told)).await
            }
        }
    }

    fn tell_members_to_end(
        &self,
        mut told: HashSet<Identity>,
    ) -> io::Result<(usize, HashSet<Identity>)> {
        let before = told.len();
        for member in self.members()? {
            if told.insert(member) {
                member.signal(Signal::TERM)?;
                // One that is stopped would not notice.
                member.signal(Signal::CONT)?;
            }
        }
        Ok((told.len() - before, told))
    }

    fn members(&self) -> io::Result<Vec<Identity>> {
        match self {
            Self::Cgroup(cgroup) => {
                let listed = cgroup.processes()?;
                let seen: Vec<_> = listed.into_iter().filter_map(Identity::of).collect();
                // An id may have gone to a stranger before we looked at it: only those still
                // listed are ours.
                let still: HashSet<_> = cgroup.processes()?.into_iter().collect();
                Ok(seen
                    .into_iter()
                    .filter(|member| still.contains(&member.pid))
                    .collect())
            }
            Self::Sweep(sweep) => Ok(sweep
                .members()?
                .into_iter()
                .map(|stat| stat.identity)
                .collect()),
        }
    }
}

async fn kill_cgroup(cgroup: &Cgroup, end: Instant) -> io::Result<()> {
    let mut pause = Pause::default();
    let mut killed = false;
    while !cgroup.is_empty()? {
        if !killed {
            cgroup.kill()?;
            killed = true;
        }
        if Instant::now() >= end {
            return Err(undying(&cgroup.processes()?));
        }
        pause.wait(KILL_DEADLINE).await;
    }
    if killed {
        spawn_blocking(orphans::reap)
            .await
            .map_err(io::Error::other)?;
    } else {
        orphans::reap();
    }
    Ok(())
}

async fn kill_by_sweeps(sweep: &Arc<Sweep>, end: Instant) -> io::Result<()> {
    if sweep.is_certainly_empty() {
        return Ok(());
    }
    let mut pause = Pause::default();
    let mut found_before = false;
    loop {
        let round = Arc::clone(sweep);
        let found = blocking(move || round.kill()).await?;
        // After a find, one that was forked in the last moment may be left: look once more.
        if found == 0 && !found_before {
            return Ok(());
        }
        if Instant::now() >= end {
            let left = sweep.members()?;
            return Err(undying(
                &left
                    .iter()
                    .map(|stat| stat.identity.pid)
                    .collect::<Vec<_>>(),
            ));
        }
        found_before = found > 0;
        if found_before {
            pause.wait(KILL_DEADLINE).await;
        }
    }
}

fn undying(left: &[i32]) -> io::Error {
    let left: Vec<_> = left.iter().map(i32::to_string).collect();
    let seconds = KILL_DEADLINE.as_secs();
    io::Error::other(format!(
        "killed {seconds} s ago and still there: {}",
        left.join(", ")
    ))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Pauses between looks: short ones first, since most processes end at once.
#[derive(Default)]
struct Pause {
    so_far: u32,
}

impl Pause {
    async fn wait(&mut self, limit: Duration) {
        self.so_far += 1;
        let pause = Duration::from_millis(1 << self.so_far.min(5));
        sleep(pause.min(limit)).await;
    }
}
