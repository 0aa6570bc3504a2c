//! What a runner tells the server about an attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::reason::EndReason;
use crate::secret::LeaseToken;
use crate::{Outcome, TaskId, Timestamp};

/// One message of a runner about one attempt. All parts are optional, so that a short task can
/// start, log and finish in one message. Parts are taken in the order of the fields, and each can
/// be repeated safely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Report {
    /// The task.
    pub task: TaskId,
    /// Proves that the sender holds the lease.
    pub lease: LeaseToken,
    /// The first step has started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started: bool,
    /// Steps that changed since the last acknowledged report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepReport>,
    /// Whose output the log holds from which offset on, as far as not acknowledged yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<LogSpan>,
    /// A piece of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogChunk>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Finished>,
}

impl Report {
    /// A report that says nothing yet.
    pub const fn empty(task: TaskId, lease: LeaseToken) -> Self {
        Self {
            task,
            lease,
            started: false,
            steps: Vec::new(),
            spans: Vec::new(),
            log: None,
            finished: None,
        }
    }
}

/// Bytes of a log at an offset. On the wire the bytes are base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogChunk {
    /// Where the first byte stands in the attempt's log.
    pub offset: u64,
    /// The bytes as the step wrote them.
    #[serde(with = "base64_bytes")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = Byte))]
    pub bytes: Vec<u8>,
}

/// From `offset` on, up to the next span, the log is the output of `step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogSpan {
    /// Where the span starts.
    pub offset: u64,
    /// Index of the step, from 0.
    pub step: u32,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepReport {
    /// Index of the step, from 0.
    pub index: u32,
    /// What people see.
    pub name: String,
    /// When it started, by the runner's clock.
    pub started_at: Timestamp,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<StepEnd>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StepEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// How its process ended, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// How long it took, in milliseconds.
    #[serde(with = "crate::time::millis", rename = "duration_ms")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub duration: Duration,
    /// What it used, where the executor can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Exit {
    /// It ended by itself with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// Whether it ended with code 0.
    pub const fn success(self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// The code that a shell would show: 128 plus the number of the signal, if there was one.
    pub const fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What a step used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Greatest resident set of any of its processes, in bytes.
    pub peak_rss_bytes: u64,
    /// Processor time of all its processes, user and system, in milliseconds.
    #[serde(with = "crate::time::millis", rename = "cpu_ms")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub cpu: Duration,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// How many bytes the whole log has.
    pub log_length: u64,
    /// BLAKE3 of the whole log: the server answers "finished" only if it holds the same bytes.
    pub log_hash: LogHash,
}

/// BLAKE3 of a log. On the wire 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LogHash(pub [u8; 32]);

impl std::fmt::Display for LogHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for LogHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for LogHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse_hex(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a log hash is 64 hexadecimal digits (BLAKE3)"))
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// What the server says to one [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ReportAnswer {
    /// All of it is committed and synced.
    Accepted {
        /// How many bytes of the log the server holds.
        log_length: u64,
        /// Whether the task is to be stopped.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stop: bool,
    },
    /// The sender no longer holds the lease: stop that work at once and forget it.
    Stale {
        /// Where the task stands, in words.
        message: String,
    },
    /// The chunk starts after the end of the log: send again from here.
    LogGap {
        /// How many bytes of the log the server holds.
        log_length: u64,
    },
    /// The log that the server holds is not the one that was hashed: send it again from offset 0.
    LogMismatch {},
}

mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD
            .decode(text.as_bytes())
            .map_err(serde::de::Error::custom)
    }
}
