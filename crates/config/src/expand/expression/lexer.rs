//! Cuts an expression into tokens.

use std::ops::Range;

use super::Fault;
use super::value::Value;

/// A token and its place in the expression.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) range: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    /// `pipeline.git.branch`
    Name(&'a str),
    And,
    Or,
    Not,
    /// `matches`
    Matches,
    Operator(Operator),
    Literal(Value),
    /// What stands between slashes.
    Regex(&'a str),
    Open,
    Close,
}

/// What compares two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    StartsWith,
}

/// Signs, the longer ones first.
const SIGNS: &[(&str, Kind<'static>)] = &[
    ("==", Kind::Operator(Operator::Equal)),
    ("!=", Kind::Operator(Operator::NotEqual)),
    ("<=", Kind::Operator(Operator::LessOrEqual)),
    (">=", Kind::Operator(Operator::MoreOrEqual)),
    ("<", Kind::Operator(Operator::Less)),
    (">", Kind::Operator(Operator::More)),
    ("(", Kind::Open),
    (")", Kind::Close),
];

/// The tokens of an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    let mut tokens = vec![];
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = token(&text[at..], first).map_err(|fault| fault.moved(at))?;
        let range = at..at + length;
        at = range.end;
        tokens.push(Token { kind, range });
    }
    Ok(tokens)
}

/// The token at the start of a text, and how long it is.
fn token(text: &str, first: char) -> Result<(Kind<'_>, usize), Fault> {
    if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| text.starts_with(sign)) {
        return Ok((kind.clone(), sign.len()));
    }
    match first {
        '"' | '\'' => {
            let (inside, length) = delimited(text, first)?;
            Ok((Kind::Literal(Value::Text(unescaped(inside))), length))
        }
        '/' => delimited(text, first).map(|(inside, length)| (Kind::Regex(inside), length)),
        '-' | '0'..='9' => number(text),
        _ if first.is_ascii_alphabetic() => {
            let length = length(text, |c| c.is_ascii_alphanumeric() || "_-./".contains(c));
            Ok((word(&text[..length]), length))
        }
        '=' => Err(Fault::new(0..1, "there is no operator `=`", "write `==`")),
        '&' | '|' => Err(Fault::new(
            0..1,
            format!("there is no operator `{first}`"),
            "write `and` or `or`",
        )),
        '!' => Err(Fault::new(0..1, "there is no operator `!`", "write `not`")),
        _ => Err(Fault::new(
            0..first.len_utf8(),
            format!("`{first}` cannot be here"),
            "put texts in quotes",
        )),
    }
}

fn word(word: &str) -> Kind<'_> {
    match word {
        "and" => Kind::And,
        "or" => Kind::Or,
        "not" => Kind::Not,
        "true" => Kind::Literal(Value::Boolean(true)),
        "false" => Kind::Literal(Value::Boolean(false)),
        "starts-with" => Kind::Operator(Operator::StartsWith),
        "matches" => Kind::Matches,
        name => Kind::Name(name),
    }
}

fn number(text: &str) -> Result<(Kind<'_>, usize), Fault> {
    let digits = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let sign = usize::from(text.starts_with('-'));
    let length = sign + length(&text[sign..], digits);
    let written = &text[..length];
    let integer = written.parse().map(Value::Integer).ok();
    let plain = !written.contains(|c: char| c.is_ascii_alphabetic());
    let float = || written.parse().map(Value::Float).ok().filter(|_| plain);
    let Some(value) = integer.or_else(float) else {
        let message = format!("`{written}` is no number");
        return Err(Fault::new(0..length, message, "put texts in quotes"));
    };
    Ok((Kind::Literal(value), length))
}

fn length(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// What stands between the mark at the start of a text and the next one without a backslash, and
/// how long it is with both.
fn delimited(text: &str, mark: char) -> Result<(&str, usize), Fault> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == mark => return Ok((&text[1..at], at + 1)),
            _ => {}
        }
    }
    let message = format!("the `{mark}` that opens here is never closed");
    let help = format!("add another `{mark}`");
    Err(Fault::new(0..1, message, help))
}

/// A text without the backslashes before quotes and backslashes.
fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('"' | '\'' | '\\')) => result.extend(chars.next()),
            _ => result.push(c),
        }
    }
    result
}
