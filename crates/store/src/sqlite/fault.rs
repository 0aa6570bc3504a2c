//! Errors inside the backend, and what they become outside.

use outrider_model::IllegalTransition;
use outrider_model::status::Miscounted;
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

use crate::StoreError;

/// Why something in the backend did not work.
#[derive(Debug)]
pub enum Fault {
    /// An answer for the caller.
    Answer(StoreError),
    /// SQLite failed.
    Sql(rusqlite::Error),
    /// What is stored makes no sense.
    Damaged(Box<dyn std::error::Error + Send + Sync>),
}

/// A result inside the backend.
pub type Res<T> = Result<T, Fault>;

impl Fault {
    /// A row that should be there is not, or holds what nothing writes.
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into().into())
    }

    /// There is no such thing.
    pub fn not_found(kind: &'static str, id: impl std::fmt::Display) -> Self {
        Self::Answer(StoreError::NotFound {
            kind,
            id: id.to_string(),
        })
    }

    /// What was asked for contradicts what is there.
    pub fn conflict(why: impl Into<String>) -> Self {
        Self::Answer(StoreError::Conflict(why.into()))
    }

    /// What the caller of the store sees.
    pub fn outside(self, action: &'static str) -> StoreError {
        match self {
            Self::Answer(error) => error,
            Self::Sql(error) if is_full(&error) => StoreError::DiskFull,
            Self::Sql(error) => StoreError::Backend {
                action,
                source: error.into(),
            },
            Self::Damaged(source) => StoreError::Backend { action, source },
        }
    }
}

/// Whether there was no room. On a full disk SQLite cannot grow its shared memory file either.
fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(cause, _)
        if cause.code == ErrorCode::DiskFull || cause.extended_code == SQLITE_IOERR_SHMSIZE)
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Answer(error)
    }
}

impl From<IllegalTransition> for Fault {
    fn from(error: IllegalTransition) -> Self {
        Self::Answer(error.into())
    }
}

impl From<Miscounted> for Fault {
    fn from(error: Miscounted) -> Self {
        Self::Damaged(error.into())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.into())
    }
}
