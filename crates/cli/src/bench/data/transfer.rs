//! Saving and restoring a large tree, beside `tar` and `cp`.

use std::path::Path;

use tokio::time::Instant;

use super::floors::{self, Floors};
use super::job::{Agent, Job, TREE};
use super::tree::Tree;
use crate::bench::child::Server;
use crate::bench::platform::CLASS;
use crate::bench::table::percentile;
use crate::failure::{Failure, code};

/// How large the tree is.
const TREE_BYTES: usize = 1_000_000_000;

/// How often all of it is measured.
const TURNS: u64 = 3;

/// Seconds of one turn.
struct Turn {
    floors: Floors,
    save: f64,
    restore: f64,
    resave: f64,
    partial: f64,
}

/// The medians of all turns. Ratios are those of single turns.
pub struct Measured {
    /// Files in the tree.
    pub files: usize,
    /// The first save, in seconds.
    pub save: f64,
    /// The restore of all of it.
    pub restore: f64,
    /// The save after some files changed.
    pub resave: f64,
    /// The restore where most is there.
    pub partial: f64,
    /// `tar --zstd -cf`
    pub pack: f64,
    /// `tar --zstd -xf`
    pub unpack: f64,
    /// `cp -a`
    pub copy: f64,
    /// The first save and the restore, in relation to `tar`.
    pub full_ratio: f64,
    /// How much faster the second save is.
    pub resave_speedup: f64,
    /// How much faster the second restore is.
    pub partial_restore_speedup: f64,
}

/// Measures in this folder.
pub async fn measure(folder: &Path, scale: usize) -> Result<Measured, Failure> {
    let tree = Tree::make(&folder.join(TREE), TREE_BYTES / scale);
    let tree = tree.map_err(|error| Failure::cannot_write(folder.display(), error))?;
    let server = Server::start(folder).await?;
    let agent = Agent::new(&server).await?;
    let mut turns = Vec::new();
    for number in 0..TURNS {
        turns.push(turn(folder, &tree, &agent, number).await?);
    }
    Ok(medians(&tree, &turns))
}

fn medians(tree: &Tree, turns: &[Turn]) -> Measured {
    let median = |of: fn(&Turn) -> f64| {
        let mut values: Vec<f64> = turns.iter().map(of).collect();
        percentile(&mut values, 0.5)
    };
    Measured {
        files: tree.files(),
        save: median(|turn| turn.save),
        restore: median(|turn| turn.restore),
        resave: median(|turn| turn.resave),
        partial: median(|turn| turn.partial),
        pack: median(|turn| turn.floors.pack),
        unpack: median(|turn| turn.floors.unpack),
        copy: median(|turn| turn.floors.copy),
        full_ratio: median(|turn| {
            (turn.save + turn.restore) / (turn.floors.pack + turn.floors.unpack)
        }),
        resave_speedup: median(|turn| turn.save / turn.resave),
        partial_restore_speedup: median(|turn| turn.restore / turn.partial),
    }
}

/// Each turn is a project of its own, which knows nothing of the others' blobs.
async fn turn(folder: &Path, tree: &Tree, agent: &Agent<'_>, number: u64) -> Result<Turn, Failure> {
    let floors = floors::measure(folder)?;
    let config = format!(
        "version: 2.1\njobs:\n  build:\n    machine: true\n    resource_class: {CLASS}\n    \
         steps:\n      - run: make\n"
    );
    let project = format!("outrider/bench-{number}");
    agent.submit(&project, &config).await?;
    let job = agent.start(1).await?.remove(0);
    let place = Place::new(folder, number)?;

    let save = timed(place.save(&job, "first")).await?;
    let restore = timed(place.restore(&job, "first", tree.files())).await?;
    let changed = tree.change(number);
    changed.map_err(|error| Failure::cannot_write(folder.display(), error))?;
    let resave = timed(place.save(&job, "second")).await?;
    let partial = timed(place.restore(&job, "second", tree.files() / 100)).await?;
    job.pass().await?;
    floors::remove(&place.restored)?;
    Ok(Turn {
        floors,
        save,
        restore,
        resave,
        partial,
    })
}

/// Where a turn saves from and restores to. The one is not told what the other knows, as if they
/// were different runners.
struct Place<'a> {
    folder: &'a Path,
    saved_state: std::path::PathBuf,
    restored: std::path::PathBuf,
    restored_state: std::path::PathBuf,
}

impl<'a> Place<'a> {
    fn new(folder: &'a Path, number: u64) -> Result<Self, Failure> {
        let restored = folder.join(format!("restored-{number}"));
        floors::make(&restored)?;
        Ok(Self {
            folder,
            saved_state: folder.join(format!("saved-state-{number}")),
            restored_state: folder.join(format!("restored-state-{number}")),
            restored,
        })
    }

    async fn save(&self, job: &Job, key: &str) -> Result<(), Failure> {
        job.save_cache(self.folder, key, &self.saved_state).await
    }

    /// As many files as were wanted must have been written, at most.
    async fn restore(&self, job: &Job, key: &str, most: usize) -> Result<(), Failure> {
        let restored = job.restore_cache(&self.restored, key, &self.restored_state);
        let written = restored.await?.written;
        if written == 0 || written > most as u64 {
            let text = format!("{written} files were restored in place of {most}");
            return Err(Failure::new(code::FAILED, text));
        }
        Ok(())
    }
}

/// Seconds. What others left to be written to the disk is written before.
async fn timed(work: impl Future<Output = Result<(), Failure>>) -> Result<f64, Failure> {
    rustix::fs::sync();
    let started = Instant::now();
    work.await?;
    Ok(started.elapsed().as_secs_f64())
}
