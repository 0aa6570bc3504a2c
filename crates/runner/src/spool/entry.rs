//! What a journal says, line by line.

use std::borrow::Cow;

use outrider_executor::Handle;
use outrider_model::claim::ClaimedTask;
use outrider_model::report::{Finished, LogChunk, LogSpan, StepReport};
use serde::{Deserialize, Serialize};

/// One line of a journal.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives only while a line is written or read"
)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry<'a> {
    /// Always the first: what was claimed, and by which runner.
    Claimed {
        /// The task with its lease.
        task: Cow<'a, ClaimedTask>,
        /// The runner's name.
        runner: Cow<'a, str>,
    },
    /// An environment is there: that of the task, or one on the host for work in a step's place.
    Prepared(Handle),
    /// A step has started, or has ended.
    Step(Cow<'a, StepReport>),
    /// Whose output comes next.
    Span(LogSpan),
    /// The first bytes of the log. What does not fit in here stands in a file of its own.
    Log(LogChunk),
    /// The next whole block of the log has been delivered, and may be gone from the disk; this is
    /// its chaining value.
    Block(#[serde(with = "hex")] [u8; 32]),
    /// The end.
    Finished(Cow<'a, Finished>),
}

/// Written over the beginning of a journal whose attempt is done with. No attempt's id begins so.
pub const FORGOTTEN: &[u8] = b"-";

mod hex {
    use outrider_model::report::LogHash;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        LogHash(*bytes).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        LogHash::deserialize(deserializer).map(|hash| hash.0)
    }
}

/// Appends a line: the attempt, a checksum, the entry as JSON. Since files are overwritten in
/// place, what follows the last line may be anything; the checksum and the attempt tell.
pub fn append_line(buffer: &mut Vec<u8>, attempt: &str, entry: &Entry<'_>) {
    let json = match serde_json::to_vec(entry) {
        Ok(json) => json,
        Err(error) => {
            // Nothing in an entry can fail to serialise; a line less is better than a panic.
            tracing::error!("cannot write a journal line: {error}");
            return;
        }
    };
    buffer.reserve(json.len() + attempt.len() + 20);
    buffer.extend_from_slice(attempt.as_bytes());
    buffer.push(b' ');
    buffer.extend_from_slice(&checksum(&json));
    buffer.push(b' ');
    buffer.extend_from_slice(&json);
    buffer.push(b'\n');
}

/// The entries of one attempt at the start of a file, each with the offset of its end.
pub fn lines(content: &[u8]) -> impl Iterator<Item = (Entry<'static>, usize)> {
    let mut at = 0;
    let mut attempt: Option<&[u8]> = None;
    std::iter::from_fn(move || {
        let rest = content.get(at..)?;
        let line = &rest[..rest.iter().position(|byte| *byte == b'\n')?];
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (id, sum, json) = (parts.next()?, parts.next()?, parts.next()?);
        let forgotten = id.starts_with(FORGOTTEN);
        if forgotten || *attempt.get_or_insert(id) != id || checksum(json) != sum {
            return None;
        }
        at += line.len() + 1;
        Some((serde_json::from_slice(json).ok()?, at))
    })
}

fn checksum(json: &[u8]) -> [u8; 16] {
    let mut text = [0; 16];
    text.copy_from_slice(&blake3::hash(json).to_hex().as_bytes()[..16]);
    text
}
