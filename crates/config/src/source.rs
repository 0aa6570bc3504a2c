//! What is compiled.

/// A config file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// How people know it: shown as the path in diagnostics.
    pub name: String,
    /// What it holds.
    pub text: String,
}

impl SourceFile {
    /// A config file.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}
