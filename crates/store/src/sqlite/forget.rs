//! Forgetting pipelines that ended long ago.

use outrider_model::{AttemptId, PipelineId};

use super::data::Owner;
use super::fault::Res;
use super::tx::Tx;
use super::views;

impl Tx<'_> {
    /// Forgets all but the newest `keep` pipelines of each project; those that have not ended stay.
    /// What their jobs have saved stays until its time is over.
    pub fn forget_pipelines(&mut self, keep: u32) -> Res<u64> {
        let forgotten = self.old_pipelines(keep)?;
        for pipeline in &forgotten {
            self.forget_pipeline(*pipeline)?;
        }
        self.db.execute(
            "DELETE FROM body WHERE id NOT IN (SELECT config FROM pipeline \
             UNION SELECT continued_config FROM pipeline WHERE continued_config IS NOT NULL \
             UNION SELECT spec FROM job WHERE spec IS NOT NULL)",
            [],
        )?;
        Ok(forgotten.len() as u64)
    }

    fn old_pipelines(&self, keep: u32) -> Res<Vec<PipelineId>> {
        let mut find = self.db.prepare_cached(
            "SELECT id FROM (SELECT id, finished_at, \
             row_number() OVER (PARTITION BY project ORDER BY id DESC) AS nth FROM pipeline) \
             WHERE nth > ?1 AND finished_at IS NOT NULL",
        )?;
        let rows = find.query_map([keep], |row| Ok(PipelineId::from_bytes(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn forget_pipeline(&mut self, pipeline: PipelineId) -> Res<()> {
        for (first, last) in views::job_ranges(self.db, pipeline)? {
            // The tasks of a job have the ids that follow its own.
            let end = super::ids::after_tasks_of(outrider_model::JobId::from_bytes(last));
            for attempt in self.attempts_of(first, end)? {
                self.let_go(Owner::Attempt(attempt))?;
                let delete = "DELETE FROM log WHERE attempt = ?1";
                self.db
                    .prepare_cached(delete)?
                    .execute([attempt.as_bytes()])?;
                let delete = "DELETE FROM attempt WHERE id = ?1";
                self.db
                    .prepare_cached(delete)?
                    .execute([attempt.as_bytes()])?;
            }
            for delete in [
                "DELETE FROM task WHERE id >= ?1 AND id < ?2",
                "DELETE FROM requirement WHERE required >= ?1 AND required < ?2",
                "DELETE FROM timing_basis WHERE job >= ?1 AND job < ?2",
                "DELETE FROM job WHERE id >= ?1 AND id < ?2",
            ] {
                self.db.prepare_cached(delete)?.execute((first, end))?;
            }
        }
        for delete in [
            "DELETE FROM event WHERE pipeline = ?1",
            "DELETE FROM workflow WHERE pipeline = ?1",
            "DELETE FROM pipeline WHERE id = ?1",
        ] {
            self.db
                .prepare_cached(delete)?
                .execute([pipeline.as_bytes()])?;
        }
        Ok(())
    }

    fn attempts_of(&self, first: [u8; 16], end: [u8; 16]) -> Res<Vec<AttemptId>> {
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM attempt WHERE task >= ?1 AND task < ?2")?;
        let rows = find.query_map((first, end), |row| Ok(AttemptId::from_bytes(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
