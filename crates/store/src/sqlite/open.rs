//! Opening a database: its folder, its lock, its schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::fault::{Fault, Res};
use super::ids::Last;
use super::schema;
use crate::{Result, StoreError};

/// The database's name in a data folder.
const FILE: &str = "outrider.db";

/// A folder that is ours as long as this lives.
pub struct Claimed {
    pub file: PathBuf,
    /// The lock goes away with the process, however it ends.
    pub lock: File,
}

/// Makes the folder if need be, and locks it.
pub fn claim(path: &Path) -> Result<Claimed> {
    let file = match path.extension() {
        Some(extension) if (extension == "db" || extension == "sqlite") && !path.is_dir() => {
            path.to_owned()
        }
        _ => path.join(FILE),
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    if !folder.as_os_str().is_empty() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| cannot("create the folder", folder, &error))?;
    }
    let lock_file = file.with_extension("lock");
    let lock = private(&lock_file)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Locked {
                path: folder.display().to_string(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(cannot("lock", &lock_file, &error)),
    }
    private(&file)?;
    Ok(Claimed { file, lock })
}

/// A file that only its owner can read. SQLite gives its other files the same mode.
fn private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| cannot("open", path, &error))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return StoreError::DiskFull;
    }
    let source = format!("cannot {what} {}: {error}", path.display());
    StoreError::Backend {
        action: "open its data folder",
        source: source.into(),
    }
}

/// The connection that writes, with the newest schema.
pub fn writer(file: Option<&Path>) -> Res<Connection> {
    let mut db = match file {
        Some(file) => Connection::open(file)?,
        None => Connection::open_in_memory()?,
    };
    configure(&db)?;
    schema::migrate(&mut db, file.unwrap_or(Path::new(":memory:")))?;
    Ok(db)
}

/// A connection that only reads.
pub fn reader(file: &Path) -> Res<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "mmap_size", 256 << 20)?;
    keep_plans(&db)?;
    Ok(db)
}

/// A connection for checkpoints.
pub fn checkpointer(file: &Path) -> Res<Connection> {
    let db = Connection::open(file)?;
    configure(&db)?;
    Ok(db)
}

fn configure(db: &Connection) -> Res<()> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(128);
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Keys are checked by who writes them: ids are made here, and rows are never deleted singly.
    db.pragma_update(None, "foreign_keys", false)?;
    // Savepoints keep old pages in memory, not in a file.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -65_536)?;
    keep_plans(db)
}

/// A plan does not depend on bound values. Otherwise SQLite prepares some statements anew each time.
fn keep_plans(db: &Connection) -> Res<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Where ids and numbers go on.
pub fn resume(db: &Connection) -> Res<(Last, i64)> {
    let newest = |table: &str| -> Res<u128> {
        let mut find = db.prepare(&format!("SELECT id FROM {table} ORDER BY id DESC LIMIT 1"))?;
        let id: Option<[u8; 16]> = find.query_row([], |row| row.get(0)).optional()?;
        Ok(id.map_or(0, u128::from_be_bytes))
    };
    let last = Last {
        pipeline: newest("pipeline")?,
        job: newest("job")?,
        attempt: newest("attempt")?,
        token: newest("token")?,
    };
    let sequence = db.query_row(
        "SELECT value FROM counter WHERE name = 'sequence'",
        [],
        |row| row.get(0),
    );
    Ok((last, sequence.map_err(Fault::from)?))
}
