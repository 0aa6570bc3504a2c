//! Test results, and whose timings a job splits its tests by.

use outrider_model::{JobId, TaskId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::super::fault::{Fault, Res};
use super::super::ids::{after_tasks_of, index_of};
use super::super::rows::Millis;
use super::super::tx::Tx;
use super::blobs::{read_blob, stored};
use super::caller::{Caller, Fence};
use super::uses::{Kept, Owner};
use crate::{NewTestResults, Scope, TestCounts, TestResultsRecord};

/// So many of the newest earlier jobs are looked at for one of the same branch.
const LOOK_BACK: u32 = 200;

impl Tx<'_> {
    /// Keeps the results of a step, in place of earlier ones.
    pub fn store_test_results(&mut self, by: &Fence, new: &NewTestResults) -> Res<()> {
        let caller = Caller::find(self.db, by)?;
        let blob = stored(self.db, caller.scope, new.blob)?;
        let attempt = caller.attempt.as_bytes();
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM test_results WHERE attempt = ?1 AND step = ?2")?;
        let earlier = find.query_row((attempt, new.step), |row| row.get(0));
        if let Some(earlier) = earlier.optional()? {
            self.drop_kept(Kept::TestResults, earlier)?;
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO test_results (project, untrusted, job_name, attempt, step, job, blob, \
             tests, failed, skipped, millis, created_at, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        let id = insert.insert((
            caller.scope.project,
            caller.scope.untrusted,
            job_name(self.db, caller.job)?,
            attempt,
            new.step,
            caller.job.as_bytes(),
            blob.object.row,
            new.counts.tests,
            new.counts.failed,
            new.counts.skipped,
            new.counts.millis,
            Millis(self.now),
            Millis(self.now + new.retention),
        ))?;
        self.use_blob(Owner::Kept(Kept::TestResults, id), blob.object.row)
    }

    /// The results by which the tasks of this job split their tests.
    pub fn timings(&mut self, by: &Fence) -> Res<Vec<TestResultsRecord>> {
        let caller = Caller::find(self.db, by)?;
        let Some(basis) = self.timing_basis(&caller)? else {
            return Ok(Vec::new());
        };
        let results = of_job(self.db, basis)?;
        for result in &results {
            self.use_blob(Owner::Attempt(caller.attempt), result.blob.object.row)?;
        }
        Ok(results)
    }

    /// Found once for all tasks of a job.
    fn timing_basis(&self, caller: &Caller) -> Res<Option<JobId>> {
        let mut find = self
            .db
            .prepare_cached("SELECT basis FROM timing_basis WHERE job = ?1")?;
        let known = find.query_row([caller.job.as_bytes()], |row| {
            Ok(row.get::<_, Option<[u8; 16]>>(0)?.map(JobId::from_bytes))
        });
        if let Some(known) = known.optional()? {
            return Ok(known);
        }
        let mut found = None;
        for scope in caller.readable() {
            found = found.or(self.newest_with_results(scope, caller.job)?);
        }
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO timing_basis (job, basis) VALUES (?1, ?2)")?;
        let basis = found.as_ref().map(JobId::as_bytes);
        insert.execute((caller.job.as_bytes(), basis))?;
        Ok(found)
    }

    /// These results are about to go before their time: no job splits its tests by what is left.
    pub fn forget_timing_basis(&self, results: i64) -> Res<()> {
        let mut forget = self.db.prepare_cached(
            "UPDATE timing_basis SET basis = NULL \
             WHERE basis = (SELECT job FROM test_results WHERE id = ?1)",
        )?;
        forget.execute([results])?;
        Ok(())
    }

    /// The newest earlier job of the same name that has ended and has results: of the same branch,
    /// else of any.
    fn newest_with_results(&self, scope: Scope, job: JobId) -> Res<Option<JobId>> {
        let mut find = self.db.prepare_cached(
            "SELECT r.job, p.trigger ->> '$.branch' IS ?5 \
             FROM (SELECT DISTINCT job FROM test_results WHERE project = ?1 AND untrusted = ?2 \
                   AND job_name = ?3 AND job < ?4 ORDER BY job DESC LIMIT ?6) r \
             JOIN job j ON j.id = r.job JOIN pipeline p ON p.id = j.pipeline \
             WHERE j.finished_at IS NOT NULL ORDER BY 2 DESC, r.job DESC LIMIT 1",
        )?;
        let name = job_name(self.db, job)?;
        let branch = branch(self.db, job)?;
        let Scope { project, untrusted } = scope;
        let found = find.query_row(
            (project, untrusted, name, job.as_bytes(), branch, LOOK_BACK),
            |row| Ok(JobId::from_bytes(row.get(0)?)),
        );
        Ok(found.optional()?)
    }
}

fn job_name(db: &Connection, job: JobId) -> Res<String> {
    let mut find = db.prepare_cached("SELECT name FROM job WHERE id = ?1")?;
    find.query_row([job.as_bytes()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Fault::not_found("job", job))
}

fn branch(db: &Connection, job: JobId) -> Res<Option<String>> {
    let mut find = db.prepare_cached(
        "SELECT p.trigger ->> '$.branch' FROM job j JOIN pipeline p ON p.id = j.pipeline \
         WHERE j.id = ?1",
    )?;
    Ok(find.query_row([job.as_bytes()], |row| row.get(0))?)
}

/// The results of a job.
pub fn of_job(db: &Connection, job: JobId) -> Res<Vec<TestResultsRecord>> {
    let mut find = db.prepare_cached(
        "SELECT b.id, b.project, b.untrusted, b.hash, b.size, \
                t.id, r.step, r.tests, r.failed, r.skipped, r.millis \
         FROM task t JOIN test_results r ON r.attempt = t.attempt JOIN blob b ON b.id = r.blob \
         WHERE t.id > ?1 AND t.id < ?2 ORDER BY t.id, r.step",
    )?;
    let read = |row: &Row<'_>| {
        let task = TaskId::from_bytes(row.get(5)?);
        let counts = TestCounts {
            tests: row.get(7)?,
            failed: row.get(8)?,
            skipped: row.get(9)?,
            millis: row.get(10)?,
        };
        Ok(TestResultsRecord {
            task,
            index: index_of(task),
            step: row.get(6)?,
            blob: read_blob(row)?,
            counts,
        })
    };
    let rows = find.query_map((job.as_bytes(), after_tasks_of(job)), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
