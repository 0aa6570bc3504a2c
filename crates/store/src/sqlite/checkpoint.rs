//! Moving what was committed from the write-ahead log into the database, beside the writer.
//!
//! SQLite's own checkpoint runs inside a commit and stalls it for tens of milliseconds. Here a
//! thread does nearly all of it. The writer does the rest once little is left, because the log can
//! start again from its beginning only when all of it was moved and nobody writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// How many pages the log grows by before the thread moves them: 16 MiB.
const STEP: u32 = 4_096;
/// From this length on the writer tries to finish.
const LONG: u32 = 4 * STEP;
/// What the writer moves by itself at most, unless the log got far too long.
const REST: u32 = 512;
/// From this length on the writer waits for all of it: 512 MiB.
const TOO_LONG: u32 = 32 * STEP;

/// The writer's side.
pub struct Checkpoints {
    frames: Arc<AtomicU32>,
    moved: Arc<AtomicU32>,
    asked_at: u32,
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Watches the writer's connection, and starts the thread with a connection of its own.
    pub fn start(writer: &mut Connection, own: Connection) -> crate::Result<Self> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| crate::StoreError::Backend {
                action: "start",
                source,
            };
        let (frames, moved) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let seen = frames.clone();
        writer
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
                seen.store(pages.unsigned_abs(), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| failed(error.into()))?;
        let (ask, asked) = sync_channel(1);
        let result = moved.clone();
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || serve(&own, &asked, &result))
            .map_err(|error| failed(error.into()))?;
        Ok(Self {
            frames,
            moved,
            asked_at: 0,
            ask: Some(ask),
            thread: Some(thread),
        })
    }

    /// Called between transactions.
    pub fn after_commit(&mut self, db: &Connection) {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < self.asked_at {
            // The log has started again from its beginning.
            self.asked_at = 0;
            self.moved.store(0, Ordering::Relaxed);
        }
        let left = frames.saturating_sub(self.moved.load(Ordering::Relaxed));
        if frames > TOO_LONG || (frames > LONG && left < REST) {
            let moved = checkpoint(db);
            self.moved.store(moved, Ordering::Relaxed);
        } else if frames - self.asked_at >= STEP
            && self
                .ask
                .as_ref()
                .is_some_and(|ask| ask.try_send(()).is_ok())
        {
            self.asked_at = frames;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the store's checkpoint thread had panicked");
        }
    }
}

fn serve(db: &Connection, asked: &Receiver<()>, moved: &AtomicU32) {
    while asked.recv().is_ok() {
        let now = checkpoint(db);
        moved.store(now, Ordering::Relaxed);
    }
}

/// Moves what can be moved without hindering anyone; how many pages of the log are moved by now.
fn checkpoint(db: &Connection) -> u32 {
    let moved = db
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(2)));
    match moved {
        Ok(pages) => u32::try_from(pages).unwrap_or(0),
        Err(error) => {
            // Nothing is lost by it, and the next one comes soon.
            tracing::warn!(%error, "a checkpoint failed");
            0
        }
    }
}
