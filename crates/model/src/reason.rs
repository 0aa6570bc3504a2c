//! Why something waits, and why something ended: in words that a person can act on (promise P10).
//!
//! These are data, so that the command line, the API and the web pages say the same.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::JobType;
use crate::report::Exit;
use crate::{ClassName, JobId, Outcome, Status, Timestamp};

/// Why a task ended as it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum EndReason {
    /// A step's process failed.
    StepFailed {
        /// Index of the step, from 0.
        step: u32,
        /// Its name.
        name: String,
        /// How its process ended.
        exit: Exit,
    },
    /// A step failed while the kernel ended processes, because there was no memory left for them.
    OutOfMemory {
        /// Index of the step, from 0.
        step: u32,
        /// Its name.
        name: String,
        /// How much memory the task may have.
        limit_bytes: u64,
    },
    /// There is no place for its steps to run in, and the config is the cause.
    NotPrepared {
        /// What went wrong.
        message: String,
    },
    /// A step could not run, or not to its end, and the config or the code is the cause.
    StepNotStarted {
        /// Index of the step, from 0.
        step: u32,
        /// Its name.
        name: String,
        /// What went wrong.
        message: String,
    },
    /// A step wrote nothing for too long.
    NoOutput {
        /// Index of the step, from 0.
        step: u32,
        /// Its name.
        name: String,
        /// How long it may write nothing, in milliseconds.
        #[serde(with = "crate::time::millis", rename = "limit_ms")]
        #[cfg_attr(feature = "schema", schema(value_type = u64))]
        limit: Duration,
    },
    /// The task ran longer than its runner allows.
    MaxRunTime {
        /// The runner's `max_run_time`, in milliseconds.
        #[serde(with = "crate::time::millis", rename = "limit_ms")]
        #[cfg_attr(feature = "schema", schema(value_type = u64))]
        limit: Duration,
    },
    /// Somebody canceled it.
    Canceled {
        /// Who.
        by: String,
    },
    /// Its runner fell silent while a step ran.
    RunnerSilent {
        /// The runner's name.
        runner: String,
        /// When it was last heard of.
        last_contact: Timestamp,
    },
    /// Its runner was killed or restarted while a step ran, and said so when it was back.
    RunnerRestarted {
        /// The runner's name.
        runner: String,
    },
    /// Its runner was told to stop before the task ended.
    RunnerStopped {
        /// The runner's name.
        runner: String,
    },
    /// Runners claimed it again and again and fell silent before the first step.
    NeverStarted {
        /// How many times it was claimed.
        claims: u32,
    },
    /// What its job requires ended otherwise.
    RequirementNotMet {
        /// The required job.
        job: String,
        /// How that job ended.
        outcome: Outcome,
    },
    /// A newer pipeline of its project came before it in the line for a group.
    Overtaken {
        /// The group.
        group: String,
        /// The number of the newer pipeline.
        by: u64,
    },
    /// It waited too long for its turn in a group.
    NoTurn {
        /// The group.
        group: String,
        /// How long it may wait, in milliseconds.
        #[serde(with = "crate::time::millis", rename = "limit_ms")]
        #[cfg_attr(feature = "schema", schema(value_type = u64))]
        limit: Duration,
    },
    /// It is a release job: what it would follow is in CircleCI's service.
    ReleaseElsewhere,
    /// It could not have its secrets.
    NoSecrets {
        /// What is missing.
        message: String,
    },
    /// The runner could not do its part.
    Infrastructure {
        /// What went wrong.
        message: String,
    },
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StepFailed {
                name,
                exit: Exit::Code(code),
                ..
            } => {
                write!(f, "step \"{name}\" ended with code {code}")
            }
            Self::StepFailed {
                name,
                exit: Exit::Signal(signal),
                ..
            } => {
                write!(
                    f,
                    "step \"{name}\" was ended by signal {signal}{}",
                    signal_name(*signal)
                )
            }
            Self::OutOfMemory {
                name, limit_bytes, ..
            } => {
                write!(
                    f,
                    "step \"{name}\" was ended for lack of memory: the limit is {}",
                    Size(*limit_bytes)
                )
            }
            Self::StepNotStarted { name, message, .. } => {
                write!(f, "step \"{name}\" could not be run: {message}")
            }
            Self::NotPrepared { message } => write!(f, "no step could start: {message}"),
            Self::NoOutput { name, limit, .. } => {
                write!(f, "step \"{name}\" wrote nothing for {}", Span(*limit))
            }
            Self::MaxRunTime { limit } => {
                write!(f, "it ran longer than max_run_time, {}", Span(*limit))
            }
            Self::Canceled { by } => write!(f, "canceled by {by}"),
            Self::RunnerSilent {
                runner,
                last_contact,
            } => {
                write!(
                    f,
                    "runner {runner} fell silent; last contact {last_contact}"
                )
            }
            Self::RunnerRestarted { runner } => {
                write!(
                    f,
                    "runner {runner} was killed or restarted while a step ran"
                )
            }
            Self::RunnerStopped { runner } => {
                write!(f, "runner {runner} was stopped before the task ended")
            }
            Self::NeverStarted { claims } => {
                write!(
                    f,
                    "claimed {claims} times, and each time the runner fell silent before the first step"
                )
            }
            Self::RequirementNotMet { job, outcome } => {
                write!(f, "required job \"{job}\" ended as {outcome}")
            }
            Self::Overtaken { group, by } => write!(
                f,
                "pipeline #{by} of this project, which is newer, came first in the line of serial group \"{group}\""
            ),
            Self::NoTurn { group, limit } => {
                write!(
                    f,
                    "it waited {} for its turn in serial group \"{group}\"",
                    Span(*limit)
                )
            }
            Self::ReleaseElsewhere => {
                f.write_str("a release job follows a release in CircleCI's service, and only there")
            }
            Self::NoSecrets { message } => write!(f, "it could not have its secrets: {message}"),
            Self::Infrastructure { message } => write!(f, "the runner could not go on: {message}"),
        }
    }
}

impl EndReason {
    /// What a person can do about it.
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::StepFailed {
                exit: Exit::Signal(9),
                ..
            } => {
                "Signal 9 often means that the host ran out of memory: look at the step's peak memory and at the kernel's log."
            }
            Self::StepFailed { .. } => "Read the end of the step's output.",
            Self::OutOfMemory { .. } => {
                "Give the job a larger resource_class, or its runner a larger --container-limit-memory; or let the step do less at once."
            }
            Self::NotPrepared { .. } => {
                "Mend what it names: in the job's config, or on the runner's host."
            }
            Self::StepNotStarted { .. } => {
                "Mend what it names: the job's config or its code is the cause."
            }
            Self::NoOutput { .. } => {
                "If the step is only quiet, raise its no_output_timeout; if it hangs, run it by hand with a trace (set -x)."
            }
            Self::MaxRunTime { .. } => "Split the job, or raise max_run_time on the runner.",
            Self::Canceled { .. } => "Trigger the pipeline again to run it.",
            Self::RunnerSilent { .. } => {
                "See whether the runner's host is up and what its journal says; trigger the pipeline again to run it."
            }
            Self::RunnerRestarted { .. } => {
                "See the runner's journal for why it was killed (out of memory, host restart); trigger the pipeline again to run it."
            }
            Self::RunnerStopped { .. } => {
                "Give the runner more time to drain before its second stop signal; trigger the pipeline again to run it."
            }
            Self::NeverStarted { .. } => {
                "Look at the runners of this class: `outrider doctor` on their host says what is missing."
            }
            Self::RequirementNotMet { .. } => "Mend the required job.",
            Self::Overtaken { .. } => {
                "Nothing to do if the newer pipeline does the same work; trigger the pipeline again to run it after that."
            }
            Self::NoTurn { .. } => {
                "See what the job does that had the turn; trigger the pipeline again to run it."
            }
            Self::ReleaseElsewhere => {
                "Replace it by a job that makes or checks the release, or leave it out."
            }
            Self::NoSecrets { .. } => {
                "Make a missing context with `outrider context create NAME`; `outrider secrets status` shows whether the server lacks a key that sealed secrets."
            }
            Self::Infrastructure { .. } => {
                "See the runner's log, and run `outrider doctor` on its host."
            }
        }
    }
}

/// Why a task that has not ended is where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum WaitReason {
    /// Required jobs have not ended.
    Requires {
        /// Those jobs, and where they stand.
        jobs: Vec<RequiredJob>,
    },
    /// Somebody has to approve it.
    Approval {
        /// The job to approve.
        job: JobId,
    },
    /// Another job has its turn in the group.
    Turn {
        /// The group.
        group: String,
        /// Whose turn it is.
        holder: TurnHolder,
        /// How many others are before it in the line.
        ahead: u32,
        /// When it gives up and is canceled.
        until: Timestamp,
    },
    /// Nobody serves the class.
    NoRunner {
        /// The class.
        class: ClassName,
        /// When a runner of this class was last heard of, if ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_contact: Option<Timestamp>,
    },
    /// All runners of the class are busy.
    Busy {
        /// The class.
        class: ClassName,
        /// How many runners of the class are connected.
        runners: u32,
        /// How many tasks they run.
        running: u32,
        /// How many tasks of the class are queued before this one.
        ahead: u64,
    },
    /// A runner is free and takes it at any moment.
    AboutToStart {
        /// The class.
        class: ClassName,
    },
    /// A runner has claimed it and prepares.
    Preparing {
        /// The runner's name.
        runner: String,
        /// Since when.
        since: Timestamp,
    },
    /// Its steps run.
    Running {
        /// The runner's name.
        runner: String,
        /// Since when.
        since: Timestamp,
    },
    /// Its runner is ending its processes.
    Stopping {
        /// The runner's name.
        runner: String,
    },
}

/// A job that another one requires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RequiredJob {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: Status,
}

/// The job that has its turn in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TurnHolder {
    /// Its project.
    pub project: String,
    /// The number of its pipeline.
    pub pipeline: u64,
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// What it is. One that takes a lock has its turn for longer than it runs.
    #[serde(rename = "type")]
    pub job_type: JobType,
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requires { jobs } => {
                f.write_str("waits for ")?;
                for (n, job) in jobs.iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{} ({})", job.name, job.status)?;
                }
                Ok(())
            }
            Self::Approval { .. } => f.write_str("waits for approval"),
            Self::Turn {
                group,
                holder,
                ahead,
                until,
            } => write!(
                f,
                "waits for its turn in serial group \"{group}\": job \"{}\" of {} #{} has it, {ahead} wait before \
                 this one; it gives up at {until}",
                holder.name, holder.project, holder.pipeline
            ),
            Self::NoRunner {
                class,
                last_contact: None,
            } => {
                write!(f, "no runner has ever served the class {class}")
            }
            Self::NoRunner {
                class,
                last_contact: Some(at),
            } => {
                write!(
                    f,
                    "no runner of class {class} is connected; the last was seen {at}"
                )
            }
            Self::Busy {
                class,
                runners,
                running,
                ahead,
            } => write!(
                f,
                "the runners of class {class} are busy: {runners} connected, {running} tasks running, {ahead} queued before this one"
            ),
            Self::AboutToStart { class } => {
                write!(f, "a runner of class {class} is free and takes it now")
            }
            Self::Preparing { runner, since } => {
                write!(
                    f,
                    "runner {runner} has claimed it and prepares since {since}"
                )
            }
            Self::Running { runner, since } => write!(f, "runs on {runner} since {since}"),
            Self::Stopping { runner } => write!(f, "runner {runner} is ending its processes"),
        }
    }
}

impl WaitReason {
    /// What a person can do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Requires { .. } => "It starts by itself once they have ended.".to_owned(),
            Self::Approval { job } => format!(
                "Approve it with `outrider job approve {job}`, or end it with `outrider job cancel {job}`."
            ),
            Self::Turn { holder, .. } if holder.job_type == JobType::Lock => format!(
                "It goes on once the workflow of that job gives the lock back or ends: \
                 `outrider job show {}` shows the job.",
                holder.job
            ),
            Self::Turn { holder, .. } => format!(
                "It goes on by itself; see what has the turn with `outrider job show {}`.",
                holder.job
            ),
            Self::NoRunner {
                class,
                last_contact: None,
            } => format!(
                "Check the job's resource_class for a typing error, or start a runner: \
                 `outrider token create --class {class}`, then `outrider runner start --url … --token …`."
            ),
            Self::NoRunner { .. } => {
                "Start a runner of this class, or see why its host is down. One that runs only \
                 containers claims nothing while it reaches no Docker Engine: its log says so."
                    .to_owned()
            }
            Self::Busy { .. } => "Wait, start more runners, or give them more --slots.".to_owned(),
            Self::AboutToStart { .. } | Self::Running { .. } => "Nothing to do.".to_owned(),
            Self::Preparing { .. } => {
                "If the runner falls silent now, the task goes back to the queue within 20 s."
                    .to_owned()
            }
            Self::Stopping { .. } => "It ends after the stop grace, 10 s by default.".to_owned(),
        }
    }
}

/// A duration in the units that people use: `90s`, `10m`, `5h`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let seconds = self.0.as_secs();
        if millis < 10_000 && !millis.is_multiple_of(1_000) {
            write!(f, "{:.1}s", self.0.as_secs_f64())
        } else if seconds < 120 {
            write!(f, "{seconds}s")
        } else if seconds < 7_200 {
            write!(f, "{}m", seconds / 60)?;
            if seconds.is_multiple_of(60) {
                Ok(())
            } else {
                write!(f, "{}s", seconds % 60)
            }
        } else {
            write!(f, "{}h", seconds / 3_600)?;
            if (seconds / 60).is_multiple_of(60) {
                Ok(())
            } else {
                write!(f, "{}m", seconds / 60 % 60)
            }
        }
    }
}

/// A number of bytes in the largest unit that says it in few digits: `4 GiB`, `650 MiB`.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        match units.into_iter().find(|(_, bits)| self.0 >> bits > 0) {
            Some((unit, bits)) => {
                let tenths = (u128::from(self.0) * 10) >> bits;
                match tenths % 10 {
                    0 => write!(f, "{} {unit}", tenths / 10),
                    rest => write!(f, "{}.{rest} {unit}", tenths / 10),
                }
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

const fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (HUP)",
        2 => " (INT)",
        3 => " (QUIT)",
        6 => " (ABRT)",
        9 => " (KILL)",
        11 => " (SEGV)",
        13 => " (PIPE)",
        15 => " (TERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        let cases = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (650 << 20, "650 MiB"),
            (4 << 30, "4 GiB"),
            (3 << 29, "1.5 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn spans_read_as_people_write_them() {
        let cases = [
            (900, "0.9s"),
            (90_000, "90s"),
            (600_000, "10m"),
            (630_000, "10m30s"),
            (18_000_000, "5h"),
        ];
        for (millis, text) in cases {
            assert_eq!(Span(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
