//! One test of one run, and sums over many.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a message may be, in bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// The greatest sum of times: databases keep milliseconds as signed numbers of 64 bits.
const MAX_SUM: Duration = Duration::from_millis(i64::MAX.cast_unsigned());

/// How one test ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The suite that it was run in, as its tool calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub suite: String,
    /// Its class, module or crate, as its tool calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub classname: String,
    /// Its name.
    pub name: String,
    /// The file that it is in, below the job's working directory where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took. Zero where the report does not say.
    #[serde(with = "seconds", rename = "seconds", default)]
    pub time: Duration,
    /// What kind of failure it was, for example `AssertionError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Why it failed or was skipped: the beginning, up to 16 KiB. Of a test that passed
    /// only when it was run again, why it had failed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often its tool ran it again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reruns: u32,
}

impl TestResult {
    /// Whether it failed, and passed when it was run again.
    pub fn is_flaky(&self) -> bool {
        self.outcome == TestOutcome::Passed && self.reruns > 0
    }
}

/// How a test ended.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// It passed, perhaps only when it was run again.
    #[default]
    Passed,
    /// It was not run.
    Skipped,
    /// What it expects is not so.
    Failed,
    /// It could not be run to its end.
    Errored,
}

impl TestOutcome {
    /// Whether the test needs attention.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Errored)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Errored => "errored",
        }
    }
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All of them.
    pub tests: u64,
    /// Those that passed.
    pub passed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that could not be run to their end.
    pub errored: u64,
    /// Those that were not run.
    pub skipped: u64,
    /// How long they took together.
    #[serde(with = "seconds", rename = "seconds")]
    pub time: Duration,
}

impl Summary {
    /// Counts one more.
    pub fn add(&mut self, result: &TestResult) {
        let count = match result.outcome {
            TestOutcome::Passed => &mut self.passed,
            TestOutcome::Failed => &mut self.failed,
            TestOutcome::Errored => &mut self.errored,
            TestOutcome::Skipped => &mut self.skipped,
        };
        *count += 1;
        self.tests += 1;
        self.time = self.time.saturating_add(result.time).min(MAX_SUM);
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Durations as seconds, with a fraction.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        time.as_secs_f64().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_times_can_be_stored() {
        let endless = TestResult {
            time: Duration::MAX,
            ..TestResult::default()
        };
        let mut summary = Summary::default();
        for _ in 0..2 {
            summary.add(&endless);
            assert!(i64::try_from(summary.time.as_millis()).is_ok());
        }
    }
}
