//! What is past its time goes; what nothing uses becomes garbage.

use outrider_model::AttemptId;
use rusqlite::{Connection, OptionalExtension};

use super::super::fault::Res;
use super::super::rows::Millis;
use super::super::tx::Tx;
use super::blobs::read_object;
use super::uses::{BY_ATTEMPT, Kept, Owner};
use crate::{Amount, BlobObject, DataUsage, Scope, Swept};

impl Tx<'_> {
    /// Drops what is past its time, what attempts that have ended used, and unused blobs.
    pub fn expire_data(&mut self, limit: u32) -> Res<Swept> {
        let mut swept = Swept::default();
        for kept in Kept::ALL {
            let expired = self.expired(kept, limit)?;
            swept.more |= expired.len() >= limit as usize;
            for row in &expired {
                self.drop_kept(kept, *row)?;
            }
            swept.expired += expired.len() as u32;
        }
        let ended = self.ended_users(limit)?;
        for attempt in &ended {
            self.let_go(Owner::Attempt(*attempt))?;
        }
        let unused = self.unused(limit)?;
        for blob in &unused {
            self.discard(*blob)?;
        }
        swept.attempts = ended.len() as u32;
        swept.blobs = unused.len() as u32;
        swept.more |= swept.attempts.max(swept.blobs) >= limit;
        Ok(swept)
    }

    fn expired(&self, kept: Kept, limit: u32) -> Res<Vec<i64>> {
        let mut find = self.db.prepare_cached(&format!(
            "SELECT id FROM {} WHERE expires_at <= ?1 AND NOT {} ORDER BY expires_at LIMIT ?2",
            kept.table(),
            kept.stays()
        ))?;
        let rows = find.query_map((Millis(self.now), limit), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn unused(&self, limit: u32) -> Res<Vec<u64>> {
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM blob WHERE uses = 0 ORDER BY id LIMIT ?1")?;
        let rows = find.query_map([limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Attempts that have ended and still use blobs. Goes from attempt to attempt, not from use to
    /// use: those that run are few.
    fn ended_users(&self, limit: u32) -> Res<Vec<AttemptId>> {
        let mut next = self.db.prepare_cached(
            "SELECT u.owner, a.ended_at IS NOT NULL FROM \
             (SELECT owner FROM blob_use WHERE kind = ?1 AND owner > ?2 ORDER BY owner LIMIT 1) u \
             JOIN attempt a ON a.id = u.owner",
        )?;
        let mut ended = Vec::new();
        let mut last = [0; 16];
        while ended.len() < limit as usize {
            let found = next.query_row((BY_ATTEMPT, last), |row| Ok((row.get(0)?, row.get(1)?)));
            let Some((attempt, has_ended)) = found.optional()? else {
                break;
            };
            last = attempt;
            if has_ended {
                ended.push(AttemptId::from_bytes(attempt));
            }
        }
        Ok(ended)
    }

    /// These objects are gone.
    pub fn garbage_gone(&mut self, rows: &[u64]) -> Res<()> {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM blob_garbage WHERE id = ?1")?;
        for row in rows {
            delete.execute([row])?;
        }
        Ok(())
    }
}

/// Objects that are to be deleted.
pub fn list(db: &Connection, after: u64, limit: u32) -> Res<Vec<BlobObject>> {
    let mut find = db.prepare_cached(
        "SELECT id, project, untrusted, hash FROM blob_garbage WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let rows = find.query_map((after, limit), read_object)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How much there is.
pub fn usage(db: &Connection) -> Res<DataUsage> {
    let mut find = db.prepare_cached(
        "SELECT project, untrusted, count(*), sum(size) FROM blob WHERE stored_at IS NOT NULL \
         GROUP BY project, untrusted ORDER BY project, untrusted",
    )?;
    let rows = find.query_map([], |row| {
        let scope = Scope {
            project: row.get(0)?,
            untrusted: row.get(1)?,
        };
        let amount = Amount {
            count: row.get(2)?,
            bytes: row.get(3)?,
        };
        Ok((scope, amount))
    })?;
    Ok(DataUsage {
        blobs: rows.collect::<Result<_, _>>()?,
        caches: amount(db, "size", "cache")?,
        layers: amount(db, "size", "layer")?,
        artifacts: amount(db, "size", "artifact")?,
        test_results: amount(db, "b.size", "test_results r JOIN blob b ON b.id = r.blob")?,
    })
}

fn amount(db: &Connection, size: &str, table: &str) -> Res<Amount> {
    // Unlike a sum, a total never overflows.
    let mut sum = db.prepare_cached(&format!(
        "SELECT count(*), CAST(total({size}) AS INTEGER) FROM {table}"
    ))?;
    Ok(sum.query_row([], |row| {
        Ok(Amount {
            count: row.get(0)?,
            bytes: row.get(1)?,
        })
    })?)
}
