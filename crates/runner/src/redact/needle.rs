//! What is looked for, and how a text is looked at.
//!
//! A text is looked at without its escape sequences, its carriage returns and its blanks. So a
//! secret is found that has colours in it, whose lines end with CR LF, whose newlines a shell has
//! made spaces, or whose base64 is broken into lines. A blank in the text, which must not make one
//! word of two, is only forgiven where the secret has one, or after [`SURE`] bytes of it.

use super::escape::{self, ESC, Escape};

/// After so many bytes it is the secret, and no other word that begins alike: a blank does not end
/// it any more.
pub const SURE: usize = 12;

/// Where a needle allows blanks, before it is [`SURE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps(u16);

impl Gaps {
    /// Whether a blank may stand after so many bytes.
    pub const fn allows(self, after: usize) -> bool {
        after >= SURE || self.0 & (1 << after) != 0
    }

    /// Allows those blanks, too.
    pub const fn allow(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// How many of so many bytes certainly stand side by side in a text.
    pub fn first_run(self, length: usize) -> usize {
        (self.0.trailing_zeros() as usize).min(length).min(SURE)
    }

    const fn set(&mut self, after: usize) {
        if after < SURE {
            self.0 |= 1 << after;
        }
    }
}

/// What a byte is to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is read.
    Visible,
    /// It parts words.
    Blank,
    /// It is not seen.
    Nothing,
}

impl Kind {
    /// What this byte is.
    pub const fn of(byte: u8) -> Self {
        match byte {
            b' ' | b'\t' | b'\n' => Self::Blank,
            b'\r' => Self::Nothing,
            _ => Self::Visible,
        }
    }
}

/// A form of a secret as it is looked for.
pub fn view(form: &[u8]) -> (Vec<u8>, Gaps) {
    let (mut bytes, mut gaps) = (Vec::with_capacity(form.len()), Gaps::default());
    let (mut at, mut is_gap) = (0, false);
    while let Some(&byte) = form.get(at) {
        if byte == ESC
            && let Escape::Whole(length) = escape::read(&form[at..], true)
        {
            at += length;
            continue;
        }
        at += 1;
        match Kind::of(byte) {
            Kind::Nothing => {}
            Kind::Blank => is_gap = !bytes.is_empty(),
            Kind::Visible => {
                if std::mem::take(&mut is_gap) {
                    gaps.set(bytes.len());
                }
                bytes.push(byte);
            }
        }
    }
    (bytes, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_has_no_blanks_and_knows_where_they_were() {
        let (bytes, gaps) = view(b" ab\r\n\x1b[1mc d ");
        assert_eq!(bytes, b"abcd");
        assert!(gaps.allows(2) && gaps.allows(3) && !gaps.allows(1) && !gaps.allows(4));
        assert!(gaps.allows(SURE));
        assert_eq!(gaps.first_run(bytes.len()), 2);
        assert_eq!(Gaps::default().first_run(5), 5);
        assert_eq!(Gaps::default().first_run(100), SURE);
    }
}
