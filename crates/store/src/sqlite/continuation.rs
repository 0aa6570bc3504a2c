//! Continuing a pipeline whose setup config runs.

use outrider_model::secret::TokenHash;
use outrider_model::{JobId, PipelineId, TaskId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::fault::{Fault, Res};
use super::ids::job_of;
use super::pipelines::Specs;
use super::rows::{PipelineRow, opt_time, time};
use super::tx::Tx;
use crate::{Continuable, Continuation, EventSubject, LONGEST_SETUP, Reserved, Woken};

/// A continuation with all that can be made ready before it is the writer's turn.
pub struct Prepared {
    new: Continuation,
    specs: Specs,
}

/// Checks a continuation and turns what is only stored into text.
pub fn prepare(new: Continuation) -> Res<Prepared> {
    if new.plan.setup {
        return Err(Fault::conflict(
            "a pipeline cannot be continued with another setup config: leave out `setup: true`",
        ));
    }
    let specs = Specs::of(&new.plan)?;
    Ok(Prepared { new, specs })
}

/// What the holder of a key may continue; nothing if nobody got this key.
pub fn continuable(db: &Connection, key: TokenHash, now: Timestamp) -> Res<Option<Continuable>> {
    let mut find =
        db.prepare_cached("SELECT task, ended_at FROM attempt WHERE continuation = ?1")?;
    let holder = find.query_row([key.as_bytes()], |row| {
        Ok((TaskId::from_bytes(row.get(0)?), opt_time(row, 1)?))
    });
    let Some((task, ended_at)) = holder.optional()? else {
        return Ok(None);
    };
    if ended_at.is_some() {
        return Err(Fault::conflict(
            "the job that this continuation key is for has ended",
        ));
    }
    let mut find = db.prepare_cached(
        "SELECT p.id, p.number, p.trigger, p.setup, p.created_at, p.continued_config IS NULL \
         FROM job j JOIN pipeline p ON p.id = j.pipeline WHERE j.id = ?1",
    )?;
    let pipeline = find.query_row([job_of(task).as_bytes()], |row| Ok(read(row, now)));
    pipeline?.map(Some)
}

fn read(row: &Row<'_>, now: Timestamp) -> Res<Continuable> {
    let open: bool = row.get(5)?;
    if !open {
        return Err(Fault::conflict(
            "the pipeline has been continued already: it can be continued once",
        ));
    }
    if time(row, 4)? + LONGEST_SETUP < now {
        return Err(Fault::conflict(
            "a pipeline can be continued within 6 hours: this one is older",
        ));
    }
    let trigger: String = row.get(2)?;
    let parameters: String = row.get(3)?;
    Ok(Continuable {
        reserved: Reserved {
            pipeline: PipelineId::from_bytes(row.get(0)?),
            number: row.get(1)?,
        },
        trigger: serde_json::from_str(&trigger)?,
        parameters: serde_json::from_str(&parameters)?,
    })
}

impl Tx<'_> {
    /// Adds the workflows of another plan to a pipeline, once.
    pub fn continue_pipeline(&mut self, prepared: &Prepared) -> Res<Woken> {
        let new = &prepared.new;
        let continuable = continuable(self.db, new.key, self.now)?
            .ok_or_else(|| Fault::conflict("the continuation key is unknown"))?;
        let id = continuable.reserved.pipeline;
        let mut row = PipelineRow::load(self.db, id)?;
        let before = row.status();
        let project = &continuable.trigger.project;
        let written = self.insert_plan(id, project, &new.plan, &prepared.specs, &mut row)?;
        row.changed = true;
        let after = row.status();
        if before != after {
            row.items.push((EventSubject::Pipeline, after));
        }
        self.pipelines.insert(id, row);
        self.mark_continued(id, &new.config, &written.jobs)?;
        self.set_off(&new.plan, &written.jobs)?;
        self.take_woken()
    }

    fn mark_continued(&mut self, id: PipelineId, config: &str, jobs: &[JobId]) -> Res<()> {
        let config = self.body(config)?;
        let mut mark = self.db.prepare_cached(
            "UPDATE pipeline SET continued_config = ?2, continued_first_job = ?3, \
             continued_last_job = ?4 WHERE id = ?1",
        )?;
        mark.execute((
            id.as_bytes(),
            config,
            jobs.first().map(JobId::as_bytes),
            jobs.last().map(JobId::as_bytes),
        ))?;
        Ok(())
    }
}
