//! Workspaces: what earlier jobs have added, layer by layer.

use std::collections::{BTreeMap, BTreeSet};

use outrider_model::{BlobHash, JobId, TaskId};
use rusqlite::{OptionalExtension, Row};

use super::super::fault::Res;
use super::super::ids::{after_tasks_of, index_of};
use super::super::rows::Millis;
use super::super::tx::Tx;
use super::caller::{Caller, Fence};
use super::upstream::Upstream;
use super::uses::{Kept, Owner};
use crate::{LayerRecord, NewLayer};

impl Tx<'_> {
    /// Keeps what a step adds, in place of what it added before.
    pub fn add_layer(&mut self, by: &Fence, new: &NewLayer) -> Res<()> {
        let caller = Caller::find(self.db, by)?;
        let blobs = self.archive_blobs(caller.scope, &new.archive)?;
        let attempt = caller.attempt.as_bytes();
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM layer WHERE attempt = ?1 AND step = ?2")?;
        let earlier = find.query_row((attempt, new.step), |row| row.get(0));
        if let Some(earlier) = earlier.optional()? {
            self.drop_kept(Kept::Layer, earlier)?;
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO layer (attempt, step, job, manifest, entries, size, created_at, \
             expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        let id = insert.insert((
            attempt,
            new.step,
            caller.job.as_bytes(),
            blobs[0],
            new.archive.entries,
            new.archive.size,
            Millis(self.now),
            Millis(self.now + new.retention),
        ))?;
        for blob in blobs {
            self.use_blob(Owner::Kept(Kept::Layer, id), blob)?;
        }
        Ok(())
    }

    /// What the jobs have added that the task's job came after.
    pub fn workspace(&mut self, by: &Fence) -> Res<Vec<LayerRecord>> {
        let caller = Caller::find(self.db, by)?;
        let upstream = Upstream::new(self.requirements_before(caller.job)?);
        let mut layers = Vec::new();
        for (job, after) in upstream.jobs() {
            for (id, layer) in self.layers_of(job, after)? {
                self.share_uses(caller.attempt, Owner::Kept(Kept::Layer, id))?;
                layers.push(layer);
            }
        }
        Ok(layers)
    }

    /// All jobs that this one came after, each with the jobs that it requires.
    fn requirements_before(&self, job: JobId) -> Res<BTreeMap<JobId, BTreeSet<JobId>>> {
        let mut found = BTreeMap::new();
        let mut waiting: Vec<JobId> = self.required_by(job)?.into_iter().collect();
        while let Some(job) = waiting.pop() {
            if found.contains_key(&job) {
                continue;
            }
            let required = self.required_by(job)?;
            waiting.extend(&required);
            found.insert(job, required);
        }
        Ok(found)
    }

    fn required_by(&self, job: JobId) -> Res<BTreeSet<JobId>> {
        let mut find = self
            .db
            .prepare_cached("SELECT required FROM requirement WHERE dependent = ?1")?;
        let rows = find.query_map([job.as_bytes()], |row| Ok(JobId::from_bytes(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a job has added: by task and step, of the newest attempt of each task.
    fn layers_of(&self, job: JobId, after: &BTreeSet<JobId>) -> Res<Vec<(i64, LayerRecord)>> {
        let mut find = self.db.prepare_cached(
            "SELECT l.id, t.id, j.name, l.step, b.hash, l.entries, l.size \
             FROM task t JOIN layer l ON l.attempt = t.attempt \
             JOIN job j ON j.id = l.job JOIN blob b ON b.id = l.manifest \
             WHERE t.id > ?1 AND t.id < ?2 ORDER BY t.id, l.step",
        )?;
        let read = |row: &Row<'_>| {
            let layer = LayerRecord {
                job,
                job_name: row.get(2)?,
                index: index_of(TaskId::from_bytes(row.get(1)?)),
                step: row.get(3)?,
                after: after.iter().copied().collect(),
                manifest: BlobHash(row.get(4)?),
                entries: row.get(5)?,
                size: row.get(6)?,
            };
            Ok((row.get(0)?, layer))
        };
        let rows = find.query_map((job.as_bytes(), after_tasks_of(job)), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
