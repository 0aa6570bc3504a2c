//! Leaves out of XML what nobody reads, before it is parsed.
//!
//! A parser holds a whole text or tag in memory at once, and a test may write 200 MB to its
//! `system-out`. So of each text only the beginning gets through, and tags have a limit. This is no
//! parser: where it takes something for what it is not, at worst more of a text is left out.

use std::io::{self, BufRead, Read};

use memchr::{memchr, memchr_iter, memchr2, memchr3};

/// How much of a text gets through, and perhaps one buffer more.
const MAX_TEXT: usize = 64 * 1024;
/// How long a tag or a declaration may be.
const MAX_TAG: usize = 1024 * 1024;

const COMMENT: &[u8] = b"<!--";
const CDATA: &[u8] = b"<![CDATA[";

/// A reader that leaves out the rest of long texts.
pub(super) struct Shortened<R> {
    input: R,
    place: Place,
    /// How many of the input's next bytes get through.
    kept: usize,
    /// What stands for the end of something whose end was left out.
    insert: &'static [u8],
    line: u64,
}

/// Where in the XML it stands, and how many bytes of that were there.
#[derive(Clone, Copy)]
enum Place {
    /// Between tags.
    Text(usize),
    /// After `<`, in what may become this.
    Opening(&'static [u8], usize),
    /// In a tag, perhaps in quotes.
    Tag(usize, Option<u8>),
    /// In `<!…>` or `<?…>`, with so many others open inside.
    Declaration(usize, usize),
    /// In character data or a comment; the last bytes seen tell its end.
    Raw(usize, Raw, [u8; 2]),
}

/// What only certain bytes end.
#[derive(Clone, Copy)]
struct Raw {
    end: &'static [u8; 3],
    limit: usize,
}

/// The next bytes that have one fate.
struct Run {
    length: usize,
    /// If they are left out, what stands for them.
    left_out: Option<&'static [u8]>,
    next: Place,
}

impl Run {
    const fn kept(length: usize, next: Place) -> Self {
        Self {
            length,
            left_out: None,
            next,
        }
    }
}

impl Place {
    /// What becomes of the next bytes, of which there is at least one.
    fn run(self, bytes: &[u8]) -> io::Result<Run> {
        let run = match self {
            Self::Text(length) => text(length, bytes),
            Self::Opening(candidate, matched) => opening(candidate, matched, bytes[0]),
            Self::Tag(length, quote) => tag(length, quote, bytes),
            Self::Declaration(length, depth) => declaration(length, depth, bytes),
            Self::Raw(length, raw, last) => raw.run(length, last, bytes),
        };
        match run.next {
            Self::Tag(length, _) | Self::Declaration(length, _) if length > MAX_TAG => {
                let message = "a tag is longer than 1 MiB";
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
            _ => Ok(run),
        }
    }
}

fn text(length: usize, bytes: &[u8]) -> Run {
    let run = memchr(b'<', bytes).unwrap_or(bytes.len());
    if run == 0 {
        return Run::kept(1, Place::Opening(CDATA, 1));
    }
    Run {
        length: run,
        left_out: (length > MAX_TEXT).then_some(&[]),
        next: Place::Text(length + run),
    }
}

fn opening(candidate: &'static [u8], matched: usize, byte: u8) -> Run {
    let candidate = if matched == 2 && byte == b'-' {
        COMMENT
    } else {
        candidate
    };
    let next = match (candidate.get(matched) == Some(&byte), matched) {
        (true, _) if matched + 1 < candidate.len() => Place::Opening(candidate, matched + 1),
        (true, _) => Place::Raw(0, Raw::after(candidate), [0; 2]),
        (false, 1) if byte != b'?' => return Run::kept(0, Place::Tag(0, None)),
        (false, _) => return Run::kept(0, Place::Declaration(0, 0)),
    };
    Run::kept(1, next)
}

fn tag(length: usize, quote: Option<u8>, bytes: &[u8]) -> Run {
    let found = match quote {
        Some(quote) => memchr(quote, bytes),
        None => memchr3(b'>', b'"', b'\'', bytes),
    };
    let Some(at) = found else {
        return Run::kept(bytes.len(), Place::Tag(length + bytes.len(), quote));
    };
    let next = match (quote, bytes[at]) {
        (Some(_), _) => Place::Tag(length + at + 1, None),
        (None, b'>') => Place::Text(0),
        (None, opened) => Place::Tag(length + at + 1, Some(opened)),
    };
    Run::kept(at + 1, next)
}

fn declaration(length: usize, depth: usize, bytes: &[u8]) -> Run {
    let Some(at) = memchr2(b'<', b'>', bytes) else {
        return Run::kept(bytes.len(), Place::Declaration(length + bytes.len(), depth));
    };
    let next = match (bytes[at], depth.checked_sub(1)) {
        (b'<', _) => Place::Declaration(length + at + 1, depth + 1),
        (_, Some(depth)) => Place::Declaration(length + at + 1, depth),
        (_, None) => Place::Text(0),
    };
    Run::kept(at + 1, next)
}

impl Raw {
    const fn after(opening: &'static [u8]) -> Self {
        if opening.len() == COMMENT.len() {
            Self {
                end: b"-->",
                limit: 0,
            }
        } else {
            Self {
                end: b"]]>",
                limit: MAX_TEXT,
            }
        }
    }

    fn run(self, length: usize, last: [u8; 2], bytes: &[u8]) -> Run {
        let found = memchr(b'>', bytes);
        let before = &bytes[..found.unwrap_or(bytes.len())];
        let last = match before {
            [.., a, b] => [*a, *b],
            [b] => [last[1], *b],
            [] => last,
        };
        let ends = found.is_some() && last == self.end[..2];
        let run = before.len() + usize::from(found.is_some());
        let end: &[u8] = if ends { self.end } else { &[] };
        // After a `>` that ends nothing, the two bytes that count begin anew.
        let last = if found.is_some() { [0; 2] } else { last };
        Run {
            length: run,
            left_out: (length > self.limit || self.limit == 0).then_some(end),
            next: if ends {
                Place::Text(0)
            } else {
                Place::Raw(length + run, self, last)
            },
        }
    }
}

impl<R: BufRead> Shortened<R> {
    pub const fn new(input: R) -> Self {
        Self {
            input,
            place: Place::Text(0),
            kept: 0,
            insert: &[],
            line: 1,
        }
    }

    /// The line in which the reader stands, from 1.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Goes on to the next bytes that get through.
    fn advance(&mut self) -> io::Result<()> {
        while self.kept == 0 && self.insert.is_empty() {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let mut left_out = 0;
            while self.kept < bytes.len() {
                let run = self.place.run(&bytes[self.kept..])?;
                if let Some(instead) = run.left_out {
                    if self.kept == 0 {
                        (self.place, self.insert, left_out) = (run.next, instead, run.length);
                    }
                    break;
                }
                (self.place, self.kept) = (run.next, self.kept + run.length);
            }
            self.line += lines(&bytes[..left_out]);
            self.input.consume(left_out);
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Shortened<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Shortened<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.advance()?;
        if !self.insert.is_empty() {
            return Ok(self.insert);
        }
        let kept = self.kept;
        self.input.fill_buf().map(|bytes| &bytes[..kept])
    }

    fn consume(&mut self, amount: usize) {
        if !self.insert.is_empty() {
            self.insert = &self.insert[amount..];
            return;
        }
        // What is in the buffer can be looked at without reading.
        if amount > 0
            && let Ok(bytes) = self.input.fill_buf()
        {
            self.line += lines(&bytes[..amount]);
        }
        self.input.consume(amount);
        self.kept -= amount;
    }
}

fn lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn shortened(text: &[u8], buffer: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut input = Shortened::new(BufReader::with_capacity(buffer, text));
        input.read_to_end(&mut out).expect("read");
        assert_eq!(input.line(), lines(text) + 1);
        out
    }

    #[test]
    fn short_xml_gets_through_as_it_is_whatever_the_buffer() {
        let xml = b"<?xml version='1.0'?>\n<!DOCTYPE a [<!ELEMENT a (b)>]>\n<a b='>' c=\"'>\">t\
                    <![CDATA[]] > <b> ]]]>\n</a>";
        for buffer in 1..xml.len() {
            assert_eq!(shortened(xml, buffer), xml);
        }
    }

    #[test]
    fn comments_are_empty() {
        for buffer in 1..20 {
            assert_eq!(
                shortened(b"<a><!-- <b> -- \n --></a>", buffer),
                b"<a><!----></a>"
            );
        }
    }

    #[test]
    fn of_long_texts_the_beginning_gets_through() {
        let long = "]>x\n".repeat(1_000_000);
        let xml = format!("<a>{long}<b c='1'/>{long}<![CDATA[{long}]]></a>");
        for buffer in [1, 7, 4096] {
            let out = String::from_utf8(shortened(xml.as_bytes(), buffer)).expect("UTF-8");
            assert!(out.len() < 4 * MAX_TEXT, "{}", out.len());
            assert!(out.contains("<b c='1'/>") && out.ends_with("]]></a>"));
        }
    }

    #[test]
    fn a_tag_without_an_end_is_refused() {
        for opening in ["<a b='", "<a ", "<!DOCTYPE ", "<?"] {
            let endless = opening.as_bytes().chain(io::repeat(b'x'));
            let mut input = Shortened::new(BufReader::new(endless));
            let error = io::copy(&mut input, &mut io::sink()).expect_err("endless");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
