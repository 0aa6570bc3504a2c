//! Names and regular expressions in filters.

use crate::regex::{Regex, TooHard};

/// One entry of `only` or `ignore`: a name, or a regular expression in slashes.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    /// What stands between slashes.
    regex: Option<Regex>,
}

impl Pattern {
    /// A name.
    pub fn name(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            regex: None,
        }
    }

    /// A regular expression, with the text that it stands in.
    pub(crate) fn regex(text: impl Into<String>, regex: Regex) -> Self {
        Self {
            text: text.into(),
            regex: Some(regex),
        }
    }

    /// As written, with its slashes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a branch or a tag fits.
    pub(crate) fn fits(&self, name: &str) -> Result<bool, TooHard> {
        match &self.regex {
            Some(regex) => regex.matches(name),
            None => Ok(self.text == name),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.regex.is_some() == other.regex.is_some()
    }
}

impl Eq for Pattern {}

/// What stands between the slashes of a pattern; nothing if it is a name.
pub(crate) fn in_slashes(text: &str) -> Option<&str> {
    text.strip_prefix('/')?.strip_suffix('/')
}
