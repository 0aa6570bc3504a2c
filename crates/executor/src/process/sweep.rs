//! Finds the processes of an attempt where there is no cgroup to list them.
//!
//! While the runner lives it is their subreaper (see `orphans`), so all of them are below it, and
//! those of one attempt are known by the session that they or their ancestors were started in, by
//! the variable in their environment, or by having been seen before. After a crash of the runner
//! there is only the variable. A process that gets away from all of this (two forks, a session of
//! its own, a cleared environment, another directory) before anyone looks is not found: that is
//! what cgroups are for.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use outrider_model::AttemptId;
use rustix::process::{Pid, Signal, getpid, kill_process_group};

use super::child;
use super::orphans;
use super::proc::{Identity, Stat, has_variable};

/// The variable by which processes of an attempt are known. Its value is the attempt's id.
pub(super) const VARIABLE: &str = "OUTRIDER_ATTEMPT";

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Below this process, which has started all there is.
    Descendants,
    /// Everywhere: the runner that started them is gone.
    Everything,
}

/// Looks for the processes of one attempt.
#[derive(Debug)]
pub(super) struct Sweep {
    attempt: AttemptId,
    variable: String,
    directory: PathBuf,
    scope: Scope,
    known: Mutex<HashSet<Identity>>,
}

impl Sweep {
    pub fn new(attempt: AttemptId, directory: &Path, scope: Scope) -> Self {
        let variable = format!("{VARIABLE}={attempt}");
        Self {
            attempt,
            variable,
            directory: directory.into(),
            scope,
            known: Mutex::default(),
        }
    }

    /// Whether it is certain, without looking at any process, that there is nothing to find.
    pub fn is_certainly_empty(&self) -> bool {
        self.scope == Scope::Descendants && orphans::childless()
    }

    /// The processes that have not ended.
    pub fn members(&self) -> io::Result<Vec<Stat>> {
        let all = Stat::all()?;
        Ok(self
            .find(&all)
            .into_iter()
            .filter(|stat| !stat.zombie)
            .collect())
    }

    /// Kills what it finds and says how many processes that were. To be repeated until it is 0.
    /// Waits for orphans that have ended, too, since it has to look at all processes anyway.
    pub fn kill(&self) -> io::Result<usize> {
        let all = Stat::all()?;
        if self.scope == Scope::Descendants {
            orphans::reap_among(&all);
        }
        let members: Vec<_> = self
            .find(&all)
            .into_iter()
            .filter(|stat| !stat.zombie)
            .collect();
        for group in groups_without_strangers(&all, &members) {
            // What forks faster than we look must be hit all at once. The group was there a
            // moment ago, and its id is not given away again before all other ids were.
            let _ = kill_process_group(group, Signal::KILL);
        }
        members
            .iter()
            .try_for_each(|stat| stat.identity.signal(Signal::KILL))?;
        Ok(members.len())
    }

    fn find(&self, all: &[Stat]) -> Vec<Stat> {
        let own = getpid().as_raw_nonzero().get();
        let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
        for stat in all {
            children.entry(stat.parent).or_default().push(*stat);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        let mut open: Vec<(Stat, bool)> = match self.scope {
            Scope::Descendants => children.remove(&own).unwrap_or_default(),
            Scope::Everything => roots(all),
        }
        .into_iter()
        .map(|stat| (stat, false))
        .collect();
        while let Some((stat, parent_is_ours)) = open.pop() {
            let Identity { pid, .. } = stat.identity;
            let ours = pid != own
                && (parent_is_ours || known.contains(&stat.identity) || self.claims(&stat, own));
            if ours {
                known.insert(stat.identity);
                found.push(stat);
            }
            let below = children.remove(&pid).unwrap_or_default();
            open.extend(below.into_iter().map(|child| (child, ours)));
        }
        found
    }

    fn claims(&self, stat: &Stat, own: i32) -> bool {
        if self.scope == Scope::Descendants
            && let Some(attempt) = child::attempt_of_session(stat.session)
        {
            return attempt == self.attempt;
        }
        let pid = stat.identity.pid;
        has_variable(pid, &self.variable)
            || (self.scope == Scope::Descendants && self.is_stray(stat, own))
    }

    /// Given to us by the kernel (what we start ourselves stays in our session, or is a leader),
    /// and at home in the attempt's directory.
    fn is_stray(&self, stat: &Stat, own: i32) -> bool {
        stat.parent == own
            && Stat::own().is_some_and(|own| own.session != stat.session)
            && std::fs::read_link(format!("/proc/{}/cwd", stat.identity.pid))
                .is_ok_and(|directory| directory.starts_with(&self.directory))
    }
}

/// Processes whose parent is not in the list.
fn roots(all: &[Stat]) -> Vec<Stat> {
    let listed: HashSet<i32> = all.iter().map(|stat| stat.identity.pid).collect();
    all.iter()
        .filter(|stat| !listed.contains(&stat.parent))
        .copied()
        .collect()
}

fn groups_without_strangers(all: &[Stat], members: &[Stat]) -> HashSet<Pid> {
    let ours: HashSet<Identity> = members.iter().map(|stat| stat.identity).collect();
    let mut groups: HashSet<i32> = members.iter().map(|stat| stat.group).collect();
    for stat in all
        .iter()
        .filter(|stat| !stat.zombie && !ours.contains(&stat.identity))
    {
        groups.remove(&stat.group);
    }
    // Group 1 could only be everyone's.
    groups
        .into_iter()
        .filter(|&group| group > 1)
        .filter_map(Pid::from_raw)
        .collect()
}
