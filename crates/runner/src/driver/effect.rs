//! What the driver hears and what it wants done.

use std::time::Duration;

use outrider_model::Outcome;
use outrider_model::reason::EndReason;
use outrider_model::report::Exit;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The environment is there.
    Prepared,
    /// It could not be made.
    NotPrepared(Failure),
    /// It is not made: the task cannot have its secrets, for this reason.
    NoSecrets(String),
    /// A step's process has ended.
    Exited {
        /// Which.
        step: u32,
        /// How.
        exit: Exit,
        /// Whether a step has asked for the end of the job.
        halt: bool,
        /// The limit on memory in bytes, if processes were ended because of it meanwhile.
        out_of_memory: Option<u64>,
    },
    /// A step could not be run.
    NotRun {
        /// Which.
        step: u32,
        /// Why.
        failure: Failure,
    },
    /// The pause before a rerun is over.
    Rerun {
        /// Which step waited.
        step: u32,
    },
    /// A step has written nothing for as long as it may.
    Quiet {
        /// Which.
        step: u32,
    },
    /// `max_run_time` is over.
    TooLong,
    /// Somebody wants the task to end.
    Cancel,
    /// The lease is no longer held.
    LeaseLost,
    /// The runner ends now.
    StopRunner,
    /// All processes have been ended.
    Stopped,
    /// The environment is gone.
    CleanedUp,
}

/// Why something could not be done, and whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The config's or the code's.
    User(String),
    /// The host's.
    Infrastructure(String),
}

impl Failure {
    /// What went wrong.
    pub fn text(&self) -> &str {
        match self {
            Self::User(text) | Self::Infrastructure(text) => text,
        }
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start a step for the first time.
    Start {
        /// Which.
        step: u32,
    },
    /// Start a step again after a pause.
    Restart {
        /// Which.
        step: u32,
    },
    /// Wait, then say [`Event::Rerun`].
    Pause {
        /// Which step is to be run again.
        step: u32,
        /// How long.
        delay: Duration,
    },
    /// Tell the server how a step ended.
    End {
        /// Which.
        step: u32,
        /// How.
        outcome: Outcome,
    },
    /// Write a line of the runner's own into a step's output.
    Say {
        /// Which step's.
        step: u32,
        /// The line.
        text: String,
    },
    /// End all processes, then say [`Event::Stopped`].
    Stop,
    /// Remove the environment, then say [`Event::CleanedUp`].
    CleanUp,
    /// It is over.
    Finish(Verdict),
}

/// What becomes of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server hears how it ended.
    Report {
        /// How.
        outcome: Outcome,
        /// Why.
        reason: Option<EndReason>,
    },
    /// Somebody else holds the task now: not a word more about it.
    Forget,
    /// No step has started: the task goes back to the queue.
    GiveBack,
}

impl Verdict {
    /// All steps passed.
    pub const PASSED: Self = Self::Report {
        outcome: Outcome::Passed,
        reason: None,
    };
}
