//! Processes that have lost their parent and were given to the runner by the kernel.
//!
//! That happens to the first process of a container, and to a subreaper. They must be waited for,
//! or their ids are never free again; but nobody else's child must be waited for by mistake.

use std::io;

use rustix::process::{
    Pid, WaitId, WaitIdOptions, WaitOptions, child_subreaper, getpid, set_child_subreaper, waitid,
    waitpid,
};

use super::child;
use super::proc::Stat;

/// From now on orphans below this process come to it instead of the host's first process.
pub(crate) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Waits for the orphans that have ended, if there may be some.
pub(crate) fn reap() {
    if come_to_us()
        && some_child_has_ended()
        && let Ok(all) = Stat::all()
    {
        reap_among(&all);
    }
}

/// Waits for the orphans among these processes that have ended. What we or others in this process
/// start is left alone: leaders are known, and what others start stays in our session.
pub(crate) fn reap_among(all: &[Stat]) {
    let Some(own) = Stat::own() else { return };
    let is_orphan = |stat: &&Stat| {
        let child = stat.parent == own.identity.pid && stat.session != own.session;
        child && stat.zombie && !is_awaited(stat)
    };
    let mut orphans = all.iter().filter(is_orphan).peekable();
    if orphans.peek().is_none() {
        return;
    }
    // A leader that was born and has ended just now may not be registered yet: then it is when we
    // get past this, and is filtered out by the second look.
    let _births = child::hold_births();
    for stat in orphans.filter(|stat| !is_awaited(stat)) {
        let _ = waitpid(Pid::from_raw(stat.identity.pid), WaitOptions::NOHANG);
    }
}

fn is_awaited(stat: &Stat) -> bool {
    child::is_awaited(stat.identity.pid)
}

/// Whether orphans below this process become its children.
pub(crate) fn come_to_us() -> bool {
    getpid() == Pid::INIT || child_subreaper().is_ok_and(|on| on.is_some())
}

/// Whether this process has no children at all: then it has no orphans and nobody below it either.
pub(crate) fn childless() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}

/// A look that takes nothing away.
fn some_child_has_ended() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, look), Ok(Some(_)))
}
