//! Artifacts: files that people look at.

use std::time::Duration;

use outrider_model::{AttemptId, JobId, TaskId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::super::fault::{Fault, Res};
use super::super::ids::{after_tasks_of, index_of};
use super::super::rows::{Millis, time};
use super::super::tx::Tx;
use super::blobs::{read_blob, stored};
use super::caller::{Caller, Fence};
use super::uses::{Kept, Owner};
use crate::{ArtifactContent, ArtifactRecord, BlobRecord, NewArtifact, Scope};

impl Tx<'_> {
    /// Keeps artifacts, each in place of an earlier one with its path.
    pub fn store_artifacts(
        &mut self,
        by: &Fence,
        artifacts: &[NewArtifact],
        retention: Duration,
    ) -> Res<()> {
        let caller = Caller::find(self.db, by)?;
        for artifact in artifacts {
            self.drop_artifact(caller.attempt, &artifact.path)?;
            let parts = self.stored_parts(caller.scope, artifact)?;
            let id = self.insert_artifact(caller.attempt, artifact, &parts, retention)?;
            for part in parts {
                self.use_blob(Owner::Kept(Kept::Artifact, id), part.object.row)?;
            }
        }
        Ok(())
    }

    fn drop_artifact(&self, attempt: AttemptId, path: &str) -> Res<()> {
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM artifact WHERE attempt = ?1 AND path = ?2")?;
        let earlier = find.query_row((attempt.as_bytes(), path), |row| row.get(0));
        match earlier.optional()? {
            Some(earlier) => self.drop_kept(Kept::Artifact, earlier),
            None => Ok(()),
        }
    }

    fn stored_parts(&self, scope: Scope, artifact: &NewArtifact) -> Res<Vec<BlobRecord>> {
        let parts = artifact.parts.iter();
        parts.map(|hash| stored(self.db, scope, *hash)).collect()
    }

    fn insert_artifact(
        &self,
        attempt: AttemptId,
        artifact: &NewArtifact,
        parts: &[BlobRecord],
        retention: Duration,
    ) -> Res<i64> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO artifact (attempt, path, size, parts, created_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let rows = parts.iter().flat_map(|part| part.object.row.to_be_bytes());
        Ok(insert.insert((
            attempt.as_bytes(),
            &artifact.path,
            parts.iter().map(|part| part.size).sum::<u64>(),
            rows.collect::<Vec<u8>>(),
            Millis(self.now),
            Millis(self.now + retention),
        ))?)
    }
}

/// The artifacts of a job.
pub fn of_job(db: &Connection, job: JobId) -> Res<Vec<ArtifactRecord>> {
    let mut find = db.prepare_cached(
        "SELECT t.id, a.path, a.size, a.created_at \
         FROM task t JOIN artifact a ON a.attempt = t.attempt \
         WHERE t.id > ?1 AND t.id < ?2 ORDER BY t.id, a.path",
    )?;
    let read = |row: &Row<'_>| {
        let task = TaskId::from_bytes(row.get(0)?);
        Ok(ArtifactRecord {
            task,
            index: index_of(task),
            path: row.get(1)?,
            size: row.get(2)?,
            created_at: time(row, 3)?,
        })
    };
    let rows = find.query_map((job.as_bytes(), after_tasks_of(job)), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Where an artifact's bytes lie.
pub fn content(db: &Connection, task: TaskId, path: &str) -> Res<ArtifactContent> {
    let mut find = db.prepare_cached(
        "SELECT a.size, a.parts FROM task t JOIN artifact a ON a.attempt = t.attempt \
         WHERE t.id = ?1 AND a.path = ?2",
    )?;
    let found = find.query_row((task.as_bytes(), path), |row| {
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let (size, rows) = found
        .optional()?
        .ok_or_else(|| Fault::not_found("artifact", path))?;
    let mut blob =
        db.prepare_cached("SELECT id, project, untrusted, hash, size FROM blob WHERE id = ?1")?;
    let (rows, _) = rows.as_chunks::<8>();
    let parts = rows
        .iter()
        .map(|row| blob.query_row([u64::from_be_bytes(*row)], read_blob));
    Ok(ArtifactContent {
        size,
        parts: parts.collect::<Result<_, _>>()?,
    })
}
