//! Why a task is where it is.

use outrider_model::reason::{RequiredJob, WaitReason};
use outrider_model::{ClassName, JobId, TaskId, TaskState, Timestamp};
use rusqlite::Connection;

use super::fault::{Fault, Res};
use super::rows::{Held, Millis, opt_time, read_reason};
use super::{turns, views};
use crate::Explanation;

/// How far it counts what is queued before a task.
const MOST_AHEAD: u32 = 100_000;

/// Why a task is where it is.
pub fn explain(db: &Connection, id: TaskId, connected_since: Timestamp) -> Res<Explanation> {
    let task = views::task(db, id)?;
    let held = Held::load(db, id)?.ok_or_else(|| Fault::not_found("task", id))?;
    let newest = views::newest(&task)
        .map(|(name, claimed, started)| (name.to_owned(), claimed, started.unwrap_or(claimed)));
    let (runner, claimed_at, started_at) = newest.unwrap_or_default();
    let wait = match held.state()? {
        TaskState::Blocked => Some(why_blocked(db, task.summary.job)?),
        TaskState::OnHold => Some(WaitReason::Approval {
            job: task.summary.job,
        }),
        TaskState::Queued => Some(queued(db, task.class.clone(), &held, connected_since)?),
        TaskState::Claimed(_) => Some(WaitReason::Preparing {
            runner,
            since: claimed_at,
        }),
        TaskState::Running(_) => Some(WaitReason::Running {
            runner,
            since: started_at,
        }),
        TaskState::Stopping(_) => Some(WaitReason::Stopping { runner }),
        TaskState::Finished { .. } => None,
    };
    let end = match wait {
        Some(_) => None,
        None => read_reason(held.task.reason.as_deref())?,
    };
    Ok(Explanation { task, wait, end })
}

/// Why a job cannot begin: it is not its turn, or required jobs have not ended.
pub fn why_blocked(db: &Connection, id: JobId) -> Res<WaitReason> {
    if let Some(turn) = turns::wait(db, id)? {
        return Ok(turn);
    }
    let (job, workflow) = views::job_summary(db, id)?;
    let pipeline = views::pipeline(db, job.pipeline)?;
    let others = pipeline
        .workflows
        .into_iter()
        .nth(workflow)
        .map(|found| found.jobs);
    let waited_for = others
        .into_iter()
        .flatten()
        .filter(|other| other.status.outcome().is_none() && job.requires.contains(&other.name));
    let jobs = waited_for.map(|other| RequiredJob {
        name: other.name,
        status: other.status,
    });
    Ok(WaitReason::Requires {
        jobs: jobs.collect(),
    })
}

/// Why a runner has not claimed it.
fn queued(
    db: &Connection,
    class: Option<ClassName>,
    held: &Held,
    since: Timestamp,
) -> Res<WaitReason> {
    let class = class.ok_or_else(|| Fault::damaged("a queued task has no class"))?;
    let mut statement = db.prepare_cached(
        "SELECT (SELECT count(*) FROM runner WHERE class = ?1 AND last_contact >= ?2), \
         (SELECT coalesce(sum(slots), 0) FROM runner WHERE class = ?1 AND last_contact >= ?2), \
         c.running, \
         (SELECT max(at) FROM (SELECT max(last_contact) AS at FROM runner WHERE class = ?1 \
          UNION ALL SELECT c.last_contact)) FROM class c WHERE c.id = ?1",
    )?;
    let (runners, slots, running, last_contact): (u32, u64, u32, _) = statement
        .query_row((held.task.class, Millis(since)), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, opt_time(row, 3)?))
        })?;
    if runners == 0 {
        return Ok(WaitReason::NoRunner {
            class,
            last_contact,
        });
    }
    let mut statement = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM task WHERE class = ?1 AND state = 1 AND seq < ?2 \
         LIMIT ?3)",
    )?;
    let ahead: u64 = statement.query_row((held.task.class, held.task.seq, MOST_AHEAD), |row| {
        row.get(0)
    })?;
    let free = slots.saturating_sub(u64::from(running));
    if free > ahead {
        return Ok(WaitReason::AboutToStart { class });
    }
    Ok(WaitReason::Busy {
        class,
        runners,
        running,
        ahead,
    })
}
