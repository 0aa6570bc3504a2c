//! Masks a stream as it comes.

use bytes::Bytes;

use super::scan::{Found, Pattern};

/// What stands in place of a secret.
pub const MASK: &[u8] = b"****";

/// What a stream holds back.
#[derive(Default)]
pub struct Stream {
    /// The end of what came, as far as it may be the beginning of a secret.
    held: Vec<u8>,
    /// So many bytes of it belong to a secret whose mask has been written.
    covered: usize,
}

impl Stream {
    /// What can be written now that these bytes have come. Without a pattern there is nothing to
    /// mask.
    pub fn next(&mut self, pattern: Option<&Pattern>, bytes: Bytes) -> Bytes {
        let Some(pattern) = pattern else {
            return bytes;
        };
        let text = match self.held.as_slice() {
            [] => bytes,
            held => [held, &bytes].concat().into(),
        };
        let found = pattern.scan(&text, false);
        if !found.regions.is_empty() || self.covered > 0 {
            return self.replace(&text, &found).into();
        }
        self.held = text[found.open..].to_vec();
        text.slice(..found.open)
    }

    /// The stream ends: what was held back.
    pub fn finish(&mut self, pattern: Option<&Pattern>) -> Vec<u8> {
        match pattern {
            Some(pattern) => self.finish_with(pattern, &[]),
            None => Vec::new(),
        }
    }

    /// The stream ends with these bytes.
    pub fn finish_with(&mut self, pattern: &Pattern, bytes: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let found = pattern.scan(&text, true);
        self.replace(&text, &found)
    }

    /// The text with masks, up to where it is open; holds back the rest. A region that begins there
    /// can only grow: its mask is written at once.
    fn replace(&mut self, text: &[u8], found: &Found) -> Vec<u8> {
        let mut written = Vec::with_capacity(text.len());
        let mut done = self.covered;
        let certain = found.regions.iter().take_while(|it| it.start <= found.open);
        for region in certain {
            if region.start >= done {
                written.extend_from_slice(&text[done..region.start]);
                written.extend_from_slice(MASK);
            }
            done = done.max(region.end);
        }
        if done < found.open {
            written.extend_from_slice(&text[done..found.open]);
        }
        self.held = text[found.open..].to_vec();
        self.covered = done.saturating_sub(found.open);
        written
    }
}
