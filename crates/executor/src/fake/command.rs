//! The language of fake scripts.

use std::time::Duration;

use bytes::Bytes;

/// One line of a script. Empty lines and those that start with `#` do nothing. After the last line
/// a script ends with code 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `print TEXT`: writes the text and a newline. A line that is no command is written as it
    /// stands, too: nothing of a script is lost without a trace.
    Print(&'a str),
    /// `write TEXT`: writes the text without a newline.
    Write(&'a str),
    /// `hex 00ff`: writes these bytes.
    Hex(Vec<u8>),
    /// `bytes COUNT`: writes that many bytes, the letters from a to z again and again.
    Bytes(usize),
    /// `env NAME`: writes the variable's value and a newline.
    Env(&'a str),
    /// `pwd`: writes the working directory and a newline.
    Pwd,
    /// `sleep 250ms`, `sleep 2s`: goes on after that time.
    Sleep(Duration),
    /// `hang`: never goes on.
    Hang,
    /// `ignore-term`: from here on `stop` ends it only after the grace.
    IgnoreTerm,
    /// `on-term CODE`: from here on it ends with this code when `stop` is called.
    OnTerm(i32),
    /// `exit CODE`: ends here.
    Exit(i32),
    /// `signal NUMBER`: ends here as if by this signal.
    Signal(i32),
    /// Nothing.
    Nothing,
}

impl<'a> Command<'a> {
    /// The command on a line. What looks like one with a wrong argument is text.
    pub fn parse(line: &'a str) -> Self {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        let parsed = match (word, rest) {
            ("", "") => Some(Self::Nothing),
            ("print", text) => Some(Self::Print(text)),
            ("write", text) => Some(Self::Write(text)),
            ("hex", digits) => parse_hex(digits).map(Self::Hex),
            ("bytes", count) => count.parse().ok().map(Self::Bytes),
            ("env", name) if !name.is_empty() => Some(Self::Env(name)),
            ("pwd", "") => Some(Self::Pwd),
            ("sleep", time) => parse_duration(time).map(Self::Sleep),
            ("hang", "") => Some(Self::Hang),
            ("ignore-term", "") => Some(Self::IgnoreTerm),
            ("on-term", code) => code.parse().ok().map(Self::OnTerm),
            ("exit", code) => code.parse().ok().map(Self::Exit),
            ("signal", number) => number.parse().ok().map(Self::Signal),
            _ if word.starts_with('#') => Some(Self::Nothing),
            _ => None,
        };
        parsed.unwrap_or(Self::Print(line))
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) {
        pairs.map(byte).collect()
    } else {
        None
    }
}

const PERIOD: usize = 26;
const BLOCK: usize = PERIOD * 2520;
static LETTERS: [u8; BLOCK] = {
    let mut letters = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        letters[at] = b'a' + (at % PERIOD) as u8;
        at += 1;
    }
    letters
};

/// What `bytes COUNT` writes, in pieces that cost nothing.
pub(super) fn letters(count: usize) -> impl Iterator<Item = Bytes> {
    (0..count)
        .step_by(BLOCK)
        .map(move |at| Bytes::from_static(&LETTERS[..BLOCK.min(count - at)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_what_is_none() {
        for (line, expected) in [
            ("print hello  world", Command::Print("hello  world")),
            ("  exit 3", Command::Exit(3)),
            ("exit", Command::Print("exit")),
            ("sleep 250ms", Command::Sleep(Duration::from_millis(250))),
            ("sleep 2s", Command::Sleep(Duration::from_secs(2))),
            ("sleep 2", Command::Print("sleep 2")),
            ("hex 00fF", Command::Hex(vec![0, 255])),
            ("hex 0", Command::Print("hex 0")),
            ("bytes 12", Command::Bytes(12)),
            ("hang", Command::Hang),
            ("", Command::Nothing),
            ("# print", Command::Nothing),
            ("cargo test", Command::Print("cargo test")),
        ] {
            assert_eq!(Command::parse(line), expected, "{line}");
        }
    }

    #[test]
    fn letters_go_on_across_pieces() {
        let all: Vec<u8> = letters(BLOCK + 30).flatten().collect();
        assert_eq!(all.len(), BLOCK + 30);
        assert!(
            all.iter()
                .enumerate()
                .all(|(at, &byte)| byte == b'a' + (at % 26) as u8)
        );
        assert_eq!(letters(0).count(), 0);
    }
}
