//! What is wrong with a config, for people and for editors.

use std::io::IsTerminal;

use outrider_config::diagnostic::{Label, Location};
use outrider_config::{Diagnostic, Diagnostics, Severity, SourceFile};
use serde::Serialize;

use crate::failure::{Failure, code};
use crate::show::hint;

/// The failure of a config that does not compile: everything that is wrong with it.
pub fn invalid(source: &SourceFile, diagnostics: &Diagnostics) -> Failure {
    let color = std::io::stderr().is_terminal();
    let text = diagnostics.render(source, color);
    let count = |severity| {
        let list = diagnostics.iter();
        list.filter(|one| one.severity == severity).count()
    };
    let warnings = count(Severity::Warning);
    let mut things = counted(count(Severity::Error), "error");
    if warnings > 0 {
        things = format!("{things} and {}", counted(warnings, "warning"));
    }
    Failure::new(
        code::INVALID_CONFIG,
        format!("{} has {things}\n{text}", source.name),
    )
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Prints warnings, if there are any.
pub fn warn(source: &SourceFile, warnings: &Diagnostics) {
    if !warnings.is_empty() {
        let color = std::io::stderr().is_terminal();
        hint!("{}", warnings.render(source, color));
    }
}

/// One thing that is wrong, for editors. Lines and columns count from 1, columns in characters; the
/// end is behind the last character.
#[derive(Serialize)]
pub struct Report<'a> {
    severity: Severity,
    code: &'a str,
    message: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    help: Option<&'a str>,
    labels: Vec<Note<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
struct Note<'a> {
    text: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
}

/// Everything that is wrong, in the order of the source.
pub fn for_editors<'a>(source: &'a SourceFile, all: &'a Diagnostics) -> Vec<Report<'a>> {
    let place = |location: &Location| Place {
        file: &all.file(location).unwrap_or(source).name,
        line: location.line,
        column: location.column,
        end_line: location.line,
        end_column: location.end_column,
    };
    let note = |label: &'a Label| Note {
        text: &label.text,
        place: place(&label.location),
    };
    let report = |one: &'a Diagnostic| Report {
        severity: one.severity,
        code: one.code,
        message: &one.message,
        place: place(&one.location),
        help: one.help.as_deref(),
        labels: one.labels.iter().map(note).collect(),
    };
    all.iter().map(report).collect()
}
