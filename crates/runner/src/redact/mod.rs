//! Secrets do not get into logs: every byte of every step's output passes through here.
//!
//! - `forms` says in which ways a secret may be written: as it is, base64, hexadecimal, escaped or
//!   quoted. Each form becomes a needle (`needle`).
//! - `automaton` looks for all needles at once; `filter` finds the few places where it need look.
//! - `scan` finds what is to be masked in a piece of text. It looks at the text as a reader sees
//!   it, so neither colours nor broken lines hide a secret.
//! - `stream` cuts a stream into such pieces, and holds back what may be the beginning of a secret.
//!
//! In place of a secret stands `****`, once for secrets that overlap. Escape sequences within a
//! secret go with it; all else that a step writes stays as it is.
//!
//! What is held back is always shorter than the longest form of a secret, and is written with the
//! next bytes that show it harmless, or when the step ends. A silent step's last bytes are held for
//! as long as it is silent: nobody can know yet what they will become.

mod automaton;
mod escape;
mod filter;
mod forms;
mod needle;
mod output;
mod scan;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use outrider_model::reason::EndReason;

pub use output::Redacted;

use needle::Gaps;
use scan::Pattern;
use stream::Stream;

/// A value that must not be seen. It prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A value that must not be seen.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Knows the secrets of a task, and keeps them out of texts and streams.
#[derive(Default)]
pub struct Redactor {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    needles: BTreeMap<Vec<u8>, Gaps>,
    pattern: Option<Arc<Pattern>>,
}

impl Redactor {
    /// Keeps these out, too, from now on: also in streams that have begun, and in what they hold
    /// back. Values that are shorter than 4 bytes, and `true` and `false`, are no secrets.
    pub fn add<'s>(&self, secrets: impl IntoIterator<Item = &'s Secret>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets {
            for form in forms::of(secret.reveal()) {
                let (bytes, gaps) = needle::view(form.as_bytes());
                known.needles.entry(bytes).or_default().allow(gaps);
            }
        }
        let is_any = !known.needles.is_empty();
        known.pattern = is_any.then(|| Arc::new(Pattern::new(&known.needles)));
    }

    /// The text without secrets.
    pub fn redact_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(pattern) = self.pattern() else {
            return Cow::Borrowed(text);
        };
        let found = pattern.scan(text.as_bytes(), true);
        if found.regions.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut stream = Stream::default();
        let redacted = stream.finish_with(&pattern, text.as_bytes());
        Cow::Owned(String::from_utf8_lossy(&redacted).into_owned())
    }

    /// Why a task ended, without secrets: errors may quote what could not be done.
    pub fn redact_reason(&self, mut reason: EndReason) -> EndReason {
        if let EndReason::StepNotStarted { message, .. }
        | EndReason::NotPrepared { message }
        | EndReason::Infrastructure { message } = &mut reason
        {
            *message = self.redact_text(message).into_owned();
        }
        reason
    }

    fn pattern(&self) -> Option<Arc<Pattern>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.pattern.clone()
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}
