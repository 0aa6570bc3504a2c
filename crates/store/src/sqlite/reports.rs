//! What runners report.

use std::time::Duration;

use outrider_model::reason::EndReason;
use outrider_model::report::{Finished, LogSpan, Report, ReportAnswer, StepReport};
use outrider_model::{AttemptId, Outcome, Status, TaskEvent, TaskState};

use super::codec::{pack_spans, unpack_spans};
use super::fault::{Fault, Res};
use super::ids::job_of;
use super::rows::{Held, read_reason, reason_text};
use super::tx::Tx;
use crate::{INLINE_LOG_MAX, Reported};

/// A report with all that can be made ready before it is the writer's turn.
pub struct Prepared {
    report: Report,
    lease: [u8; 16],
    steps: Option<String>,
}

/// Hashes and writes what needs no database.
pub fn prepare(report: Report) -> Res<Prepared> {
    let steps = &report.steps;
    let steps = (!steps.is_empty())
        .then(|| serde_json::to_string(steps))
        .transpose()?;
    Ok(Prepared {
        lease: report.lease.hash(),
        steps,
        report,
    })
}

/// A report whose lease is held, on its way through its parts.
struct Taken<'a> {
    prepared: &'a Prepared,
    held: Held,
    attempt: AttemptId,
    /// Whether the attempt's row is to be written.
    changed: bool,
    /// Whether the task's row is.
    task_changed: bool,
    /// Whether readers of the log have something to look at.
    touched: bool,
}

impl Tx<'_> {
    /// Takes reports, one after the other.
    pub fn report(&mut self, reports: &[Prepared], lease: Duration) -> Res<Reported> {
        let mut reported = Reported::default();
        for prepared in reports {
            let (answer, touched) = self.report_one(prepared, lease)?;
            reported.answers.push(answer);
            reported.touched.extend(touched);
        }
        self.settle()?;
        reported.woken = self.take_woken()?;
        reported.edges = std::mem::take(&mut self.edges);
        Ok(reported)
    }

    fn report_one(
        &mut self,
        prepared: &Prepared,
        lease: Duration,
    ) -> Res<(ReportAnswer, Option<AttemptId>)> {
        let Some(held) = Held::load(self.db, prepared.report.task)? else {
            return Ok((
                stale(format!("there is no task {}", prepared.report.task)),
                None,
            ));
        };
        let state = held.state()?;
        let Some(attempt) = held
            .attempt
            .as_ref()
            .filter(|row| row.lease == prepared.lease)
            .map(|row| row.id)
        else {
            return Ok((no_longer_held(state), None));
        };
        match state {
            TaskState::Finished {
                attempt: Some(by),
                outcome,
            } if by == attempt => Ok((repeated(&prepared.report, &held, outcome), None)),
            // It has failed, and is queued again.
            TaskState::Queued if failed(&held) => {
                Ok((repeated(&prepared.report, &held, Outcome::Failed), None))
            }
            TaskState::Claimed(_) | TaskState::Running(_) | TaskState::Stopping(_) => {
                let mut taken = Taken::new(prepared, held, attempt);
                let answer = self.take_parts(&mut taken, lease)?;
                if taken.task_changed {
                    taken.held.task.save(self.db)?;
                }
                if taken.changed
                    && let Some(row) = &taken.held.attempt
                {
                    row.save(self.db)?;
                }
                Ok((answer, taken.touched.then_some(attempt)))
            }
            _ => Ok((no_longer_held(state), None)),
        }
    }

    /// The parts of a report in their order.
    fn take_parts(&mut self, taken: &mut Taken<'_>, lease: Duration) -> Res<ReportAnswer> {
        let report = &taken.prepared.report;
        if report.started {
            self.start(taken, lease)?;
        }
        taken.merge_steps()?;
        taken.merge_spans()?;
        if let Some(chunk) = &report.log {
            let Some(row) = &mut taken.held.attempt else {
                return Err(no_attempt());
            };
            let known = row.log_length;
            if chunk.offset > known {
                return Ok(ReportAnswer::LogGap { log_length: known });
            }
            if self.append(row, chunk)? {
                (taken.changed, taken.touched) = (true, true);
            }
        }
        if let Some(finished) = &report.finished
            && let Some(refused) = self.finish_task(taken, finished)?
        {
            return Ok(refused);
        }
        let stop = matches!(taken.held.state()?, TaskState::Stopping(_));
        let log_length = taken.held.attempt.as_ref().map_or(0, |row| row.log_length);
        Ok(ReportAnswer::Accepted { log_length, stop })
    }

    fn start(&mut self, taken: &mut Taken<'_>, lease: Duration) -> Res<()> {
        let event = TaskEvent::Start {
            attempt: taken.attempt,
            until: self.now + lease,
        };
        if !self.apply(&mut taken.held, event)? {
            return Ok(());
        }
        let now = self.now;
        if let Some(row) = &mut taken.held.attempt {
            row.started_at = Some(now);
        }
        taken.held.task.silent = 0;
        (taken.changed, taken.task_changed) = (true, true);
        let job = self.job(job_of(taken.held.task.id))?;
        if job.started_at.is_none() {
            job.started_at = Some(now);
            job.changed = true;
        }
        Ok(())
    }

    /// The end of an attempt, unless the log is not the one that it names.
    fn finish_task(
        &mut self,
        taken: &mut Taken<'_>,
        finished: &Finished,
    ) -> Res<Option<ReportAnswer>> {
        if let Some(refused) = self.check_log(taken, finished)? {
            return Ok(Some(refused));
        }
        let reason = self.reason_of(&taken.held, finished)?;
        let event = if self.tries_again(&taken.held, finished)? {
            taken.held.task.reruns += 1;
            TaskEvent::Rerun(taken.attempt)
        } else {
            if let Some(reason) = &reason {
                self.note_reason(&mut taken.held, reason)?;
            } else {
                // It passed although somebody wanted to stop it.
                taken.held.task.reason = None;
            }
            TaskEvent::Finish {
                attempt: taken.attempt,
                outcome: finished.outcome,
            }
        };
        self.apply(&mut taken.held, event)?;
        if let Some(row) = &mut taken.held.attempt {
            row.ended_at = Some(self.now);
            row.outcome = Some(finished.outcome);
            row.reason = reason.as_ref().map(reason_text).transpose()?;
        }
        (taken.changed, taken.task_changed, taken.touched) = (true, true, true);
        Ok(None)
    }

    /// Whether a task that has failed is tried again: its workflow says how often. One that
    /// somebody wants to end is not.
    fn tries_again(&mut self, held: &Held, finished: &Finished) -> Res<bool> {
        let failed = finished.outcome == Outcome::Failed;
        let stopping = matches!(held.state()?, TaskState::Stopping(_));
        let job = self.job(job_of(held.task.id))?;
        Ok(failed && !stopping && held.task.reruns < job.reruns)
    }

    /// Why it ended: as reported, but who canceled it is known here.
    fn reason_of(&self, held: &Held, finished: &Finished) -> Res<Option<EndReason>> {
        let stopping = matches!(held.state()?, TaskState::Stopping(_));
        if stopping && finished.outcome == Outcome::Canceled {
            let known = read_reason(held.task.reason.as_deref())?;
            return Ok(known.or_else(|| finished.reason.clone()));
        }
        Ok(if finished.outcome == Outcome::Passed {
            None
        } else {
            finished.reason.clone()
        })
    }

    /// Whether the log is the one that was hashed. If not, it is forgotten, to be sent again.
    fn check_log(&self, taken: &mut Taken<'_>, end: &Finished) -> Res<Option<ReportAnswer>> {
        let Some(row) = &mut taken.held.attempt else {
            return Err(no_attempt());
        };
        if row.log_length < end.log_length {
            return Ok(Some(ReportAnswer::LogGap {
                log_length: row.log_length,
            }));
        }
        // What lies in a file was checked by whoever reads files.
        let here = row.file_length == 0 && row.log_length <= INLINE_LOG_MAX;
        let same = row.log_length == end.log_length
            && (!here || self.hash_log(row, taken.prepared.report.log.as_ref())? == end.log_hash.0);
        if same {
            return Ok(None);
        }
        self.forget_log(row)?;
        (taken.changed, taken.touched) = (true, true);
        Ok(Some(ReportAnswer::LogMismatch {}))
    }
}

impl<'a> Taken<'a> {
    const fn new(prepared: &'a Prepared, held: Held, attempt: AttemptId) -> Self {
        Self {
            prepared,
            held,
            attempt,
            changed: false,
            task_changed: false,
            touched: false,
        }
    }

    /// Steps by index, the newest word on each.
    fn merge_steps(&mut self) -> Res<()> {
        let (Some(new), Some(row)) = (&self.prepared.steps, &mut self.held.attempt) else {
            return Ok(());
        };
        let merged = match &row.steps {
            None => new.clone(),
            Some(known) => {
                let mut steps: Vec<StepReport> = serde_json::from_str(known)?;
                for step in &self.prepared.report.steps {
                    match steps.binary_search_by_key(&step.index, |known| known.index) {
                        // A late repetition does not undo an end.
                        Ok(at) if step.ended.is_none() && steps[at].ended.is_some() => {}
                        Ok(at) => steps[at] = step.clone(),
                        Err(at) => steps.insert(at, step.clone()),
                    }
                }
                serde_json::to_string(&steps)?
            }
        };
        if row.steps.as_ref() != Some(&merged) {
            row.steps = Some(merged);
            self.changed = true;
        }
        Ok(())
    }

    /// Spans by offset.
    fn merge_spans(&mut self) -> Res<()> {
        let (new, Some(row)) = (&self.prepared.report.spans, &mut self.held.attempt) else {
            return Ok(());
        };
        if new.is_empty() {
            return Ok(());
        }
        let mut spans = row
            .spans
            .as_deref()
            .map(unpack_spans)
            .transpose()?
            .unwrap_or_default();
        for span in new {
            match spans.binary_search_by_key(&span.offset, |known: &LogSpan| known.offset) {
                Ok(at) => spans[at] = *span,
                Err(at) => spans.insert(at, *span),
            }
        }
        let packed = pack_spans(&spans);
        if row.spans.as_ref() != Some(&packed) {
            row.spans = Some(packed);
            self.changed = true;
        }
        Ok(())
    }
}

/// Whether the newest attempt has failed by itself.
fn failed(held: &Held) -> bool {
    let outcome = held.attempt.as_ref().and_then(|row| row.outcome);
    outcome == Some(Outcome::Failed)
}

/// The answer to a report on an attempt that has already ended by itself.
fn repeated(report: &Report, held: &Held, outcome: Outcome) -> ReportAnswer {
    let log_length = held.attempt.as_ref().map_or(0, |row| row.log_length);
    let new_bytes = report
        .log
        .as_ref()
        .is_some_and(|chunk| chunk.offset.saturating_add(chunk.bytes.len() as u64) > log_length);
    let other_end = report
        .finished
        .as_ref()
        .is_some_and(|end| (end.outcome, end.log_length) != (outcome, log_length));
    if new_bytes || other_end {
        return stale(format!("the task has already ended: {outcome}"));
    }
    ReportAnswer::Accepted {
        log_length,
        stop: false,
    }
}

/// The answer to whoever does not hold the lease.
pub fn no_longer_held(state: TaskState) -> ReportAnswer {
    match state.status() {
        Status::Finished(outcome) => stale(format!("the task has already ended: {outcome}")),
        status => stale(format!("the lease is no longer held: the task is {status}")),
    }
}

/// The answer to whoever does not hold the lease.
pub fn stale(message: String) -> ReportAnswer {
    ReportAnswer::Stale { message }
}

fn no_attempt() -> Fault {
    Fault::damaged("a held task has no attempt")
}
