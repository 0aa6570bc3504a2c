//! Blobs: announced, then stored.

use outrider_model::BlobHash;
use rusqlite::{Connection, OptionalExtension, Row};

use super::super::fault::{Fault, Res};
use super::super::rows::Millis;
use super::super::tx::Tx;
use super::caller::{Caller, Fence};
use super::uses::{BY_ATTEMPT, Kept, Owner};
use crate::{Announced, BlobObject, BlobRecord, NewBlob, Scope};

/// Reads `id, project, untrusted, hash, size`.
pub fn read_blob(row: &Row<'_>) -> rusqlite::Result<BlobRecord> {
    Ok(BlobRecord {
        object: read_object(row)?,
        size: row.get(4)?,
    })
}

/// Reads `id, project, untrusted, hash`.
pub fn read_object(row: &Row<'_>) -> rusqlite::Result<BlobObject> {
    Ok(BlobObject {
        row: row.get(0)?,
        scope: Scope {
            project: row.get(1)?,
            untrusted: row.get(2)?,
        },
        hash: BlobHash(row.get(3)?),
    })
}

impl Tx<'_> {
    /// An attempt is about to send these.
    pub fn announce(&mut self, by: &Fence, blobs: &[NewBlob]) -> Res<Vec<Announced>> {
        let caller = Caller::find(self.db, by)?;
        blobs
            .iter()
            .map(|blob| {
                let announced = self.announce_one(caller.scope, *blob)?;
                self.use_blob(Owner::Attempt(caller.attempt), announced.blob.object.row)?;
                Ok(announced)
            })
            .collect()
    }

    /// Whoever announces a blob that is not there yet says how long it is. One that is there is as
    /// long as it is.
    fn announce_one(&self, scope: Scope, new: NewBlob) -> Res<Announced> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO blob (project, untrusted, hash, size, created_at) \
             VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT DO UPDATE SET size = excluded.size WHERE stored_at IS NULL",
        )?;
        let Scope { project, untrusted } = scope;
        insert.execute((project, untrusted, new.hash.0, new.size, Millis(self.now)))?;
        let announced = find(self.db, scope, new.hash)?
            .ok_or_else(|| Fault::damaged("a blob that was written is not there"))?;
        let size = announced.blob.size;
        if size != new.size {
            return Err(Fault::conflict(format!(
                "the blob {} has {size} bytes, not {}",
                new.hash, new.size
            )));
        }
        Ok(announced)
    }

    /// These objects are whole.
    pub fn blobs_stored(&mut self, by: &Fence, rows: &[u64]) -> Res<()> {
        let caller = Caller::find(self.db, by)?;
        let mut update = self.db.prepare_cached(
            "UPDATE blob SET stored_at = coalesce(stored_at, ?1) WHERE id = ?2 AND EXISTS \
             (SELECT 1 FROM blob_use WHERE kind = ?3 AND owner = ?4 AND blob = ?2)",
        )?;
        for row in rows {
            let owner = caller.attempt.as_bytes();
            if update.execute((Millis(self.now), row, BY_ATTEMPT, owner))? == 0 {
                return Err(Fault::conflict("the blob was not announced"));
            }
        }
        Ok(())
    }

    /// The blob goes, and whatever needs it. Where a layer needs it, the blob only counts as one
    /// that has yet to come: whoever attaches that layer must fail, and not go on without its files.
    pub fn drop_damaged(&mut self, row: u64) -> Res<u64> {
        let (mut dropped, mut awaited) = (0, false);
        for (kept, owner) in self.kept_with(row)? {
            if matches!(kept, Kept::Layer) {
                awaited = true;
            } else {
                if matches!(kept, Kept::TestResults) {
                    self.forget_timing_basis(owner)?;
                }
                self.drop_kept(kept, owner)?;
                dropped += 1;
            }
        }
        if awaited {
            self.await_again(row)?;
            return Ok(dropped);
        }
        let mut forget = self
            .db
            .prepare_cached("DELETE FROM blob_use WHERE blob = ?1")?;
        forget.execute([row])?;
        self.discard(row)?;
        Ok(dropped)
    }

    /// What is kept with this blob.
    fn kept_with(&self, row: u64) -> Res<Vec<(Kept, i64)>> {
        let mut find = self
            .db
            .prepare_cached("SELECT kind, owner FROM blob_use WHERE blob = ?1")?;
        let owners = find.query_map([row], |row| {
            let owner: Vec<u8> = row.get(1)?;
            Ok(Kept::read(row.get(0)?, &owner))
        })?;
        let owners = owners.collect::<Result<Vec<_>, _>>()?;
        Ok(owners.into_iter().flatten().collect())
    }

    /// The blob is not there until somebody sends it again.
    fn await_again(&self, row: u64) -> Res<()> {
        for statement in [
            "DELETE FROM chunk WHERE pack = ?1",
            "UPDATE blob SET stored_at = NULL WHERE id = ?1",
        ] {
            self.db.prepare_cached(statement)?.execute([row])?;
        }
        Ok(())
    }

    /// The blob's object is garbage from now on.
    pub fn discard(&self, row: u64) -> Res<()> {
        for statement in [
            "DELETE FROM chunk WHERE pack = ?1",
            "INSERT INTO blob_garbage (id, project, untrusted, hash) \
             SELECT id, project, untrusted, hash FROM blob WHERE id = ?1",
            "DELETE FROM blob WHERE id = ?1",
        ] {
            self.db.prepare_cached(statement)?.execute([row])?;
        }
        Ok(())
    }
}

/// What a scope has under this name, stored or not.
fn find(db: &Connection, scope: Scope, hash: BlobHash) -> Res<Option<Announced>> {
    let mut find = db.prepare_cached(
        "SELECT id, project, untrusted, hash, size, stored_at IS NOT NULL FROM blob \
         WHERE project = ?1 AND untrusted = ?2 AND hash = ?3",
    )?;
    let found = find.query_row((scope.project, scope.untrusted, hash.0), |row| {
        Ok(Announced {
            blob: read_blob(row)?,
            stored: row.get(5)?,
        })
    });
    Ok(found.optional()?)
}

/// What a scope has under this name, if it is whole.
pub fn find_stored(db: &Connection, scope: Scope, hash: BlobHash) -> Res<Option<BlobRecord>> {
    let found = find(db, scope, hash)?.filter(|found| found.stored);
    Ok(found.map(|found| found.blob))
}

/// What a scope must have under this name.
pub fn stored(db: &Connection, scope: Scope, hash: BlobHash) -> Res<BlobRecord> {
    find_stored(db, scope, hash)?.ok_or_else(|| {
        Fault::conflict(format!(
            "the blob {hash} is not in the store: send it first"
        ))
    })
}

/// What the attempt has announced.
pub fn announced(db: &Connection, by: &Fence, hashes: &[BlobHash]) -> Res<Vec<Option<Announced>>> {
    let caller = Caller::find(db, by)?;
    let mut used =
        db.prepare_cached("SELECT 1 FROM blob_use WHERE kind = ?1 AND owner = ?2 AND blob = ?3")?;
    let mut uses = |row| used.exists((BY_ATTEMPT, caller.attempt.as_bytes(), row));
    let mut list = Vec::with_capacity(hashes.len());
    for hash in hashes {
        let found = find(db, caller.scope, *hash)?;
        list.push(match found {
            Some(found) if uses(found.blob.object.row)? => Some(found),
            _ => None,
        });
    }
    Ok(list)
}

/// Where blobs lie that the task may read.
pub fn locate(db: &Connection, by: &Fence, hashes: &[BlobHash]) -> Res<Vec<Option<BlobRecord>>> {
    let caller = Caller::find(db, by)?;
    let locate = |hash: &BlobHash| {
        for scope in caller.readable() {
            if let Some(found) = find_stored(db, scope, *hash)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    };
    hashes.iter().map(locate).collect()
}

/// Which rows are there, or are garbage.
pub fn known(db: &Connection, rows: &[u64]) -> Res<Vec<bool>> {
    let mut find = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM blob WHERE id = ?1) \
             OR EXISTS (SELECT 1 FROM blob_garbage WHERE id = ?1)",
    )?;
    let known = rows
        .iter()
        .map(|row| find.query_row([row], |row| row.get(0)));
    Ok(known.collect::<Result<_, _>>()?)
}
