//! Connections that read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault::Res;
use super::open;
use super::writer::{Engine, lock};
use crate::{Result, StoreError};

/// Where reads go.
#[derive(Clone)]
pub enum Readers {
    /// To connections of their own, which see what is committed and hinder no writer.
    Pool(Arc<Pool>),
    /// To the writer's connection.
    Shared(Arc<Mutex<Engine>>),
}

/// Some connections, opened when first needed.
pub struct Pool {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Pool {
    pub fn new(file: PathBuf, size: usize) -> Self {
        Self {
            file,
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(size.max(1)),
        }
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Res<T>) -> Res<T> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let db = match idle {
            Some(db) => db,
            None => open::reader(&self.file)?,
        };
        let answer = snapshot(&db, read);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(db);
        answer
    }
}

impl Readers {
    /// A read of a few rows, on the caller's thread: faster than any other thread could answer.
    pub async fn brief<T>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> Res<T> + Send,
    ) -> Result<T> {
        let answer = match self {
            Self::Shared(engine) => snapshot(&lock(engine).db, read),
            Self::Pool(pool) => {
                let _permit = pool
                    .permits
                    .acquire()
                    .await
                    .map_err(|error| closed(action, error))?;
                pool.with(read)
            }
        };
        answer.map_err(|fault| fault.outside(action))
    }

    /// A read that may take longer, where it hinders nobody.
    pub async fn long<T: Send + 'static>(
        &self,
        action: &'static str,
        read: impl FnOnce(&Connection) -> Res<T> + Send + 'static,
    ) -> Result<T> {
        let Self::Pool(pool) = self else {
            return self.brief(action, read).await;
        };
        let _permit = pool
            .permits
            .acquire()
            .await
            .map_err(|error| closed(action, error))?;
        let pool = pool.clone();
        let answer = tokio::task::spawn_blocking(move || pool.with(read)).await;
        answer
            .map_err(|error| closed(action, error))?
            .map_err(|fault| fault.outside(action))
    }
}

/// Reads as of one moment.
fn snapshot<T>(db: &Connection, read: impl FnOnce(&Connection) -> Res<T>) -> Res<T> {
    let moment = db.unchecked_transaction()?;
    let answer = read(db);
    moment.finish()?;
    answer
}

fn closed(
    action: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Backend {
        action,
        source: error.into(),
    }
}
