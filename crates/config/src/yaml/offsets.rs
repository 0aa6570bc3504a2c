//! The parser counts characters, we count bytes.

use super::Span;

/// Turns character offsets into byte offsets.
pub(super) struct Offsets {
    /// Where each character starts; empty if every character is a byte.
    starts: Vec<u32>,
    bytes: u32,
    /// Where the text itself starts among all texts.
    base: u32,
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
        }
    }

    pub(super) fn byte(&self, character: usize) -> u32 {
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
