//! One operation inside a transaction: what it has loaded, and what it leaves to write at its end.

use std::collections::{BTreeMap, HashMap, VecDeque};

use outrider_model::{ClassName, JobId, PipelineId, Status, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::codec::pack_items;
use super::fault::{Fault, Res};
use super::ids::Ids;
use super::rows::{JobRow, Millis, PipelineRow};
use crate::Woken;

/// What the writer remembers between operations.
pub struct Memory {
    pub ids: Ids,
    /// The last number that was given to an event, a message or a place in the queue.
    pub sequence: i64,
    /// Ids of classes. Emptied when anything is rolled back.
    pub classes: HashMap<String, i64>,
    /// How the counters of classes changed in this transaction.
    pub depths: BTreeMap<i64, (i64, i64)>,
}

/// One operation. Whole jobs and pipelines are loaded once and written once.
pub struct Tx<'a> {
    pub db: &'a Connection,
    pub memory: &'a mut Memory,
    pub now: Timestamp,
    pub jobs: BTreeMap<JobId, JobRow>,
    pub pipelines: BTreeMap<PipelineId, PipelineRow>,
    /// What ended, while nobody has looked at what waits for it.
    pub ended: VecDeque<Ended>,
    /// From which status to which tasks went.
    pub edges: Vec<(Status, Status)>,
    depths: BTreeMap<i64, (i64, i64)>,
    woken: BTreeMap<i64, u32>,
    outbox: Vec<(Topic, [u8; 16])>,
}

/// Something for whose end others wait.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    Job(JobId),
    /// A workflow, by its index.
    Workflow(PipelineId, usize),
}

/// What a message to the outside tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    JobCompleted = 0,
    PipelineCompleted = 1,
}

impl<'a> Tx<'a> {
    pub fn new(db: &'a Connection, memory: &'a mut Memory, now: Timestamp) -> Self {
        Self {
            db,
            memory,
            now,
            jobs: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            ended: VecDeque::new(),
            edges: Vec::new(),
            depths: BTreeMap::new(),
            woken: BTreeMap::new(),
            outbox: Vec::new(),
        }
    }

    /// The next number of the common sequence.
    pub fn next(&mut self) -> i64 {
        self.memory.sequence += 1;
        self.memory.sequence
    }

    /// The job, loaded once.
    pub fn job(&mut self, id: JobId) -> Res<&mut JobRow> {
        use std::collections::btree_map::Entry;
        match self.jobs.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(JobRow::load(self.db, id)?)),
        }
    }

    /// The pipeline, loaded once.
    pub fn pipeline(&mut self, id: PipelineId) -> Res<&mut PipelineRow> {
        use std::collections::btree_map::Entry;
        match self.pipelines.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(PipelineRow::load(self.db, id)?)),
        }
    }

    /// A message to the outside, sent once this is committed.
    pub fn tell(&mut self, topic: Topic, subject: [u8; 16]) {
        self.outbox.push((topic, subject));
    }

    /// So many tasks of a class went from one status to another.
    pub fn count(&mut self, class: i64, from: Status, to: Status, tasks: i64) {
        let depth = self.depths.entry(class).or_default();
        let by = |status, is| if status == is { tasks } else { 0 };
        depth.0 += by(to, Status::Queued) - by(from, Status::Queued);
        depth.1 += by(to, Status::Running) - by(from, Status::Running);
    }

    /// So many tasks of a class became claimable.
    pub fn wake(&mut self, class: i64, tasks: u32) {
        *self.woken.entry(class).or_default() += tasks;
    }

    /// Whom to wake, once this is committed.
    pub fn take_woken(&mut self) -> Res<Woken> {
        let mut woken = Woken::default();
        for (class, tasks) in std::mem::take(&mut self.woken) {
            woken.add(&self.class_name(class)?, tasks);
        }
        Ok(woken)
    }

    /// The id of a class, which exists from now on.
    pub fn class(&mut self, name: &ClassName) -> Res<i64> {
        if let Some(id) = self.memory.classes.get(name.as_str()) {
            return Ok(*id);
        }
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO class (name) VALUES (?1) ON CONFLICT DO NOTHING")?;
        insert.execute([name.as_str()])?;
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM class WHERE name = ?1")?;
        let id = find.query_row([name.as_str()], |row| row.get(0))?;
        self.memory.classes.insert(name.as_str().to_owned(), id);
        Ok(id)
    }

    /// The name of a class.
    pub fn class_name(&self, id: i64) -> Res<ClassName> {
        class_name(self.db, id)
    }

    /// The id of a text that many rows share.
    pub fn body(&mut self, text: &str) -> Res<i64> {
        let hash = blake3::hash(text.as_bytes());
        let hash = &hash.as_bytes()[..16];
        let mut find = self
            .db
            .prepare_cached("SELECT id FROM body WHERE hash = ?1")?;
        if let Some(id) = find.query_row([hash], |row| row.get(0)).optional()? {
            return Ok(id);
        }
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO body (hash, text) VALUES (?1, ?2)")?;
        Ok(insert.insert((hash, text))?)
    }

    /// Writes what was left to write. The last thing that an operation does.
    pub fn finish(mut self) -> Res<()> {
        self.settle()?;
        for (id, job) in self.jobs.iter().filter(|(_, job)| job.changed) {
            job.save(self.db, *id)?;
        }
        for (id, pipeline) in std::mem::take(&mut self.pipelines) {
            if pipeline.changed {
                pipeline.save(self.db, id)?;
            }
            self.write_events(id, &pipeline)?;
        }
        for (topic, subject) in std::mem::take(&mut self.outbox) {
            let id = self.next();
            let mut statement = self.db.prepare_cached(
                "INSERT INTO outbox (id, created_at, topic, subject) VALUES (?1, ?2, ?3, ?4)",
            )?;
            statement.execute((id, Millis(self.now), topic as u8, subject))?;
        }
        for (class, (queued, running)) in self.depths {
            let sum = self.memory.depths.entry(class).or_default();
            sum.0 += queued;
            sum.1 += running;
        }
        Ok(())
    }

    fn write_events(&mut self, id: PipelineId, pipeline: &PipelineRow) -> Res<()> {
        if pipeline.items.is_empty() {
            return Ok(());
        }
        self.memory.sequence += pipeline.items.len() as i64;
        let mut statement = self.db.prepare_cached(
            "INSERT INTO event (pipeline, seq, at, items) VALUES (?1, ?2, ?3, ?4)",
        )?;
        let items = pack_items(&pipeline.items);
        statement.execute((id.as_bytes(), self.memory.sequence, Millis(self.now), items))?;
        Ok(())
    }
}

/// The name of a class.
pub fn class_name(db: &Connection, id: i64) -> Res<ClassName> {
    let mut statement = db.prepare_cached("SELECT name FROM class WHERE id = ?1")?;
    let name: String = statement.query_row([id], |row| row.get(0))?;
    name.parse()
        .map_err(|_| Fault::damaged(format!("`{name}` is not a class")))
}

/// The id of a class, if it exists.
pub fn class_id(db: &Connection, name: &ClassName) -> Res<Option<i64>> {
    let mut statement = db.prepare_cached("SELECT id FROM class WHERE name = ?1")?;
    Ok(statement
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?)
}
