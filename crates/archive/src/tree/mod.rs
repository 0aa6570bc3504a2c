//! Trees of files on this host.

pub(crate) mod directories;
pub(crate) mod extents;
pub(crate) mod held;
pub(crate) mod remove;
pub(crate) mod temporary;
pub(crate) mod walk;

use rustix::fs::Stat;
use rustix::time::{ClockId, clock_gettime};

/// A time as file systems keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time {
    pub seconds: i64,
    pub nanos: u32,
}

impl Time {
    /// The clock that file systems stamp files with: a little behind the exact one.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Self {
            seconds: now.tv_sec,
            nanos: u32::try_from(now.tv_nsec).unwrap_or(0),
        }
    }

    /// Whether a file of this time cannot change at a later one without that its time changes.
    pub fn is_surely_before(self, later: Self) -> bool {
        // Some file systems keep whole seconds only.
        let coarse = self.nanos == 0 && self.seconds >= later.seconds;
        self < later && !coarse
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    pub modified: Time,
    pub changed: Time,
}

#[expect(
    clippy::unnecessary_cast,
    reason = "the widths of these fields differ between architectures"
)]
impl Identity {
    pub fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: Time {
                seconds: stat.st_mtime as i64,
                nanos: stat.st_mtime_nsec as u32,
            },
            changed: Time {
                seconds: stat.st_ctime as i64,
                nanos: stat.st_ctime_nsec as u32,
            },
        }
    }
}

/// The permission bits of a file.
pub(crate) fn mode_of(stat: &Stat) -> u16 {
    (stat.st_mode & 0o7777) as u16
}
