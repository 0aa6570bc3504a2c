//! Collects diagnostics while a config is compiled.

use std::cell::RefCell;
use std::collections::HashSet;

use super::{Diagnostic, Diagnostics, Label, Location, Severity};
use crate::yaml::Span;

/// A diagnostic that is being written.
pub(crate) struct Draft {
    severity: Severity,
    code: &'static str,
    message: String,
    span: Span,
    labels: Vec<(Span, String)>,
    help: Option<String>,
}

/// Starts an error.
pub(crate) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Draft {
    Draft {
        severity: Severity::Error,
        code,
        message: message.into(),
        span,
        labels: vec![],
        help: None,
    }
}

/// Starts a warning.
pub(crate) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Draft {
    Draft {
        severity: Severity::Warning,
        ..error(code, span, message)
    }
}

impl Draft {
    /// Adds a second place.
    pub(crate) fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Says what to do, where there is something to say.
    pub(crate) fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }
}

/// Where diagnostics go. Definitions are read several times, once as they stand and once for each
/// use; what was said once is not said again.
pub(crate) struct Sink<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
    limit: usize,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    list: Vec<Diagnostic>,
    seen: HashSet<(Span, &'static str, String)>,
    errors: usize,
    kept_errors: usize,
    kept_warnings: usize,
    /// Whether one was left out.
    more: bool,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(text: &'a str, limit: usize) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(newlines.map(|(at, _)| at + 1))
            .collect();
        Self {
            text,
            line_starts,
            limit,
            state: RefCell::default(),
        }
    }

    pub(crate) fn push(&self, draft: Draft) {
        let mut state = self.state.borrow_mut();
        let kept = match draft.severity {
            Severity::Error => {
                state.errors += 1;
                &mut state.kept_errors
            }
            Severity::Warning => &mut state.kept_warnings,
        };
        if *kept >= self.limit {
            state.more = true;
            return;
        }
        *kept += 1;
        if !state
            .seen
            .insert((draft.span, draft.code, draft.message.clone()))
        {
            match draft.severity {
                Severity::Error => state.kept_errors -= 1,
                Severity::Warning => state.kept_warnings -= 1,
            }
            return;
        }
        let labels = draft
            .labels
            .into_iter()
            .filter(|(span, _)| *span != draft.span);
        state.list.push(Diagnostic {
            severity: draft.severity,
            code: draft.code,
            message: draft.message,
            location: self.locate(draft.span),
            labels: labels
                .map(|(span, text)| Label {
                    location: self.locate(span),
                    text,
                })
                .collect(),
            help: draft.help,
        });
    }

    /// Whether no further error will be kept: then there is no point in writing a good one.
    pub(crate) fn is_full(&self) -> bool {
        self.state.borrow().kept_errors >= self.limit
    }

    /// How many errors were pushed so far, the repeated ones included.
    pub(crate) fn errors(&self) -> usize {
        self.state.borrow().errors
    }

    pub(crate) fn finish(self) -> Diagnostics {
        let more = self.is_full() || self.state.borrow().more;
        let list = self.state.into_inner().list;
        Diagnostics::new(list, more)
    }

    /// The line that a span starts on.
    pub(crate) fn line(&self, span: Span) -> usize {
        let start = span.start as usize;
        self.line_starts.partition_point(|at| *at <= start).max(1)
    }

    /// Line and column of a span, cut to its first line.
    fn locate(&self, span: Span) -> Location {
        let start = floor_boundary(self.text, span.start as usize);
        let line = self.line(span);
        let line_start = self.line_starts[line - 1];
        let rest = &self.text[start..];
        let line_end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let end = floor_boundary(self.text, span.end as usize).clamp(start, line_end);
        let column = self.text[line_start..start].chars().count() + 1;
        Location {
            start,
            end,
            line,
            column,
        }
    }
}

/// The last character boundary that is not after `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}
