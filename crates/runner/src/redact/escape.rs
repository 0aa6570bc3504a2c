//! Escape sequences of terminals: colours, cursor movements, titles, links.

/// What begins them.
pub const ESC: u8 = 0x1b;

/// What is longer is no escape sequence: bytes are not held back for it.
pub const LONGEST: usize = 512;

/// What an ESC begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// A sequence of so many bytes.
    Whole(usize),
    /// The beginning of one, perhaps: the text ends here.
    Cut,
    /// Nothing.
    None,
}

/// Reads the sequence at the beginning of a text that begins with [`ESC`]. If this is the `last`
/// text, what is cut is none.
pub fn read(text: &[u8], last: bool) -> Escape {
    let limited = &text[..text.len().min(LONGEST)];
    let length = match limited.get(1) {
        None => Ok(None),
        Some(b'[') => control(limited, 2, 0x40),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => string(limited),
        Some(0x20..=0x7e) => control(limited, 1, 0x30),
        Some(_) => Err(()),
    };
    match length {
        Ok(Some(length)) => Escape::Whole(length),
        Ok(None) if !last && text.len() < LONGEST => Escape::Cut,
        _ => Escape::None,
    }
}

/// Parameters, then one byte that ends them. `Ok(None)` if the text ends before.
fn control(text: &[u8], from: usize, least_final: u8) -> Result<Option<usize>, ()> {
    let end = text[from..]
        .iter()
        .position(|byte| !(0x20..least_final).contains(byte));
    match end.map(|end| (from + end, text[from + end])) {
        None => Ok(None),
        Some((end, 0x30..=0x7e)) => Ok(Some(end + 1)),
        Some(_) => Err(()),
    }
}

/// Any text up to BEL or `ESC \`.
fn string(text: &[u8]) -> Result<Option<usize>, ()> {
    let Some(end) = memchr::memchr2(0x07, ESC, &text[2..]).map(|end| end + 2) else {
        return Ok(None);
    };
    match (text[end], text.get(end + 1)) {
        (ESC, None) => Ok(None),
        (ESC, Some(b'\\')) => Ok(Some(end + 2)),
        (ESC, Some(_)) => Err(()),
        _ => Ok(Some(end + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_end_where_terminals_end_them() {
        let whole = |text: &str| read(text.as_bytes(), false);
        assert_eq!(whole("\x1b[0mx"), Escape::Whole(4));
        assert_eq!(whole("\x1b[38;5;1mx"), Escape::Whole(9));
        assert_eq!(whole("\x1b[?25lx"), Escape::Whole(6));
        assert_eq!(whole("\x1b]0;title\x07x"), Escape::Whole(10));
        assert_eq!(whole("\x1b]8;;http://x\x1b\\x"), Escape::Whole(15));
        assert_eq!(whole("\x1b(Bx"), Escape::Whole(3));
        assert_eq!(whole("\x1b7x"), Escape::Whole(2));
        assert_eq!(whole("\x1b\nx"), Escape::None);
        assert_eq!(whole("\x1b[1\nm"), Escape::None);
    }

    #[test]
    fn what_is_cut_is_waited_for_but_not_for_ever() {
        for cut in [
            "\x1b",
            "\x1b[",
            "\x1b[3",
            "\x1b]0;title",
            "\x1b]0;title\x1b",
        ] {
            assert_eq!(read(cut.as_bytes(), false), Escape::Cut, "{cut:?}");
            assert_eq!(read(cut.as_bytes(), true), Escape::None, "{cut:?}");
        }
        let endless = format!("\x1b]0;{}", "x".repeat(LONGEST));
        assert_eq!(read(endless.as_bytes(), false), Escape::None);
    }
}
