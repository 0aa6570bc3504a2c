//! Names and regular expressions in filters.

/// One entry of `only` or `ignore`: a name, or a regular expression in slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// A name.
    pub fn name(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
