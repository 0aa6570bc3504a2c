//! Rows of the tables that change, as types.

use outrider_model::plan::JobType;
use outrider_model::reason::EndReason;
use outrider_model::status::Tally;
use outrider_model::{
    AttemptId, JobId, Lease, Outcome, PipelineId, RunnerId, Status, TaskId, TaskState, Timestamp,
};
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::codec::{job_type, pack_tallies, status, unpack_tallies, unpack_tally};
use super::fault::{Fault, Res};

/// A time in a column.
#[derive(Clone, Copy)]
pub struct Millis(pub Timestamp);

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_millis().into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|millis| Self(Timestamp::from_millis(millis)))
    }
}

/// A time in a column of this row.
pub fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get::<_, Millis>(column).map(|at| at.0)
}

/// A time in a column of this row, if there is one.
pub fn opt_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<Millis>>(column)?.map(|at| at.0))
}

/// A reason as JSON.
pub fn reason_text(reason: &EndReason) -> Res<String> {
    Ok(serde_json::to_string(reason)?)
}

/// A reason from JSON.
pub fn read_reason(text: Option<&str>) -> Res<Option<EndReason>> {
    Ok(text.map(serde_json::from_str).transpose()?)
}

/// A task and its newest attempt: all that a transition needs.
pub struct Held {
    pub task: TaskRow,
    pub attempt: Option<AttemptRow>,
}

/// The changing part of a task.
pub struct TaskRow {
    pub id: TaskId,
    /// None where nothing of it runs.
    pub class: Option<i64>,
    /// A code: see [`Held::state`].
    pub state: u8,
    pub seq: Option<i64>,
    pub silent: u32,
    pub reruns: u32,
    pub attempt: Option<AttemptId>,
    pub reason: Option<String>,
}

/// The changing part of an attempt.
pub struct AttemptRow {
    pub id: AttemptId,
    pub runner: RunnerId,
    pub runner_name: String,
    pub lease: [u8; 16],
    pub until: Timestamp,
    pub claimed_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    pub reason: Option<String>,
    pub log_length: u64,
    pub file_length: u64,
    pub mark: Option<String>,
    pub steps: Option<String>,
    pub spans: Option<Vec<u8>>,
}

/// Codes of states. A finished one is a status code plus who finished it.
const BLOCKED: u8 = 0;
const QUEUED: u8 = 1; // known to the index `queue`
const CLAIMED: u8 = 2;
const RUNNING: u8 = 3;
const STOPPING: u8 = 4;
const ON_HOLD: u8 = 5;
const ENDED_BY_ATTEMPT: u8 = 16;
const ENDED_BY_SERVER: u8 = 32;

/// The code of a blocked or queued task that no attempt has touched.
pub const fn fresh_state(queued: bool) -> u8 {
    if queued { QUEUED } else { BLOCKED }
}

/// The status that a stored state stands for.
pub fn status_of_state(state: u8) -> Res<Status> {
    match state {
        BLOCKED => Ok(Status::Blocked),
        QUEUED => Ok(Status::Queued),
        ON_HOLD => Ok(Status::OnHold),
        CLAIMED | RUNNING | STOPPING => Ok(Status::Running),
        code => status(code & (ENDED_BY_ATTEMPT - 1)),
    }
}

const HELD: &str = "SELECT t.class, t.state, t.seq, t.silent, t.attempt, t.reason, \
     a.runner, a.runner_name, a.lease, a.lease_until, a.claimed_at, a.started_at, a.ended_at, \
     a.outcome, a.reason, a.log_length, a.file_length, a.mark, a.steps, a.spans, t.reruns \
     FROM task t LEFT JOIN attempt a ON a.id = t.attempt WHERE t.id = ?1";

impl Held {
    /// The task with this id.
    pub fn load(db: &Connection, id: TaskId) -> Res<Option<Self>> {
        let mut statement = db.prepare_cached(HELD)?;
        Ok(statement
            .query_row([id.as_bytes()], |row| Self::read(id, row))
            .optional()?)
    }

    fn read(id: TaskId, row: &Row<'_>) -> rusqlite::Result<Self> {
        let attempt = row
            .get::<_, Option<[u8; 16]>>(4)?
            .map(AttemptId::from_bytes);
        let task = TaskRow {
            id,
            class: row.get(0)?,
            state: row.get(1)?,
            seq: row.get(2)?,
            silent: row.get(3)?,
            reruns: row.get(20)?,
            attempt,
            reason: row.get(5)?,
        };
        let attempt = attempt.map(|id| AttemptRow::read(id, row)).transpose()?;
        Ok(Self { task, attempt })
    }

    /// The state, as the model knows it.
    pub fn state(&self) -> Res<TaskState> {
        let lease = || {
            let row = self.attempt.as_ref()?;
            Some(Lease {
                attempt: row.id,
                runner: row.runner,
                until: row.until,
            })
        };
        let need = || lease().ok_or_else(|| Fault::damaged("a held task has no attempt"));
        Ok(match self.task.state {
            BLOCKED => TaskState::Blocked,
            QUEUED => TaskState::Queued,
            ON_HOLD => TaskState::OnHold,
            CLAIMED => TaskState::Claimed(need()?),
            RUNNING => TaskState::Running(need()?),
            STOPPING => TaskState::Stopping(need()?),
            code => {
                let outcome = status(code & (ENDED_BY_ATTEMPT - 1))?
                    .outcome()
                    .ok_or_else(|| Fault::damaged("a finished task has no outcome"))?;
                let attempt = (code < ENDED_BY_SERVER)
                    .then_some(self.task.attempt)
                    .flatten();
                TaskState::Finished { outcome, attempt }
            }
        })
    }

    /// Takes over a state that the model answered with. A claim's attempt is set before.
    pub fn set_state(&mut self, state: TaskState) {
        if let (Some(lease), Some(attempt)) = (state.lease(), &mut self.attempt) {
            attempt.until = lease.until;
        }
        self.task.state = match state {
            TaskState::Blocked => BLOCKED,
            TaskState::Queued => QUEUED,
            TaskState::OnHold => ON_HOLD,
            TaskState::Claimed(_) => CLAIMED,
            TaskState::Running(_) => RUNNING,
            TaskState::Stopping(_) => STOPPING,
            TaskState::Finished { attempt, .. } => {
                let by = if attempt.is_some() {
                    ENDED_BY_ATTEMPT
                } else {
                    ENDED_BY_SERVER
                };
                by + state.status().code()
            }
        };
    }
}

impl TaskRow {
    /// Writes it back.
    pub fn save(&self, db: &Connection) -> Res<()> {
        let mut statement = db.prepare_cached(
            "UPDATE task SET state = ?2, seq = ?3, silent = ?4, attempt = ?5, reason = ?6, \
             reruns = ?7 WHERE id = ?1",
        )?;
        statement.execute((
            self.id.as_bytes(),
            self.state,
            self.seq,
            self.silent,
            self.attempt.as_ref().map(AttemptId::as_bytes),
            self.reason.as_deref(),
            self.reruns,
        ))?;
        Ok(())
    }
}

impl AttemptRow {
    fn read(id: AttemptId, row: &Row<'_>) -> rusqlite::Result<Self> {
        let outcome = row.get::<_, Option<u8>>(13)?;
        Ok(Self {
            id,
            runner: RunnerId::from_bytes(row.get(6)?),
            runner_name: row.get(7)?,
            lease: row.get(8)?,
            until: time(row, 9)?,
            claimed_at: time(row, 10)?,
            started_at: opt_time(row, 11)?,
            ended_at: opt_time(row, 12)?,
            outcome: outcome
                .and_then(Status::from_code)
                .and_then(Status::outcome),
            reason: row.get(14)?,
            log_length: row.get(15)?,
            file_length: row.get(16)?,
            mark: row.get(17)?,
            steps: row.get(18)?,
            spans: row.get(19)?,
        })
    }

    /// Writes it back.
    pub fn save(&self, db: &Connection) -> Res<()> {
        let mut statement = db.prepare_cached(
            "UPDATE attempt SET lease_until = ?2, started_at = ?3, ended_at = ?4, outcome = ?5, \
             reason = ?6, log_length = ?7, file_length = ?8, mark = ?9, steps = ?10, spans = ?11 \
             WHERE id = ?1",
        )?;
        statement.execute((
            self.id.as_bytes(),
            Millis(self.until),
            self.started_at.map(Millis),
            self.ended_at.map(Millis),
            self.outcome.map(|outcome| Status::Finished(outcome).code()),
            self.reason.as_deref(),
            self.log_length,
            self.file_length,
            self.mark.as_deref(),
            self.steps.as_deref(),
            self.spans.as_deref(),
        ))?;
        Ok(())
    }
}

/// The part of a job that changes, and what its changes need.
pub struct JobRow {
    pub pipeline: PipelineId,
    pub workflow: usize,
    pub job_type: JobType,
    /// In which group it takes its turn; of an unlock job: which lock it gives back.
    pub serial_group: Option<String>,
    pub retry: bool,
    /// How often a task of it is tried again when it has failed.
    pub reruns: u32,
    pub required: bool,
    pub waits: u32,
    pub tally: Tally,
    pub queued_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub reason: Option<String>,
    pub approved_by: Option<String>,
    pub changed: bool,
}

impl JobRow {
    pub fn load(db: &Connection, id: JobId) -> Res<Self> {
        let mut statement = db.prepare_cached(
            "SELECT pipeline, workflow, retry, required, waits, tally, queued_at, started_at, \
             finished_at, reason, type, serial_group, approved_by, reruns FROM job WHERE id = ?1",
        )?;
        let read = |row: &Row<'_>| {
            let parts = (
                unpack_tally(row.get_ref(5)?.as_blob()?),
                job_type(row.get(10)?),
            );
            let row = Self {
                pipeline: PipelineId::from_bytes(row.get(0)?),
                workflow: row.get(1)?,
                job_type: JobType::Build,
                serial_group: row.get(11)?,
                retry: row.get(2)?,
                reruns: row.get(13)?,
                required: row.get(3)?,
                waits: row.get(4)?,
                tally: Tally::default(),
                queued_at: opt_time(row, 6)?,
                started_at: opt_time(row, 7)?,
                finished_at: opt_time(row, 8)?,
                reason: row.get(9)?,
                approved_by: row.get(12)?,
                changed: false,
            };
            Ok((row, parts))
        };
        let (row, (tally, job_type)) = statement
            .query_row([id.as_bytes()], read)
            .optional()?
            .ok_or_else(|| Fault::not_found("job", id))?;
        Ok(Self {
            tally: tally?,
            job_type: job_type?,
            ..row
        })
    }

    pub fn save(&self, db: &Connection, id: JobId) -> Res<()> {
        let mut statement = db.prepare_cached(
            "UPDATE job SET waits = ?2, tally = ?3, queued_at = ?4, started_at = ?5, \
             finished_at = ?6, reason = ?7, approved_by = ?8 WHERE id = ?1",
        )?;
        statement.execute((
            id.as_bytes(),
            self.waits,
            pack_tallies(&[self.tally]),
            self.queued_at.map(Millis),
            self.started_at.map(Millis),
            self.finished_at.map(Millis),
            self.reason.as_deref(),
            self.approved_by.as_deref(),
        ))?;
        Ok(())
    }
}

/// The part of a pipeline that changes.
#[derive(Default)]
pub struct PipelineRow {
    /// One per workflow: of its jobs.
    pub tallies: Vec<Tally>,
    pub finished_at: Option<Timestamp>,
    /// Whether a job of it takes a lock.
    pub locks: bool,
    pub changed: bool,
    /// What changed its status in it since it was loaded.
    pub items: Vec<super::codec::Item>,
}

impl PipelineRow {
    pub fn load(db: &Connection, id: PipelineId) -> Res<Self> {
        let mut statement =
            db.prepare_cached("SELECT tallies, finished_at, locks FROM pipeline WHERE id = ?1")?;
        let (tallies, finished_at, locks) = statement
            .query_row([id.as_bytes()], |row| {
                Ok((
                    unpack_tallies(row.get_ref(0)?.as_blob()?),
                    opt_time(row, 1)?,
                    row.get(2)?,
                ))
            })
            .optional()?
            .ok_or_else(|| Fault::not_found("pipeline", id))?;
        Ok(Self {
            tallies: tallies?,
            finished_at,
            locks,
            changed: false,
            items: Vec::new(),
        })
    }

    pub fn save(&self, db: &Connection, id: PipelineId) -> Res<()> {
        let mut statement = db.prepare_cached(
            "UPDATE pipeline SET tallies = :tallies, finished_at = :finished_at, locks = :locks \
             WHERE id = :id",
        )?;
        statement.execute(named_params! {
            ":tallies": pack_tallies(&self.tallies),
            ":finished_at": self.finished_at.map(Millis),
            ":locks": self.locks,
            ":id": id.as_bytes(),
        })?;
        Ok(())
    }

    /// Where the whole pipeline stands.
    pub fn status(&self) -> Status {
        Tally::of(self.tallies.iter().map(Tally::status)).status()
    }
}
