//! What is wrong with a config, where, and what to do about it.

pub mod code;
mod render;
mod sink;
mod suggest;

use std::fmt;

use serde::Serialize;
use serde::ser::SerializeStruct;

pub(crate) use sink::{Draft, Sink, error, warning};
pub use suggest::closest;
pub(crate) use suggest::{did_you_mean, is_near, list};

use indexmap::IndexMap;

use crate::SourceFile;
use crate::sources::Sources;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The config cannot run.
    Error,
    /// The config runs, but perhaps not as its author thinks.
    Warning,
}

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// 0 for the config itself; see [`Diagnostics::file`] for others.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last one. Never before `start`, and on the same line.
    pub end: usize,
    /// The line of `start`, from 1.
    pub line: usize,
    /// The column of `start` in characters, from 1.
    pub column: usize,
    /// The column behind the last character.
    pub end_column: usize,
}

/// A second place that explains a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub location: Location,
    /// What is there, as a fragment: `first defined here`.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which rule it breaks: one of [`code::ALL`], stable and in kebab case.
    pub code: &'static str,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// Where.
    pub location: Location,
    /// Other places that matter.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Diagnostic", 6)?;
        object.serialize_field("severity", &self.severity)?;
        object.serialize_field("code", self.code)?;
        object.serialize_field("message", &self.message)?;
        object.serialize_field("line", &self.location.line)?;
        object.serialize_field("column", &self.location.column)?;
        object.serialize_field("help", &self.help)?;
        object.end()
    }
}

/// Everything that is wrong with a config, in the order of the source.
///
/// Serialises as a list of objects with `severity`, `code`, `message`, `line`, `column`, `help`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    #[serde(skip)]
    more: bool,
    /// The files besides the config that are spoken of: orbs.
    #[serde(skip)]
    others: IndexMap<usize, SourceFile>,
}

impl Diagnostics {
    pub(crate) fn new(mut list: Vec<Diagnostic>, more: bool, sources: &Sources<'_>) -> Self {
        list.sort_by_key(|one| (one.location, one.severity));
        let labels =
            |one: &Diagnostic| one.labels.iter().map(|label| label.location.file).collect();
        let files = list.iter().flat_map(|one| {
            let labels: Vec<_> = labels(one);
            labels.into_iter().chain([one.location.file])
        });
        let files = files.filter(|file| *file > 0);
        let others = files
            .filter_map(|index| {
                let file = sources.file(index)?;
                Some((index, SourceFile::new(file.name, file.text)))
            })
            .collect();
        Self { list, more, others }
    }

    /// The file that a [`Location`] is in, if it is not the config: an orb.
    pub fn file(&self, location: &Location) -> Option<&SourceFile> {
        self.others.get(&location.file)
    }

    /// Whether [`Limits::diagnostics`](crate::Limits::diagnostics) was reached: there may be more.
    pub fn is_cut(&self) -> bool {
        self.more
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// One after the other, in the order of the source.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// For people: file, line, column, the line itself with a caret, and what to do. Ends with a
    /// newline unless there is nothing to say.
    ///
    /// `source` must be what was compiled; with another text the places are off, but it never
    /// panics.
    pub fn render(&self, source: &SourceFile, color: bool) -> String {
        let mut text = render::render(self, source, color);
        if self.more {
            text += "there may be more; fix these first\n";
        }
        text
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line for each, `line:column: message`: for logs. People want [`Diagnostics::render`].
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(file) = self.file(&one.location) {
                write!(f, "{}:", file.name)?;
            }
            write!(
                f,
                "{}:{}: {}",
                one.location.line, one.location.column, one.message
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
