//! The schema and its history.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Res;
use crate::StoreError;

/// All migrations, in order. The schema version is how many have run. A released one never changes.
pub const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_flow.sql"),
    include_str!("migrations/0003_data.sql"),
];

/// Brings a database to the newest schema.
pub fn migrate(db: &mut Connection, path: &Path) -> Res<()> {
    migrate_to(db, path, MIGRATIONS.len())
}

/// Brings a database to a schema version.
pub fn migrate_to(db: &mut Connection, path: &Path, version: usize) -> Res<()> {
    let found: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found as usize > MIGRATIONS.len() {
        return Err(StoreError::TooNew {
            path: path.display().to_string(),
            found,
            known: MIGRATIONS.len() as u32,
        }
        .into());
    }
    for (number, migration) in (1..=version).zip(MIGRATIONS).skip(found as usize) {
        // All of it or nothing: the version is written with the change.
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(migration)?;
        tx.pragma_update(None, "user_version", number as u32)?;
        tx.commit()?;
    }
    Ok(())
}
