//! Delivering what happened: everything about an attempt goes through its [`Delivery`] to the
//! disk and to the server, until the server has it all.

mod append;
mod bulk;
mod ledger;
mod outbox;
mod parts;
mod reporter;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use outrider_api::runner::HeldLease;
use outrider_model::reason::EndReason;
use outrider_model::report::{Finished, LogChunk, LogSpan, Report, ReportAnswer, StepReport};
use outrider_model::{AttemptId, Outcome};
use tokio::sync::mpsc::UnboundedSender;

pub use ledger::Ledger;
pub use outbox::Outbox;
use parts::Parts;
pub use reporter::Reporter;

use crate::log::Log;
use crate::spool::{Entry, Journal};

/// The longest log that travels inside reports. Longer ones are sent in pieces of their own.
pub const INLINE_LOG_MAX: u64 = 64 * 1024;

/// What others tell the driver of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Somebody wants the task to end.
    Cancel,
    /// The lease is no longer held.
    LeaseLost,
    /// The runner ends now.
    StopRunner,
}

/// One attempt, as far as the server is to know of it.
#[derive(Debug)]
pub struct Delivery {
    /// The attempt.
    pub attempt: AttemptId,
    /// The task and the proof.
    pub lease: HeldLease,
    /// Its output.
    pub log: Arc<Log>,
    journal: Mutex<Kept>,
    /// The step whose output was written last. Whoever holds it may write.
    writing: tokio::sync::Mutex<Option<u32>>,
    parts: Mutex<Parts>,
    /// Weak: the outbox holds deliveries, and what is left in there at the end must not hold the
    /// spool's lock for ever.
    outbox: Weak<Outbox>,
    control: UnboundedSender<Control>,
}

/// The journal, and how many blocks of the log it says were delivered.
#[derive(Debug)]
struct Kept {
    journal: Journal,
    blocks: u64,
}

/// A report that is on its way.
#[derive(Debug)]
pub struct Sent {
    /// What it says.
    pub report: Report,
}

/// What an answer means for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Open,
    /// The server has everything.
    Delivered,
    /// Somebody else holds the task now.
    Lost,
    /// The server holds another log: that one has to be sent again from its start.
    Mismatch,
}

impl Delivery {
    /// A delivery that owes nothing yet. `control` reaches the driver of the task.
    pub fn new(
        attempt: AttemptId,
        lease: HeldLease,
        log: Log,
        journal: Journal,
        outbox: &Arc<Outbox>,
        control: UnboundedSender<Control>,
    ) -> Arc<Self> {
        let blocks = log.acknowledged() / crate::log::BLOCK;
        Arc::new(Self {
            attempt,
            lease,
            log: Arc::new(log),
            journal: Mutex::new(Kept { journal, blocks }),
            writing: tokio::sync::Mutex::new(None),
            parts: Mutex::new(Parts::default()),
            outbox: Arc::downgrade(outbox),
            control,
        })
    }

    /// Tells the driver something, if there is one.
    pub fn tell(&self, control: Control) {
        // Without a driver the task has ended already.
        let _ = self.control.send(control);
    }

    /// Notes a line in the journal, and writes it.
    pub fn keep(&self, entry: &Entry<'_>) {
        let mut kept = self.kept();
        let before = kept.journal.write();
        kept.journal.note(entry);
        if let Err(error) = kept.journal.write()
            && before.is_ok()
        {
            // The line stays in memory and is written with the next one.
            tracing::warn!(attempt = %self.attempt, "cannot write to the spool: {error}");
        }
    }

    /// A step has started. `first`: it is the first one of the task.
    pub fn step_started(self: &Arc<Self>, step: StepReport, first: bool) {
        self.keep(&Entry::Step(std::borrow::Cow::Borrowed(&step)));
        self.owe(|parts| {
            parts.started |= first;
            parts.step(step);
        });
    }

    /// A step has ended.
    pub fn step_ended(self: &Arc<Self>, step: StepReport) {
        // Written with the next line: the start of a step, or the end of the task.
        self.kept()
            .journal
            .note(&Entry::Step(std::borrow::Cow::Borrowed(&step)));
        self.owe(|parts| parts.step(step));
    }

    /// What an earlier process may or may not have delivered.
    pub fn resume(self: &Arc<Self>, steps: Vec<StepReport>, spans: Vec<LogSpan>) {
        self.owe(|parts| {
            parts.started = !steps.is_empty();
            (parts.steps, parts.spans) = (steps, spans);
        });
    }

    /// The attempt has ended: no more output and no more steps come.
    pub fn finish(self: &Arc<Self>, outcome: Outcome, reason: Option<EndReason>) {
        let (log_length, log_hash) = (self.log.length(), self.log.hash());
        let finished = Finished {
            outcome,
            reason,
            log_length,
            log_hash,
        };
        self.keep(&Entry::Finished(std::borrow::Cow::Borrowed(&finished)));
        self.finished_before(finished);
    }

    /// The attempt ended like this in an earlier process.
    pub fn finished_before(self: &Arc<Self>, finished: Finished) {
        self.owe(|parts| {
            parts.finished = Some(finished);
            parts.over = true;
        });
        if self.is_closed() {
            // The lease was lost at the last moment.
            self.close();
        }
        self.log.grown.notify_one();
    }

    /// The driver is done, and the server is to hear no more of it.
    pub fn abandon(&self) {
        self.parts().over = true;
        self.close();
    }

    /// What there is to say now.
    ///
    /// # Errors
    ///
    /// The spool cannot be read: [`Delivery::owe_rest`] later.
    pub fn next_report(self: &Arc<Self>) -> std::io::Result<Option<Sent>> {
        let mut parts = self.parts();
        parts.queued = false;
        if parts.closed || parts.mending {
            return Ok(None);
        }
        let (length, acknowledged) = (self.log.length(), self.log.acknowledged());
        if length > INLINE_LOG_MAX && !parts.bulk {
            parts.bulk = true;
            if let Some(outbox) = self.outbox.upgrade() {
                outbox.send_in_bulk(Arc::clone(self));
            }
        }
        let mut report = Report::empty(self.lease.task, self.lease.lease);
        let mut sent_to = acknowledged;
        if !parts.bulk && acknowledged < length {
            let chunk = self.chunk(acknowledged)?;
            sent_to += chunk.bytes.len() as u64;
            report.log = Some(chunk);
        }
        parts.move_to(&mut report);
        if parts
            .finished
            .as_ref()
            .is_some_and(|finished| finished.log_length == sent_to)
        {
            report.finished.clone_from(&parts.finished);
        }
        let empty = report == Report::empty(self.lease.task, self.lease.lease);
        Ok((!empty).then_some(Sent { report }))
    }

    fn chunk(&self, offset: u64) -> std::io::Result<LogChunk> {
        let max = usize::try_from(INLINE_LOG_MAX).unwrap_or(usize::MAX);
        let bytes = self.log.read(offset, max)?.into();
        Ok(LogChunk { offset, bytes })
    }

    /// No answer came: all of it has to be said again.
    pub fn put_back(self: &Arc<Self>, sent: Sent) {
        self.owe(|parts| parts.put_back(sent.report));
    }

    /// What the server said to a report.
    pub fn answered(self: &Arc<Self>, sent: Sent, answer: &ReportAnswer) -> Fate {
        match answer {
            ReportAnswer::Stale { message } => {
                tracing::info!(attempt = %self.attempt, "the lease is lost: {message}");
                Fate::Lost
            }
            ReportAnswer::LogGap { log_length } => {
                self.put_back(sent);
                self.settled(*log_length)
            }
            ReportAnswer::LogMismatch {} => {
                let fate = self.mismatch();
                self.put_back(sent);
                fate
            }
            ReportAnswer::Accepted { log_length, stop } => {
                if *stop {
                    self.tell(Control::Cancel);
                }
                if sent.report.finished.is_some() {
                    return Fate::Delivered;
                }
                // While pieces are under way the log's length in here is an old one.
                if sent.report.log.is_some() {
                    let fate = self.settled(*log_length);
                    self.owe_rest();
                    return fate;
                }
                self.owe_rest();
                Fate::Open
            }
        }
    }

    /// The server holds so much of the log.
    pub fn settled(self: &Arc<Self>, length: u64) -> Fate {
        if self.log.settle(length) {
            return self.mismatch();
        }
        self.give_back_disk();
        Fate::Open
    }

    /// Until [`Delivery::resend`] nothing is sent.
    fn mismatch(&self) -> Fate {
        let known = std::mem::replace(&mut self.parts().mending, true);
        if known { Fate::Open } else { Fate::Mismatch }
    }

    /// Whether the log is about to be sent again from its start.
    pub fn is_mending(&self) -> bool {
        self.parts().mending
    }

    /// Something is left to be said, perhaps.
    pub fn owe_rest(self: &Arc<Self>) {
        let rest = {
            let parts = self.parts();
            let unsent = self.log.acknowledged() < self.log.length();
            parts.finished.is_some() || (unsent && !parts.bulk)
        };
        if rest {
            self.owe(|_| ());
        }
    }

    /// What the server holds of the log is to be sent again from 0. Where that is not on the disk
    /// any more, the log says so.
    pub fn resend(self: &Arc<Self>) {
        if self.log.settle(0) {
            if let Err(error) = self.log.mark_gone() {
                tracing::error!(attempt = %self.attempt, "cannot mend a log: {error}");
            }
            let hash = self.log.hash();
            if let Some(finished) = &mut self.parts().finished {
                finished.log_hash = hash;
            }
        }
        self.owe(|parts| parts.mending = false);
        self.log.grown.notify_one();
    }

    /// Nothing more is sent. What is on the disk goes as soon as no process can be left.
    pub fn close(&self) {
        let over = {
            let mut parts = self.parts();
            parts.closed = true;
            parts.over
        };
        if over {
            let mut kept = self.kept();
            if self.log.has_file() {
                kept.journal.remove_log();
            }
            kept.journal.forget();
        }
        self.log.grown.notify_one();
    }

    /// Whether nothing more is to be sent.
    pub fn is_closed(&self) -> bool {
        self.parts().closed
    }

    /// Whether its end is known.
    pub fn is_finished(&self) -> bool {
        self.parts().finished.is_some()
    }

    /// Delivered blocks of the log need no place on the disk.
    fn give_back_disk(&self) {
        let mut kept = self.kept();
        let Kept { journal, blocks } = &mut *kept;
        let spare = self.log.spare_blocks(*blocks);
        if spare.is_empty() {
            return;
        }
        *blocks += spare.len() as u64;
        spare
            .into_iter()
            .for_each(|value| journal.note(&Entry::Block(value)));
        if journal.write().is_ok() {
            self.log.punch(*blocks);
        }
    }

    fn owe(self: &Arc<Self>, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts();
        change(&mut parts);
        if parts.queued || parts.closed {
            return;
        }
        if let Some(outbox) = self.outbox.upgrade() {
            parts.queued = true;
            outbox.push(Arc::clone(self));
        }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
