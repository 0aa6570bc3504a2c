//! The SQLite backend.
//!
//! Start with `writer.rs` for how it commits, `rollup.rs` for what follows from a change, and
//! `migrations/` for what is kept.

mod approve;
mod cancel;
mod checkpoint;
mod codec;
mod continuation;
mod data;
mod explain;
mod fault;
mod forget;
mod ids;
mod insert;
mod leases;
mod logs;
mod messages;
mod open;
mod pipelines;
mod queue;
mod readers;
mod reports;
mod rollup;
mod rows;
mod schema;
mod secrets;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod turns;
mod tx;
mod views;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use outrider_model::Random;

use self::checkpoint::Checkpoints;
use self::ids::{Ids, Pooled};
use self::readers::{Pool, Readers};
use self::tx::Memory;
use self::writer::{Engine, Writer};
use crate::Result;

pub use self::writer::CrashHook;

/// How a store runs.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Where ids and lease tokens come from.
    pub random: Arc<dyn Random>,
    /// Who writes.
    pub mode: Mode,
    /// Called with a name such as `claim.applied` (done, not committed) or `claim.committed`
    /// (synced, not answered), so that a test can end the process there.
    pub crash: Option<CrashHook>,
    /// How many connections read at the same time.
    pub readers: usize,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A thread that commits for many callers at once.
    WriterThread,
    /// The caller, one transaction for each call, in the order of the calls: for simulations.
    Inline,
}

impl SqliteOptions {
    /// What a server uses.
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self {
            random,
            mode: Mode::WriterThread,
            crash: None,
            readers: 4,
        }
    }

    /// What a simulation uses.
    pub fn inline(random: Arc<dyn Random>) -> Self {
        Self {
            mode: Mode::Inline,
            ..Self::new(random)
        }
    }
}

/// A store in an SQLite database. Dropping it waits until what was sent is written.
pub struct SqliteStore {
    // In this order: the lock is given back last.
    writer: Writer,
    readers: Readers,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the store in a folder, or in a file whose name ends in `.db`, and makes it if there is
    /// none. `:memory:` is a store that is forgotten; it is always [`Mode::Inline`].
    ///
    /// # Errors
    ///
    /// `Locked` if another process has it open, `TooNew` if a newer version wrote it.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        let random: Arc<dyn Random> = Arc::new(Pooled::new(options.random));
        if path == Path::new(":memory:") {
            let engine = engine(None, random, options.crash, Mode::Inline)?;
            return Ok(Self::inline(engine, None));
        }
        let claimed = open::claim(path)?;
        let engine = engine(Some(&claimed.file), random, options.crash, options.mode)?;
        match options.mode {
            Mode::Inline => Ok(Self::inline(engine, Some(claimed.lock))),
            Mode::WriterThread => Ok(Self {
                writer: Writer::thread(engine)?,
                readers: Readers::Pool(Arc::new(Pool::new(claimed.file, options.readers))),
                _lock: Some(claimed.lock),
            }),
        }
    }

    fn inline(engine: Engine, lock: Option<File>) -> Self {
        let engine = Arc::new(Mutex::new(engine));
        let readers = Readers::Shared(engine.clone());
        Self {
            writer: Writer::Inline(engine),
            readers,
            _lock: lock,
        }
    }
}

fn engine(
    file: Option<&Path>,
    random: Arc<dyn Random>,
    crash: Option<CrashHook>,
    mode: Mode,
) -> Result<Engine> {
    let outside = |fault: fault::Fault| fault.outside("open its database");
    let mut db = open::writer(file).map_err(outside)?;
    let (last, sequence) = open::resume(&db).map_err(outside)?;
    let checkpoints = match (file, mode) {
        (Some(file), Mode::WriterThread) => {
            let own = open::checkpointer(file).map_err(outside)?;
            Some(Checkpoints::start(&mut db, own)?)
        }
        (Some(_), Mode::Inline) => {
            db.pragma_update(None, "wal_autocheckpoint", 1_000)
                .map_err(|error| outside(error.into()))?;
            None
        }
        (None, _) => None,
    };
    let memory = Memory {
        ids: Ids::new(random, last),
        sequence,
        classes: HashMap::new(),
        depths: BTreeMap::new(),
    };
    Ok(Engine::new(db, memory, crash, checkpoints))
}
