//! Diagnostics as people read them, drawn by `annotate-snippets`.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Location, Severity};
use crate::SourceFile;

/// Longer excerpts (a config on one line of a megabyte) are not drawn, only named.
const LONGEST_EXCERPT: usize = 16 * 1024;

/// Labels further away than this many bytes are left out of the drawing.
const FARTHEST_LABEL: usize = 8 * 1024;

pub(super) fn render(list: &[Diagnostic], source: &SourceFile, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    list.iter()
        .map(|one| render_one(&renderer, one, source) + "\n\n")
        .collect()
}

fn render_one(renderer: &Renderer, one: &Diagnostic, source: &SourceFile) -> String {
    let level = match one.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(one.message.as_str()).id(one.code);
    let mut group = match excerpt(one, &source.text) {
        Some(excerpt) => title.element(snippet(one, source, excerpt)),
        None => title.element(
            Origin::path(source.name.as_str())
                .line(one.location.line)
                .char_column(one.location.column),
        ),
    };
    if let Some(help) = &one.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

fn snippet<'a>(
    one: &'a Diagnostic,
    source: &'a SourceFile,
    excerpt: Range<usize>,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &source.text[excerpt.clone()];
    let line = source.text[..excerpt.start]
        .bytes()
        .filter(|byte| *byte == b'\n')
        .count()
        + 1;
    let within = |at: Location| {
        let start = at.start.saturating_sub(excerpt.start).min(text.len());
        let end = at
            .end
            .saturating_sub(excerpt.start)
            .clamp(start, text.len());
        start..end
    };
    let labels = one
        .labels
        .iter()
        .filter(|label| excerpt.contains(&label.location.start))
        .map(|label| {
            AnnotationKind::Context
                .span(within(label.location))
                .label(&*label.text)
        });
    Snippet::source(text)
        .line_start(line)
        .path(source.name.as_str())
        .annotation(AnnotationKind::Primary.span(within(one.location)))
        .annotations(labels)
}

/// The whole lines that hold the diagnostic and its labels, if they can be drawn.
fn excerpt(one: &Diagnostic, text: &str) -> Option<Range<usize>> {
    let near = |at: &Location| at.start.abs_diff(one.location.start) <= FARTHEST_LABEL;
    let places = one.labels.iter().map(|label| label.location).filter(near);
    let (start, end) = places.fold(
        (one.location.start, one.location.end),
        |(start, end), at| (start.min(at.start), end.max(at.end)),
    );
    let start = text.get(..start)?.rfind('\n').map_or(0, |at| at + 1);
    let end = text
        .get(end..)?
        .find('\n')
        .map_or(text.len(), |at| end + at);
    (end - start <= LONGEST_EXCERPT).then_some(start..end)
}
