//! Bytes of any declared encoding to UTF-8.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, UTF_8};
use memchr::memmem;

/// How far from its beginning a file's encoding is looked for.
const HEAD: usize = 1024;
/// How many bytes are decoded at once. No encoding makes more than three bytes of one.
const INPUT: usize = 32 * 1024;
const OUTPUT: usize = 3 * INPUT + 16;

/// Reads text as UTF-8. What no character stands for becomes `�`.
pub(super) struct Decoded<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` was consumed.
    consumed: usize,
    ended: bool,
}

impl<R: Read> Decoded<R> {
    /// Reads the beginning, to find the encoding. Tells the name of one that nobody knows.
    pub fn open(mut input: R) -> io::Result<(Self, Option<String>)> {
        let mut raw = Vec::with_capacity(INPUT);
        input.by_ref().take(HEAD as u64).read_to_end(&mut raw)?;
        let (encoding, unknown) = encoding_of(&raw);
        let mut decoded = Self {
            input,
            decoder: encoding.new_decoder(),
            raw,
            text: Vec::with_capacity(OUTPUT),
            consumed: 0,
            ended: false,
        };
        decoded.decode(false);
        Ok((decoded, unknown))
    }

    /// Makes text of all that was read.
    fn decode(&mut self, last: bool) {
        self.text.resize(OUTPUT, 0);
        let (_, _, written, _) = self.decoder.decode_to_utf8(&self.raw, &mut self.text, last);
        self.text.truncate(written);
        self.consumed = 0;
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.consumed == self.text.len() && !self.ended {
            self.raw.clear();
            let read = self
                .input
                .by_ref()
                .take(INPUT as u64)
                .read_to_end(&mut self.raw)?;
            self.ended = read == 0;
            self.decode(self.ended);
        }
        Ok(&self.text[self.consumed..])
    }

    fn consume(&mut self, amount: usize) {
        self.consumed += amount;
    }
}

/// What the file says: a byte order mark, a form that only UTF-16 has, or its declaration.
fn encoding_of(head: &[u8]) -> (&'static Encoding, Option<String>) {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return (encoding, None);
    }
    match head {
        [b'<', 0, ..] => return (encoding_rs::UTF_16LE, None),
        [0, b'<', ..] => return (encoding_rs::UTF_16BE, None),
        _ => {}
    }
    let Some(label) = declared(head) else {
        return (UTF_8, None);
    };
    match Encoding::for_label(label) {
        // Where the declaration can be read byte by byte, the rest can be too.
        Some(encoding) => (encoding.output_encoding(), None),
        None => (UTF_8, Some(String::from_utf8_lossy(label).into_owned())),
    }
}

/// The encoding in `<?xml version="1.0" encoding="…"?>`.
fn declared(head: &[u8]) -> Option<&[u8]> {
    let head = head.strip_prefix(b"<?xml")?;
    let declaration = &head[..memmem::find(head, b"?>")?];
    let after = &declaration[memmem::find(declaration, b"encoding")? + "encoding".len()..];
    let value = after
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let end = memchr::memchr(*quote, value)?;
    Some(&value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (String, Option<String>) {
        let (mut decoded, unknown) = Decoded::open(bytes).expect("opened");
        let mut text = String::new();
        decoded.read_to_string(&mut text).expect("UTF-8");
        (text, unknown)
    }

    #[test]
    fn the_declared_encoding_is_read() {
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a b='\xe9'/>";
        assert!(decoded(latin).0.ends_with("<a b='é'/>"));
        let (text, unknown) = decoded(b"<?xml encoding=\"klingon\"?><a b='\xe9'/>");
        assert!(text.ends_with("<a b='�'/>"));
        assert_eq!(unknown.as_deref(), Some("klingon"));
    }

    #[test]
    fn utf_16_is_known_by_its_bytes_and_not_by_what_it_says() {
        let text = "<?xml version=\"1.0\" encoding=\"utf-16\"?><a b='é'/>";
        assert_eq!(decoded(text.as_bytes()).0, text);
        for mark in [true, false] {
            let units = mark
                .then_some(0xfeff)
                .into_iter()
                .chain(text.encode_utf16());
            let units: Vec<u16> = units.collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            assert_eq!(decoded(&little).0, text);
            assert_eq!(decoded(&big).0, text);
        }
    }

    #[test]
    fn characters_on_the_border_of_two_reads_are_whole() {
        let text = "é€😀".repeat(50_000);
        assert_eq!(decoded(text.as_bytes()).0, text);
    }
}
