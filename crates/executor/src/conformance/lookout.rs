//! How a case sees what an executor has made, without asking that executor.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::Handle;

/// Sees the processes and the remains of environments. Each executor comes with one that knows where
/// to look, so that a case means the same for all of them.
#[async_trait]
pub trait Lookout: Send + Sync {
    /// The live processes of an environment that have a mark in their environment or among their
    /// arguments. The numbers are for people.
    async fn marked(&self, handle: &Handle, mark: &str) -> Vec<u32>;

    /// What there is of an environment, named for people: its directory, its containers, ….
    async fn remains(&self, handle: &Handle) -> Vec<String>;
}

/// Sees what the process executor makes: processes and directories of this host.
#[derive(Clone, Copy, Debug)]
pub struct ThisHost;

#[async_trait]
impl Lookout for ThisHost {
    async fn marked(&self, _: &Handle, mark: &str) -> Vec<u32> {
        marked_processes(mark)
    }

    async fn remains(&self, handle: &Handle) -> Vec<String> {
        let Handle::Process(handle) = handle else {
            panic!("not of this host: {handle:?}")
        };
        let directory = Some(&handle.directory).filter(|directory| directory.exists());
        directory
            .map(|directory| directory.display().to_string())
            .into_iter()
            .collect()
    }
}

/// The processes of this host, other than this one, that have the mark in their environment or
/// among their arguments. Those that have ended and wait for their parent have neither.
pub fn marked_processes(mark: &str) -> Vec<u32> {
    let own = std::process::id();
    let has_mark = |path: PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| {
            bytes
                .windows(mark.len())
                .any(|window| window == mark.as_bytes())
        })
    };
    let entries = std::fs::read_dir("/proc").expect("/proc can be listed");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid: &u32| pid != own)
        .filter(|pid| {
            let directory = PathBuf::from(format!("/proc/{pid}"));
            has_mark(directory.join("environ")) || has_mark(directory.join("cmdline"))
        })
        .collect()
}
