//! A workspace goes from one job to many at once.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use super::floors;
use super::job::{Agent, Job, TREE};
use super::tree::Tree;
use crate::bench::child::{Process, Server};
use crate::bench::memory;
use crate::bench::platform::CLASS;
use crate::failure::{Failure, code};

/// How large the workspace is.
const WORKSPACE: usize = 200_000_000;

/// How many tasks want it at the same time.
const TASKS: usize = 20;

/// What it cost the server.
pub struct Measured {
    /// The most memory that it had at any time, from its start on.
    pub rss_kb: f64,
    /// What it read from the disk for all restores.
    pub read: u64,
    /// How large the blobs are: what has to be read at least.
    pub stored: u64,
}

impl Measured {
    /// Bytes read in relation to those that must be.
    pub fn disk_ratio(&self) -> f64 {
        self.read as f64 / self.stored as f64
    }
}

/// Measures in this folder, with a server of its own.
pub async fn measure(folder: &Path, scale: usize) -> Result<Measured, Failure> {
    let tree = Tree::make(&folder.join(TREE), WORKSPACE / scale);
    let tree = tree.map_err(|error| Failure::cannot_write(folder.display(), error))?;
    let server = Server::start(folder).await?;
    let agent = Agent::new(&server).await?;
    agent.submit("outrider/bench", &config()).await?;
    let saver = agent.start(1).await?.remove(0);
    saver.persist(folder, &folder.join("state")).await?;
    saver.pass().await?;

    let stored = forget_cached(&folder.join("server/blobs"));
    let stored = stored.map_err(|error| Failure::internal("look at blobs", error))?;
    let jobs = agent.start(TASKS).await?;
    let before = bytes_read(&server.process)?;
    attach_all(folder, jobs, tree.files()).await?;
    let measured = Measured {
        rss_kb: memory::kb(server.process.id(), memory::PEAK)?,
        read: bytes_read(&server.process)? - before,
        stored,
    };
    Ok(measured)
}

fn config() -> String {
    let machine = format!("machine: true\n    resource_class: {CLASS}\n");
    format!(
        "version: 2.1\njobs:\n  save:\n    {machine}    steps:\n      - run: make\n  load:\n    \
         {machine}    parallelism: {TASKS}\n    steps:\n      - run: make\nworkflows:\n  all:\n    \
         jobs:\n      - save\n      - load: {{requires: [save]}}\n"
    )
}

/// All at once, each into a folder of its own.
async fn attach_all(folder: &Path, jobs: Vec<Job>, files: usize) -> Result<(), Failure> {
    let tasks = outrider_service::Tasks::new();
    let mut running = Vec::new();
    for (number, job) in jobs.into_iter().enumerate() {
        let restored = folder.join(format!("restored-{number}"));
        let state = folder.join(format!("restored-state-{number}"));
        floors::make(&restored)?;
        running.push(tasks.spawn(async move {
            let stats = job.attach(&restored, &state).await?;
            job.pass().await?;
            Ok::<_, Failure>(stats.written)
        }));
    }
    for task in running {
        let written = task
            .await
            .map_err(|error| Failure::internal("restore a workspace", error))??;
        if written != files as u64 {
            let text = format!("{written} files of {files} were restored");
            return Err(Failure::new(code::FAILED, text));
        }
    }
    Ok(())
}

/// Tells the system to forget what it has cached of all files below a folder. Gives their size.
fn forget_cached(folder: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            total += forget_cached(&path)?;
        } else {
            let file = File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
            total += file.metadata()?.len();
        }
    }
    Ok(total)
}

/// What a process has read from disks until now.
fn bytes_read(process: &Process) -> Result<u64, Failure> {
    let io = fs::read_to_string(format!("/proc/{}/io", process.id()));
    let io = io.map_err(|error| Failure::internal("read /proc", error))?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    let number = line.and_then(|number| number.parse().ok());
    number.ok_or_else(|| Failure::new(code::FAILED, "the system does not count what is read"))
}
