//! The one that writes: group commit.
//!
//! A thread takes what callers have put into a channel, runs each operation in its own savepoint,
//! commits and syncs once for all of them, and only then answers. There is no waiting for company:
//! while one group is synced, the next one gathers by itself.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use outrider_model::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::checkpoint::Checkpoints;
use super::fault::{Fault, Res};
use super::tx::{Memory, Tx};
use crate::{Result, StoreError};

/// The most operations that share a transaction: bounds how long the first of them waits.
const GROUP: usize = 512;

/// Called at each point where a crash is interesting, with its name.
pub type CrashHook = Arc<dyn Fn(&str) + Send + Sync>;

/// How far numbers are reserved at a time. Far more than one group can use.
const RESERVE: i64 = 1 << 32;

/// The connection that writes, and what it remembers.
pub struct Engine {
    pub db: Connection,
    memory: Memory,
    reserved: i64,
    crash: Option<CrashHook>,
    checkpoints: Option<Checkpoints>,
}

/// Something to write, and whom to answer.
pub trait Operation: Send {
    /// Does it; whether it worked. May be run again after a rollback.
    fn run(&mut self, db: &Connection, memory: &mut Memory) -> bool;
    /// It is committed, or was not because of this.
    fn answer(self: Box<Self>, failed: Option<&StoreError>);
    /// What it is called.
    fn label(&self) -> &'static str;
}

/// Why a transaction did not come to its end.
enum Broken {
    /// An operation failed and left something behind.
    Spoiled,
    /// The database failed.
    Failed(Fault),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl Broken {
    fn into_fault(self) -> Fault {
        match self {
            Self::Failed(fault) => fault,
            Self::Spoiled => Fault::damaged("an operation failed halfway"),
        }
    }
}

struct Pending<T, F> {
    label: &'static str,
    now: Timestamp,
    work: F,
    done: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Operation for Pending<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Res<T> + Send,
{
    fn run(&mut self, db: &Connection, memory: &mut Memory) -> bool {
        let mut tx = Tx::new(db, memory, self.now);
        let done = (self.work)(&mut tx).and_then(|value| tx.finish().map(|()| value));
        let done = done.map_err(|fault| fault.outside(self.label));
        let worked = done.is_ok();
        self.done = Some(done);
        worked
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>) {
        let answer = match (self.done, failed) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(error)) => Err(again(error)),
            (Some(done), None) => done,
            (None, None) => Err(gone()),
        };
        // Whoever asked may have gone away; it is committed all the same.
        drop(self.reply.send(answer));
    }

    fn label(&self) -> &'static str {
        self.label
    }
}

impl Engine {
    pub fn new(
        db: Connection,
        memory: Memory,
        crash: Option<CrashHook>,
        checkpoints: Option<Checkpoints>,
    ) -> Self {
        Self {
            db,
            reserved: memory.sequence,
            memory,
            crash,
            checkpoints,
        }
    }

    /// Runs operations in one transaction and answers them.
    ///
    /// An operation that fails must leave nothing behind and must not harm the others: that is what
    /// savepoints are for. But they are a third of the cost of everything, and hardly any operation
    /// fails after it has written. So a group goes without them first, and only if one does fail
    /// that way, all of it is rolled back and run again with savepoints.
    fn group(&mut self, mut operations: Vec<Box<dyn Operation>>) {
        let mut ended = self.transaction(&mut operations, false);
        if let Err(Broken::Spoiled) = ended {
            self.abandon();
            ended = self.transaction(&mut operations, true);
        }
        let failed = match ended {
            Ok(()) => None,
            Err(broken) => {
                self.abandon();
                Some(broken.into_fault().outside("commit"))
            }
        };
        for operation in operations {
            if failed.is_none() {
                self.crash_point(operation.label(), "committed");
            }
            operation.answer(failed.as_ref());
        }
    }

    fn transaction(
        &mut self,
        operations: &mut [Box<dyn Operation>],
        savepoints: bool,
    ) -> Result<(), Broken> {
        self.run_sql("BEGIN IMMEDIATE")?;
        self.reserve()?;
        for operation in operations {
            if savepoints {
                self.in_savepoint(&mut **operation)?;
            } else {
                self.hopefully(&mut **operation)?;
            }
            self.crash_point(operation.label(), "applied");
        }
        self.write_depths()?;
        Ok(self.run_sql("COMMIT")?)
    }

    /// Runs one operation that had better not fail after it has written.
    fn hopefully(&mut self, operation: &mut dyn Operation) -> Result<(), Broken> {
        let before = self.db.total_changes();
        if operation.run(&self.db, &mut self.memory) || self.db.total_changes() == before {
            return Ok(());
        }
        Err(Broken::Spoiled)
    }

    /// Runs one operation so that it happens wholly or not at all.
    fn in_savepoint(&mut self, operation: &mut dyn Operation) -> Result<(), Broken> {
        self.run_sql("SAVEPOINT operation")?;
        if operation.run(&self.db, &mut self.memory) {
            return Ok(self.run_sql("RELEASE operation")?);
        }
        self.memory.classes.clear();
        if self.db.is_autocommit() {
            // On a full disk SQLite may roll back all of the transaction by itself.
            return Err(Broken::Failed(Fault::Answer(StoreError::DiskFull)));
        }
        self.run_sql("ROLLBACK TO operation")?;
        Ok(self.run_sql("RELEASE operation")?)
    }

    /// Makes sure that no number is given twice, even if the process is killed.
    fn reserve(&mut self) -> Res<()> {
        if self.reserved - self.memory.sequence > RESERVE / 2 {
            return Ok(());
        }
        let reserved = self.memory.sequence + RESERVE;
        let mut update = self
            .db
            .prepare_cached("UPDATE counter SET value = ?1 WHERE name = 'sequence'")?;
        update.execute([reserved])?;
        self.reserved = reserved;
        Ok(())
    }

    /// One update per class and transaction, not one per task.
    fn write_depths(&mut self) -> Res<()> {
        for (class, (queued, running)) in std::mem::take(&mut self.memory.depths) {
            if (queued, running) == (0, 0) {
                continue;
            }
            let mut update = self.db.prepare_cached(
                "UPDATE class SET queued = queued + ?2, running = running + ?3 WHERE id = ?1",
            )?;
            update.execute((class, queued, running))?;
        }
        Ok(())
    }

    /// Forgets what was not committed.
    fn abandon(&mut self) {
        if !self.db.is_autocommit()
            && let Err(fault) = self.run_sql("ROLLBACK")
        {
            tracing::error!(?fault, "a rollback failed");
        }
        self.memory.classes.clear();
        self.memory.depths.clear();
        // What was reserved may not be.
        self.reserved = self.memory.sequence;
    }

    fn run_sql(&self, sql: &'static str) -> Res<()> {
        self.db.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn crash_point(&self, label: &str, point: &str) {
        if let Some(crash) = &self.crash {
            crash(&format!("{label}.{point}"));
        }
    }
}

/// How operations get to the engine.
pub enum Writer {
    /// Through a channel to a thread of its own.
    Thread {
        send: Option<Sender<Box<dyn Operation>>>,
        thread: Option<JoinHandle<()>>,
    },
    /// On the caller's thread, each in its own transaction.
    Inline(Arc<Mutex<Engine>>),
}

impl Writer {
    /// A writer with a thread of its own.
    pub fn thread(engine: Engine) -> Result<Self> {
        let (send, receive) = channel();
        let spawned = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || drain(engine, &receive));
        let thread = spawned.map_err(|error| StoreError::Backend {
            action: "start",
            source: error.into(),
        })?;
        Ok(Self::Thread {
            send: Some(send),
            thread: Some(thread),
        })
    }

    /// Runs one operation; answers when it is committed and synced.
    pub async fn write<T, F>(&self, label: &'static str, now: Timestamp, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Res<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            label,
            now,
            work,
            done: None,
            reply,
        };
        match self {
            Self::Thread { send, .. } => {
                let send = send.as_ref().ok_or_else(gone)?;
                send.send(Box::new(pending)).map_err(|_| gone())?;
            }
            Self::Inline(engine) => lock(engine).group(vec![Box::new(pending)]),
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Writer {
    /// What was sent is still written.
    fn drop(&mut self) {
        if let Self::Thread { send, thread } = self {
            drop(send.take());
            if let Some(Err(_)) = thread.take().map(JoinHandle::join) {
                tracing::error!("the store's writer had panicked");
            }
        }
    }
}

/// The engine, whatever became of the last one who used it: a transaction that it left open is
/// rolled back by the next.
pub fn lock(engine: &Mutex<Engine>) -> std::sync::MutexGuard<'_, Engine> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

fn drain(mut engine: Engine, receive: &Receiver<Box<dyn Operation>>) {
    while let Ok(first) = receive.recv() {
        let mut group = vec![first];
        group.extend(receive.try_iter().take(GROUP - 1));
        engine.group(group);
        if let Some(checkpoints) = &mut engine.checkpoints {
            checkpoints.after_commit(&engine.db);
        }
    }
}

/// The same error for one more caller.
fn again(error: &StoreError) -> StoreError {
    match error {
        StoreError::DiskFull => StoreError::DiskFull,
        other => {
            let message = match other {
                StoreError::Backend { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            StoreError::Backend {
                action: "commit",
                source: message.into(),
            }
        }
    }
}

fn gone() -> StoreError {
    StoreError::Backend {
        action: "write",
        source: "its writer has stopped".into(),
    }
}
