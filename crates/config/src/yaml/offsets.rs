//! The parser counts characters, we count bytes.

use super::Span;

/// Turns character offsets into byte offsets.
pub(super) struct Offsets {
    /// Where each character starts; empty if every character is a byte.
    starts: Vec<u32>,
    bytes: u32,
    /// Where the text itself starts among all texts.
    base: u32,
    /// Characters that were put in, in ascending order. They take no place in the source.
    put_in: Vec<usize>,
}

impl Offsets {
    pub(super) fn new(text: &str, base: u32) -> Self {
        let starts = if text.is_ascii() {
            vec![]
        } else {
            text.char_indices().map(|(at, _)| clamp(at)).collect()
        };
        Self {
            starts,
            bytes: clamp(text.len()),
            base,
            put_in: vec![],
        }
    }

    /// Notes that a character was put in before this one.
    pub(super) fn shift(&mut self, character: usize) {
        self.put_in.push(character);
    }

    /// Whether there may be one more: each makes the text be read again.
    pub(super) fn can_shift(&self) -> bool {
        self.put_in.len() < 100
    }

    pub(super) fn byte(&self, character: usize) -> u32 {
        let character = character - self.put_in.partition_point(|at| *at < character);
        if self.starts.is_empty() {
            clamp(character).min(self.bytes)
        } else {
            self.starts.get(character).copied().unwrap_or(self.bytes)
        }
    }

    pub(super) fn span(&self, span: saphyr_parser::Span) -> Span {
        let at = |character| self.base.saturating_add(self.byte(character));
        let start = at(span.start.index());
        Span {
            start,
            end: at(span.end.index()).max(start),
        }
    }
}

/// Sources are bounded far below 4 GiB before they get here.
fn clamp(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
