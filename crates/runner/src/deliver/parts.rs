//! What is owed to the server about one attempt, besides its log.

use outrider_model::report::{Finished, LogSpan, Report, StepReport};

/// What no report has carried yet, or carried without an answer.
#[derive(Debug, Default)]
pub struct Parts {
    /// The first step has started.
    pub started: bool,
    /// Steps that changed.
    pub steps: Vec<StepReport>,
    /// Whose output the log holds.
    pub spans: Vec<LogSpan>,
    /// The end; kept until it is acknowledged.
    pub finished: Option<Finished>,
    /// It is in the outbox.
    pub queued: bool,
    /// The log goes its own way.
    pub bulk: bool,
    /// The log is about to be sent again from its start.
    pub mending: bool,
    /// Nothing more is sent.
    pub closed: bool,
    /// No process of it is left.
    pub over: bool,
}

impl Parts {
    /// A step changed. The server need not hear of a start whose end is known.
    pub fn step(&mut self, step: StepReport) {
        match self
            .steps
            .iter_mut()
            .find(|known| known.index == step.index)
        {
            Some(known) => *known = step,
            None => self.steps.push(step),
        }
    }

    /// Puts what is owed into a report; the end is left to the caller.
    pub fn move_to(&mut self, report: &mut Report) {
        report.started = std::mem::take(&mut self.started);
        report.steps = std::mem::take(&mut self.steps);
        report.spans = std::mem::take(&mut self.spans);
    }

    /// Takes back what a report said. What was said later stands.
    pub fn put_back(&mut self, report: Report) {
        self.started |= report.started;
        let later = std::mem::replace(&mut self.steps, report.steps);
        later.into_iter().for_each(|step| self.step(step));
        self.spans.splice(0..0, report.spans);
    }
}
