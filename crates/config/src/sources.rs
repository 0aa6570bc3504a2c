//! All texts of a compilation in one row, the config first and the orbs at hand behind it. A
//! [`Span`] is a place in that row, so it tells by itself which text it belongs to.

use std::cell::OnceCell;

use crate::diagnostic::Location;
use crate::yaml::Span;
use crate::{OrbReference, Orbs, SourceFile};

pub(crate) struct Sources<'a> {
    /// Never empty.
    files: Vec<File<'a>>,
}

pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// Where it starts in the row.
    pub(crate) base: u32,
    line_starts: OnceCell<Vec<usize>>,
}

impl<'a> Sources<'a> {
    pub(crate) fn new(config: &'a SourceFile, orbs: &'a Orbs) -> Self {
        let orbs = orbs.values().map(|orb| (&*orb.name, &*orb.text));
        let mut base = 0_usize;
        let files = std::iter::once((&*config.name, &*config.text)).chain(orbs);
        let files = files.map(|(name, text)| {
            let file = File {
                name,
                text,
                base: u32::try_from(base).unwrap_or(u32::MAX),
                line_starts: OnceCell::new(),
            };
            // A place that is not in any text keeps them apart.
            base += text.len() + 1;
            file
        });
        Self {
            files: files.collect(),
        }
    }

    /// All texts together, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.text.len() + 1).sum()
    }

    pub(crate) fn config(&self) -> &File<'a> {
        &self.files[0]
    }

    /// The source of an orb, if it is at hand.
    pub(crate) fn orb(&self, orbs: &Orbs, reference: &OrbReference) -> Option<&File<'a>> {
        self.files.get(orbs.get_index_of(reference)? + 1)
    }

    /// A text by its number: 0 is the config.
    pub(crate) fn file(&self, index: usize) -> Option<&File<'a>> {
        self.files.get(index)
    }

    /// The text at a place.
    pub(crate) fn slice(&self, span: Span) -> Option<&'a str> {
        let file = &self.files[self.index(span)];
        file.text
            .get((span.start - file.base) as usize..(span.end.max(file.base) - file.base) as usize)
    }

    fn index(&self, span: Span) -> usize {
        let after = self.files.partition_point(|file| file.base <= span.start);
        after.saturating_sub(1)
    }

    /// Line and column of a span, cut to its first line.
    pub(crate) fn locate(&self, span: Span) -> Location {
        let index = self.index(span);
        let File {
            text,
            base,
            line_starts,
            ..
        } = &self.files[index];
        let within = |at: u32| floor_boundary(text, at.saturating_sub(*base) as usize);
        let start = within(span.start);
        let line_starts = line_starts.get_or_init(|| line_starts_of(text));
        let line = line_starts.partition_point(|at| *at <= start).max(1);
        let line_start = line_starts[line - 1];
        let rest = &text[start..];
        let line_end = start + rest.find(['\n', '\r']).unwrap_or(rest.len());
        let end = within(span.end).clamp(start, line_end);
        let column = text[line_start..start].chars().count() + 1;
        Location {
            file: index,
            start,
            end,
            line,
            column,
            end_column: column + text[start..end].chars().count(),
        }
    }
}

fn line_starts_of(text: &str) -> Vec<usize> {
    let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0)
        .chain(newlines.map(|(at, _)| at + 1))
        .collect()
}

/// The last character boundary that is not after `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}
