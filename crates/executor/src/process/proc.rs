//! What `/proc` says about processes, see proc_pid_stat(5).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// One process, without the danger of mistaking another for it: process ids are used again, but
/// not together with the same time of start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub pid: i32,
    /// Clock ticks between the start of the host and of the process.
    start: u64,
}

impl Identity {
    /// The process that has this id now.
    pub fn of(pid: i32) -> Option<Self> {
        Stat::read(pid).map(|stat| stat.identity)
    }

    /// Signals this process. It is no error if it has ended.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        let Some(pidfd) = open_pidfd(self.pid)? else {
            return Ok(());
        };
        // The descriptor holds on to whichever process has the id now; if that one started at the
        // expected time it is the right one, and from here on no other can take its place.
        if Self::of(self.pid) != Some(self) {
            return Ok(());
        }
        send(&pidfd, signal)
    }
}

/// A descriptor of the process with this id, unless there is none.
pub(crate) fn open_pidfd(pid: i32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(None);
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Signals the process behind a descriptor. It is no error if it has ended.
pub(crate) fn send(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// One line of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub identity: Identity,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// Ended, but its parent has not asked how.
    pub zombie: bool,
}

impl Stat {
    /// Of one process, unless it is gone.
    pub fn read(pid: i32) -> Option<Self> {
        Self::read_at(CWD, &format!("/proc/{pid}/stat"))
    }

    /// Of this process. The system call for its session alone would do as well, but what we have
    /// for it takes for granted that there is one: in a container that was started from a shell
    /// outside, the session is none of the container's, and has the id 0.
    pub fn own() -> Option<Self> {
        Self::read(getpid().as_raw_nonzero().get())
    }

    /// Of every process that lived through the call. Ids are listed in ascending order, so one
    /// that starts meanwhile may be missed: callers that need all repeat until nothing is new.
    pub fn all() -> io::Result<Vec<Self>> {
        let proc = File::open("/proc")?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&proc)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                found.extend(Self::read_at(proc.as_fd(), &format!("{name}/stat")));
            }
        }
        Ok(found)
    }

    fn read_at(directory: BorrowedFd<'_>, path: &str) -> Option<Self> {
        let file = openat(
            directory,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        // The line is made anew for each process, and is shorter than this.
        let mut line = [0; 1024];
        let length = rustix::io::read(&file, &mut line).ok()?;
        Self::parse(&line[..length])
    }

    /// The name of the program stands in parentheses and may itself contain any byte, `)` too.
    fn parse(line: &[u8]) -> Option<Self> {
        let close = line.iter().rposition(|&byte| byte == b')')?;
        let open = line.iter().position(|&byte| byte == b'(')?;
        let pid = std::str::from_utf8(&line[..open])
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let rest = std::str::from_utf8(&line[close + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let mut number = || fields.next()?.parse::<i64>().ok();
        let mut id = || i32::try_from(number()?).ok();
        let (parent, group, session) = (id()?, id()?, id()?);
        let start = fields.nth(15)?.parse().ok()?;
        let zombie = matches!(state, "Z" | "X");
        Some(Self {
            identity: Identity { pid, start },
            parent,
            group,
            session,
            zombie,
        })
    }
}

/// Whether the process was started with this `NAME=value` in its environment. Of processes that we
/// may not look into, and of those that have ended, nothing can be seen.
pub(crate) fn has_variable(pid: i32, variable: &str) -> bool {
    std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| {
        bytes
            .split(|&byte| byte == 0)
            .any(|entry| entry == variable.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_look_like_the_rest_of_the_line() {
        let line = b"42 (a) R 1 (b)) Z 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 0 0\n";
        let stat = Stat::parse(line).expect("parses");
        assert_eq!(
            stat.identity,
            Identity {
                pid: 42,
                start: 12345
            }
        );
        assert_eq!(
            (stat.parent, stat.group, stat.session, stat.zombie),
            (7, 8, 9, true)
        );
    }

    #[test]
    fn a_cut_line_is_nobody() {
        assert_eq!(Stat::parse(b"42 (a) R 1 2"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn we_are_among_all_processes() {
        let own = std::process::id().cast_signed();
        let all = Stat::all().expect("/proc can be listed");
        assert!(
            all.iter()
                .any(|stat| stat.identity.pid == own && !stat.zombie)
        );
    }
}
