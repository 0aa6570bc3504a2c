//! Diagnostics as people read them, drawn by `annotate-snippets`.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Label, Location, Severity};
use crate::SourceFile;

/// Longer excerpts (a config on one line of a megabyte) are not drawn, only named.
const LONGEST_EXCERPT: usize = 16 * 1024;

/// Labels further away than this many bytes are left out of the drawing.
const FARTHEST_LABEL: usize = 8 * 1024;

pub(super) fn render(all: &Diagnostics, config: &SourceFile, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    all.iter()
        .map(|one| render_one(&renderer, one, all, config) + "\n\n")
        .collect()
}

fn render_one(
    renderer: &Renderer,
    one: &Diagnostic,
    all: &Diagnostics,
    config: &SourceFile,
) -> String {
    let level = match one.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(one.message.as_str()).id(one.code);
    let source = all.file(&one.location).unwrap_or(config);
    let mut group = match excerpt(one, &source.text) {
        Some(excerpt) => title.element(snippet(one, source, excerpt)),
        None => title.element(origin(one.location, source)),
    };
    for label in &one.labels {
        if label.location.file != one.location.file {
            let source = all.file(&label.location).unwrap_or(config);
            group = group.elements(elsewhere(label, source));
        }
    }
    if let Some(help) = &one.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

fn origin(at: Location, source: &SourceFile) -> Origin<'_> {
    Origin::path(source.name.as_str())
        .line(at.line)
        .char_column(at.column)
}

/// A label in another file than the diagnostic itself.
fn elsewhere<'a>(
    label: &'a Label,
    source: &'a SourceFile,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let excerpt = lines(&source.text, label.location.start, label.location.end)?;
    let text = &source.text[excerpt.clone()];
    let annotation = AnnotationKind::Context
        .span(within(label.location, &excerpt))
        .label(&*label.text);
    Some(
        Snippet::source(text)
            .line_start(label.location.line)
            .path(source.name.as_str())
            .annotation(annotation),
    )
}

fn snippet<'a>(
    one: &'a Diagnostic,
    source: &'a SourceFile,
    excerpt: Range<usize>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &source.text[excerpt.clone()];
    let newlines = source.text[..excerpt.start].bytes();
    let line = newlines.filter(|byte| *byte == b'\n').count() + 1;
    let here = |label: &&Label| {
        label.location.file == one.location.file && excerpt.contains(&label.location.start)
    };
    let labels = one.labels.iter().filter(here).map(|label| {
        AnnotationKind::Context
            .span(within(label.location, &excerpt))
            .label(&*label.text)
    });
    Snippet::source(text)
        .line_start(line)
        .path(source.name.as_str())
        .annotation(AnnotationKind::Primary.span(within(one.location, &excerpt)))
        .annotations(labels)
}

/// A place, counted from the start of an excerpt.
fn within(at: Location, excerpt: &Range<usize>) -> Range<usize> {
    let start = at.start.saturating_sub(excerpt.start).min(excerpt.len());
    let end = at.end.saturating_sub(excerpt.start);
    start..end.clamp(start, excerpt.len())
}

/// The whole lines that hold the diagnostic and its labels, if they can be drawn.
fn excerpt(one: &Diagnostic, text: &str) -> Option<Range<usize>> {
    let near = |at: &Location| {
        at.file == one.location.file && at.start.abs_diff(one.location.start) <= FARTHEST_LABEL
    };
    let places = one.labels.iter().map(|label| label.location).filter(near);
    let (start, end) = places.fold(
        (one.location.start, one.location.end),
        |(start, end), at| (start.min(at.start), end.max(at.end)),
    );
    lines(text, start, end)
}

/// The whole lines that hold a piece of a text, if they are not too long.
fn lines(text: &str, start: usize, end: usize) -> Option<Range<usize>> {
    let start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let end = text
        .get(end..)?
        .find('\n')
        .map_or(text.len(), |at| end + at);
    (end - start <= LONGEST_EXCERPT).then_some(start..end)
}
