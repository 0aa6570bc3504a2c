//! One `testcase` element.

use std::borrow::Cow;
use std::time::Duration;

use quick_xml::events::BytesStart;

use super::text;
use crate::result::MAX_MESSAGE;
use crate::{TestOutcome, TestResult};

/// A test that is being read.
pub(super) struct Case {
    result: TestResult,
    /// How many elements are open inside it.
    depth: usize,
    /// What the element that is open says, if it is one that tells how the test ended.
    said: Option<Said>,
}

/// What tells how a test ended.
struct Said {
    verdict: Verdict,
    kind: Option<String>,
    /// The `message` attribute.
    headline: String,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// How this run ended.
    Ended(TestOutcome),
    /// How another run of the same test had ended.
    OtherRun,
}

impl Case {
    /// What the element itself says; the suite around it fills what is missing.
    pub fn new(element: &BytesStart<'_>, suite: String, file: Option<String>) -> Self {
        let mut result = TestResult {
            suite,
            file,
            ..TestResult::default()
        };
        for (name, value) in attributes(element) {
            match name {
                "name" => result.name = value,
                "classname" | "class" => result.classname = value,
                "file" if !value.is_empty() => result.file = Some(value),
                "time" => result.time = seconds(&value),
                // GoogleTest says it so.
                "status" if value == "notrun" => result.outcome = TestOutcome::Skipped,
                "result" if value == "skipped" || value == "suppressed" => {
                    result.outcome = TestOutcome::Skipped;
                }
                _ => {}
            }
        }
        Self {
            result,
            depth: 0,
            said: None,
        }
    }

    /// An element inside begins.
    pub fn start(&mut self, name: &str, element: &BytesStart<'_>) {
        self.depth += 1;
        if self.depth > 1 {
            return;
        }
        let verdict = match name {
            "failure" => Verdict::Ended(TestOutcome::Failed),
            "error" => Verdict::Ended(TestOutcome::Errored),
            "skipped" => Verdict::Ended(TestOutcome::Skipped),
            "rerunFailure" | "rerunError" | "flakyFailure" | "flakyError" => Verdict::OtherRun,
            _ => return,
        };
        let mut said = Said {
            verdict,
            kind: None,
            headline: String::new(),
            text: String::new(),
        };
        for (name, value) in attributes_as_text(element) {
            match name {
                "type" if !value.is_empty() => said.kind = Some(text::name(&value)),
                "message" => said.headline = text::bounded(value.trim(), MAX_MESSAGE),
                _ => {}
            }
        }
        self.said = Some(said);
    }

    /// Text inside.
    pub fn text(&mut self, text: &str) {
        if let (Some(said), 1) = (&mut self.said, self.depth) {
            said.push(text);
        }
    }

    /// A reference inside.
    pub fn reference(&mut self, name: &str) {
        let mut text = String::new();
        text::push_reference(&mut text, name);
        self.text(&text);
    }

    /// An element ends. Says whether it was one inside.
    pub fn end(&mut self) -> bool {
        let Some(depth) = self.depth.checked_sub(1) else {
            return false;
        };
        self.depth = depth;
        if depth == 0
            && let Some(said) = self.said.take()
        {
            self.note(said);
        }
        true
    }

    /// The worst that is said counts, and the first message of it.
    fn note(&mut self, said: Said) {
        let Verdict::Ended(outcome) = said.verdict else {
            self.result.reruns += 1;
            if self.result.message.is_none() {
                self.result.kind.clone_from(&said.kind);
                self.result.message = said.message();
            }
            return;
        };
        if outcome > self.result.outcome {
            self.result.outcome = outcome;
            self.result.kind.clone_from(&said.kind);
            self.result.message = said.message();
        }
    }

    pub fn finish(self) -> TestResult {
        self.result
    }
}

impl Said {
    fn push(&mut self, text: &str) {
        let room = MAX_MESSAGE.saturating_sub(self.text.len());
        self.text.push_str(text::beginning(text, room));
    }

    /// The headline and the text, which often begins with it.
    fn message(self) -> Option<String> {
        let text = self.text.trim();
        let message = if text.contains(&self.headline) {
            text.to_owned()
        } else if text.is_empty() {
            self.headline
        } else {
            format!("{}\n{text}", self.headline)
        };
        Some(text::bounded(&message, MAX_MESSAGE)).filter(|message| !message.is_empty())
    }
}

/// The attributes of an element, each as one line. What is no attribute is passed over.
pub(super) fn attributes<'a>(
    element: &'a BytesStart<'_>,
) -> impl Iterator<Item = (&'a str, String)> {
    attributes_as_text(element).map(|(name, value)| (name, text::name(&value)))
}

fn attributes_as_text<'a>(
    element: &'a BytesStart<'_>,
) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    let mut attributes = element.attributes();
    attributes.with_checks(false);
    attributes.flatten().map(|attribute| {
        let value = match attribute.value {
            Cow::Borrowed(raw) => text::unescape(raw),
            Cow::Owned(raw) => Cow::Owned(text::unescape(&raw).into_owned()),
        };
        (attribute.key.local_name().into_inner(), value)
    })
}

/// No test takes longer: what says so is wrong.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A number of seconds: `1.5`, `1,234.5`, `1,234`, and `0,5` where somebody's language writes so.
fn seconds(text: &str) -> Duration {
    let digits = |part: &str| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = match text.split_once(',') {
        Some((whole, fraction)) if !text.contains('.') && !fraction.contains(',') => {
            let thousands = digits(fraction) && whole != "0";
            text.replace(',', if thousands { "" } else { "." })
        }
        _ => text.replace(',', ""),
    };
    let seconds: f64 = plain.trim().parse().unwrap_or(0.0);
    if seconds.is_finite() && seconds > LONGEST.as_secs_f64() {
        return LONGEST;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_tools_write_them() {
        for (text, millis) in [
            ("1.5", 1_500),
            ("0", 0),
            ("1,234.567", 1_234_567),
            ("1,234,567.8", 1_234_567_800),
            ("1,234", 1_234_000),
            ("0,234", 234),
            ("1,5", 1_500),
            ("2.5e-1", 250),
            ("", 0),
            ("-1", 0),
            ("NaN", 0),
            ("inf", 0),
            ("1e18", 31_536_000_000),
            ("1e300", 31_536_000_000),
            ("soon", 0),
        ] {
            assert_eq!(seconds(text), Duration::from_millis(millis), "{text}");
        }
    }
}
