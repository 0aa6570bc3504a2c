//! Caches: found by the beginning of their key.

use std::time::Duration;

use outrider_model::{BlobHash, JobId};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row};

use super::super::fault::Res;
use super::super::rows::{Millis, time};
use super::super::tx::Tx;
use super::caller::{Caller, Fence};
use super::uses::{BY_ATTEMPT, Kept, Owner};
use crate::{CacheRecord, Evicted, NewCache, Scope, USE_IS_NEWS_AFTER};

/// A cache with the key of one that is to be saved.
struct Existing {
    id: i64,
    expired: bool,
    /// Whether it is this one, saved by a call whose answer was lost.
    same: bool,
}

impl Tx<'_> {
    /// Keeps a cache, unless there is one with its key.
    pub fn save_cache(&mut self, by: &Fence, new: &NewCache) -> Res<bool> {
        let caller = Caller::find(self.db, by)?;
        match self.cache_with_key(&caller, new)? {
            Some(found) if !found.expired => return Ok(found.same),
            Some(found) => self.drop_kept(Kept::Cache, found.id)?,
            None => {}
        }
        let blobs = self.archive_blobs(caller.scope, &new.archive)?;
        let retention = self.cache_retention(caller.job)?.unwrap_or(new.retention);
        let mut insert = self.db.prepare_cached(
            "INSERT INTO cache (project, untrusted, key, manifest, entries, size, job, created_at, \
             last_used_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)",
        )?;
        let id = insert.insert((
            caller.scope.project,
            caller.scope.untrusted,
            &new.key,
            blobs[0],
            new.archive.entries,
            new.archive.size,
            caller.job.as_bytes(),
            Millis(self.now),
            Millis(self.now + retention),
        ))?;
        for blob in blobs {
            self.use_blob(Owner::Kept(Kept::Cache, id), blob)?;
        }
        Ok(true)
    }

    fn cache_with_key(&self, caller: &Caller, new: &NewCache) -> Res<Option<Existing>> {
        let mut find = self.db.prepare_cached(
            "SELECT c.id, c.expires_at <= ?4, c.job = ?5 AND b.hash = ?6 \
             FROM cache c JOIN blob b ON b.id = c.manifest \
             WHERE c.project = ?1 AND c.untrusted = ?2 AND c.key = ?3",
        )?;
        let Scope { project, untrusted } = caller.scope;
        let (job, manifest) = (caller.job.as_bytes(), new.archive.manifest.0);
        let found = find.query_row(
            (
                project,
                untrusted,
                &new.key,
                Millis(self.now),
                job,
                manifest,
            ),
            |row| {
                Ok(Existing {
                    id: row.get(0)?,
                    expired: row.get(1)?,
                    same: row.get(2)?,
                })
            },
        );
        Ok(found.optional()?)
    }

    /// How long the job says that its caches are kept.
    fn cache_retention(&self, job: JobId) -> Res<Option<Duration>> {
        let mut find = self.db.prepare_cached(
            "SELECT b.text ->> '$.cache_retention_days' FROM job j JOIN body b ON b.id = j.spec \
             WHERE j.id = ?1",
        )?;
        let days: Option<Option<u64>> = find
            .query_row([job.as_bytes()], |row| row.get(0))
            .optional()?;
        Ok(days
            .flatten()
            .map(|days| Duration::from_secs(days * 24 * 3_600)))
    }

    /// The cache that fits.
    pub fn find_cache(
        &mut self,
        by: &Fence,
        keys: &[String],
        exact: bool,
    ) -> Res<Option<CacheRecord>> {
        let caller = Caller::find(self.db, by)?;
        for key in keys {
            let Some((id, found)) = self.newest_cache(caller.scope, key, exact)? else {
                continue;
            };
            self.share_uses(caller.attempt, Owner::Kept(Kept::Cache, id))?;
            let mut touch = self.db.prepare_cached(
                "UPDATE cache SET last_used_at = ?2 WHERE id = ?1 AND last_used_at <= ?3",
            )?;
            let news = self.now.as_millis() - USE_IS_NEWS_AFTER.as_millis() as i64;
            touch.execute((id, Millis(self.now), news))?;
            return Ok(Some(found));
        }
        Ok(None)
    }

    /// The newest whose key is this one or begins with it. Ids grow over all scopes, so the newest
    /// has the greatest. The plus keeps the planner from looking through all caches by id.
    fn newest_cache(
        &self,
        scope: Scope,
        key: &str,
        exact: bool,
    ) -> Res<Option<(i64, CacheRecord)>> {
        let mut find = self.db.prepare_cached(
            "SELECT c.id, c.key, b.hash, c.entries, c.size, c.created_at \
             FROM cache c JOIN blob b ON b.id = c.manifest \
             WHERE c.project = ?1 AND c.untrusted IN (0, ?2) AND c.key >= ?3 \
               AND c.key < ?4 AND c.expires_at > ?5 AND (NOT ?6 OR c.key = ?3) \
             ORDER BY +c.id DESC LIMIT 1",
        )?;
        // Every blob comes after every text.
        let end = after_prefix(key).map_or(Value::Blob(Vec::new()), Value::Text);
        let found = find.query_row(
            (
                scope.project,
                scope.untrusted,
                key,
                end,
                Millis(self.now),
                exact,
            ),
            |row| Ok((row.get(0)?, read_cache(row)?)),
        );
        Ok(found.optional()?)
    }

    /// Drops what was used least recently.
    pub fn evict_caches(&mut self, project: Option<u64>, bytes: u64, limit: u32) -> Res<Evicted> {
        let mut evicted = Evicted::default();
        for id in self.least_used_caches(project, limit)? {
            if evicted.bytes >= bytes {
                break;
            }
            evicted.bytes += self.only_used_by(id)?;
            evicted.caches += 1;
            self.drop_kept(Kept::Cache, id)?;
        }
        Ok(evicted)
    }

    /// Those that no attempt uses: what one uses frees nothing. Untrusted ones first: nobody's pull
    /// request throws out what the project's own branches have saved.
    fn least_used_caches(&self, project: Option<u64>, limit: u32) -> Res<Vec<i64>> {
        let mut find = self.db.prepare_cached(
            "SELECT id FROM cache c WHERE (?1 IS NULL OR project = ?1) AND NOT EXISTS \
             (SELECT 1 FROM blob_use WHERE blob = c.manifest AND kind = ?2) \
             ORDER BY untrusted DESC, last_used_at, id LIMIT ?3",
        )?;
        let ids = find.query_map((project, BY_ATTEMPT, limit), |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// How many bytes nothing but this cache uses.
    fn only_used_by(&self, cache: i64) -> Res<u64> {
        let mut sum = self.db.prepare_cached(
            "SELECT coalesce(sum(b.size), 0) FROM blob_use u JOIN blob b ON b.id = u.blob \
             WHERE u.kind = 1 AND u.owner = ?1 AND b.uses = 1",
        )?;
        Ok(sum.query_row([cache.to_be_bytes()], |row| row.get(0))?)
    }
}

fn read_cache(row: &Row<'_>) -> rusqlite::Result<CacheRecord> {
    Ok(CacheRecord {
        key: row.get(1)?,
        manifest: BlobHash(row.get(2)?),
        entries: row.get(3)?,
        size: row.get(4)?,
        created_at: time(row, 5)?,
    })
}

/// The first text that comes after all that begin with this one: texts are ordered by their bytes,
/// and bytes of UTF-8 as the characters are. None if there is no such text.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The range skips what is no character, and is empty after the greatest.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        let after = |prefix| after_prefix(prefix).unwrap();
        assert_eq!(after("deps-"), "deps.");
        assert_eq!(after("100%"), "100&");
        assert_eq!(after("\u{d7ff}"), "\u{e000}", "there is nothing in between");
        assert_eq!(after("a\u{10ffff}"), "b");
        assert_eq!(after_prefix("\u{10ffff}"), None);
        assert_eq!(after_prefix(""), None);
    }
}
