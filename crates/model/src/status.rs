//! Where work stands, and how the parts of a whole add up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How something ended. Terminal: it never changes (promise P2).
///
/// The order is by severity: the outcome of a whole is the greatest outcome of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// It never started, because something that it requires did not end as required.
    NotRun,
    /// Every step passed.
    Passed,
    /// Somebody canceled it.
    Canceled,
    /// The infrastructure failed, not the work: a runner died or fell silent.
    Lost,
    /// It ran longer, or was silent longer, than it may.
    TimedOut,
    /// A step failed.
    Failed,
}

impl Outcome {
    /// All outcomes, from the mildest to the most severe.
    pub const ALL: [Self; 6] = [
        Self::NotRun,
        Self::Passed,
        Self::Canceled,
        Self::Lost,
        Self::TimedOut,
        Self::Failed,
    ];

    /// The outcome in the words of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "not_run",
            Self::Passed => "passed",
            Self::Canceled => "canceled",
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a task, a job, a workflow or a pipeline stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Something that it requires has not ended yet.
    Blocked,
    /// It may start as soon as a runner has room.
    Queued,
    /// It goes on as soon as somebody approves it.
    OnHold,
    /// A runner has it.
    Running,
    /// It ended.
    Finished(Outcome),
}

impl Status {
    /// All statuses, in the order of their storage numbers.
    pub const ALL: [Self; 10] = [
        Self::Blocked,
        Self::Queued,
        Self::Running,
        Self::Finished(Outcome::NotRun),
        Self::Finished(Outcome::Passed),
        Self::Finished(Outcome::Canceled),
        Self::Finished(Outcome::Lost),
        Self::Finished(Outcome::TimedOut),
        Self::Finished(Outcome::Failed),
        Self::OnHold,
    ];

    /// The outcome, once there is one.
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The status in one word, as in the API: `blocked`, `queued`, `on_hold`, `running`, or the
    /// outcome.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::OnHold => "on_hold",
            Self::Running => "running",
            Self::Finished(outcome) => outcome.as_str(),
        }
    }

    /// A small stable number, for storage. The inverse is [`Status::from_code`].
    pub const fn code(self) -> u8 {
        match self {
            Self::Blocked => 0,
            Self::Queued => 1,
            Self::Running => 2,
            Self::Finished(Outcome::NotRun) => 3,
            Self::Finished(Outcome::Passed) => 4,
            Self::Finished(Outcome::Canceled) => 5,
            Self::Finished(Outcome::Lost) => 6,
            Self::Finished(Outcome::TimedOut) => 7,
            Self::Finished(Outcome::Failed) => 8,
            Self::OnHold => 9,
        }
    }

    /// The status with this storage number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a status")))
    }
}

/// How many parts of a whole stand where: tasks of a job, jobs of a workflow, workflows of a
/// pipeline. It makes roll-up cost the same for two parts and for two thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u32; Status::ALL.len()]);

/// A part was said to leave a status in which none was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("roll-up is inconsistent: no part was counted as {0}")]
pub struct Miscounted(pub Status);

impl Tally {
    /// Counts the given parts.
    pub fn of(parts: impl IntoIterator<Item = Status>) -> Self {
        let mut tally = Self::default();
        for part in parts {
            tally.0[usize::from(part.code())] += 1;
        }
        tally
    }

    /// How many parts have this status.
    pub fn count(&self, status: Status) -> u32 {
        self.0[usize::from(status.code())]
    }

    /// How many parts there are.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// One part goes from one status to another.
    pub fn shift(&mut self, from: Status, to: Status) -> Result<(), Miscounted> {
        let left = self.0[usize::from(from.code())]
            .checked_sub(1)
            .ok_or(Miscounted(from))?;
        self.0[usize::from(from.code())] = left;
        self.0[usize::from(to.code())] += 1;
        Ok(())
    }

    /// Where the whole stands: finished once all parts are, with the severest outcome; on hold
    /// if some part is and none runs or is queued; else running from the first start to the last
    /// end; else queued if any part is; else blocked.
    pub fn status(&self) -> Status {
        let finished: u32 = Outcome::ALL
            .into_iter()
            .map(|outcome| self.count(Status::Finished(outcome)))
            .sum();
        if finished == self.total() {
            let worst = Outcome::ALL
                .into_iter()
                .rfind(|outcome| self.count(Status::Finished(*outcome)) > 0);
            return Status::Finished(worst.unwrap_or(Outcome::NotRun));
        }
        let (running, queued) = (self.count(Status::Running), self.count(Status::Queued));
        if self.count(Status::OnHold) > 0 && running + queued == 0 {
            Status::OnHold
        } else if running + finished > 0 {
            Status::Running
        } else if queued > 0 {
            Status::Queued
        } else {
            Status::Blocked
        }
    }

    /// The counts in the order of [`Status::ALL`], for storage.
    pub fn counts(&self) -> &[u32] {
        &self.0
    }

    /// The tally with these counts, in the order of [`Status::ALL`].
    pub fn from_counts(counts: &[u32]) -> Option<Self> {
        counts.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Status::{Blocked, Finished, OnHold, Queued, Running};

    #[test]
    fn codes_are_stable_and_reversible() {
        for (code, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(status.code()), code);
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_code(10), None);
    }

    #[test]
    fn a_whole_is_what_its_parts_add_up_to() {
        let cases = [
            (vec![Blocked, Blocked], Blocked),
            (vec![Blocked, Queued], Queued),
            (vec![Queued, Running], Running),
            (vec![Blocked, Finished(Outcome::Passed)], Running),
            (vec![Blocked, OnHold, Finished(Outcome::Passed)], OnHold),
            (vec![OnHold, Queued], Queued),
            (vec![OnHold, Queued, Finished(Outcome::Passed)], Running),
            (vec![OnHold, Running], Running),
            (
                vec![Finished(Outcome::Passed), Finished(Outcome::NotRun)],
                Finished(Outcome::Passed),
            ),
            (
                vec![Finished(Outcome::Failed), Finished(Outcome::NotRun)],
                Finished(Outcome::Failed),
            ),
            (
                vec![Finished(Outcome::Canceled), Finished(Outcome::Passed)],
                Finished(Outcome::Canceled),
            ),
            (vec![], Finished(Outcome::NotRun)),
        ];
        for (parts, whole) in cases {
            assert_eq!(
                Tally::of(parts.iter().copied()).status(),
                whole,
                "{parts:?}"
            );
        }
    }

    #[test]
    fn a_part_cannot_leave_where_it_never_was() {
        let mut tally = Tally::of([Queued]);
        assert_eq!(tally.shift(Running, Queued), Err(Miscounted(Running)));
        assert_eq!(tally, Tally::of([Queued]));
    }
}
