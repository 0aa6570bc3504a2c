//! Processes that have lost their parent and were given to the runner by the kernel.
//!
//! That happens to the first process of a container, and to a subreaper. They must be waited for,
//! or their ids are never free again; but nobody else's child must be waited for by mistake.

use std::io;

use rustix::process::{
    Pid, WaitId, WaitIdOptions, WaitOptions, child_subreaper, getpid, getsid, set_child_subreaper,
    waitid, waitpid,
};

use super::child;
use super::proc::Stat;

/// From now on orphans below this process come to it instead of the host's first process.
pub(super) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Waits for the orphans that have ended. What we or others in this process start is left alone:
/// leaders are known, and what others start stays in our session.
pub(super) fn reap() {
    if !gets_orphans() || !some_child_has_ended() {
        return;
    }
    let (Ok(all), Ok(session)) = (Stat::all(), getsid(None)) else {
        return;
    };
    let _births = child::hold_births();
    let own = getpid().as_raw_nonzero().get();
    for stat in all.iter().filter(|stat| stat.zombie && stat.parent == own) {
        let pid = stat.identity.pid;
        if stat.session != session.as_raw_nonzero().get() && !child::is_awaited(pid) {
            let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
        }
    }
}

fn gets_orphans() -> bool {
    getpid() == Pid::INIT || child_subreaper().is_ok_and(|on| on.is_some())
}

/// A look that takes nothing away.
fn some_child_has_ended() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, look), Ok(Some(_)))
}
