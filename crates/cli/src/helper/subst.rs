//! `circleci env subst`

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;

use super::names::Names;
use crate::failure::{Failure, code};

#[derive(Args)]
pub struct SubstArgs {
    /// The text; without it, it is read from stdin.
    text: Option<OsString>,
}

/// Prints the text.
pub fn run(args: SubstArgs) -> Result<ExitCode, Failure> {
    let text = match args.text {
        Some(text) => [text.as_bytes(), b"\n"].concat(),
        None => Names::read_stdin()?.into_bytes(),
    };
    let lookup = |name: &[u8]| {
        Some(
            std::env::var_os(OsStr::from_bytes(name))?
                .as_bytes()
                .to_vec(),
        )
    };
    let filled = fill_in(&text, &lookup).map_err(|why| {
        Failure::new(code::FAILED, why).advise("Write a dollar sign that is one as `$$`.")
    })?;
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&filled).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::cannot_write("stdout", error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

type Lookup<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// The text with its variables in place. One that is not set is empty.
fn fill_in(text: &[u8], lookup: Lookup<'_>) -> Result<Vec<u8>, String> {
    let mut filled = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        filled.extend(&rest[..at]);
        rest = match &rest[at + 1..] {
            [b'$', after @ ..] => {
                filled.push(b'$');
                after
            }
            [b'{', inside @ ..] => {
                let end = closing(inside)
                    .ok_or_else(|| format!("`${{{}` has no end", start_of(inside)))?;
                filled.extend(expression(&inside[..end], lookup)?);
                &inside[end + 1..]
            }
            after => {
                let (name, after) = after.split_at(name_length(after));
                if name.is_empty() {
                    filled.push(b'$');
                } else {
                    filled.extend(lookup(name).unwrap_or_default());
                }
                after
            }
        };
    }
    filled.extend(rest);
    Ok(filled)
}

/// What stands in `${…}`: a name, and perhaps what to take in its place. With a colon before it an
/// empty value counts as none.
fn expression(inside: &[u8], lookup: Lookup<'_>) -> Result<Vec<u8>, String> {
    let (name, rest) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err(format!("`${{{}}}` names no variable", start_of(inside)));
    }
    let value = lookup(name);
    let (value, operator) = match rest {
        [b':', operator @ ..] => (value.filter(|value| !value.is_empty()), operator),
        operator => (value, operator),
    };
    match (operator, value) {
        ([], value) => Ok(value.unwrap_or_default()),
        ([b'-' | b'=', ..], Some(value)) => Ok(value),
        ([b'-' | b'=', default @ ..], None) => fill_in(default, lookup),
        ([b'+', other @ ..], Some(_)) => fill_in(other, lookup),
        ([b'+', ..], None) => Ok(Vec::new()),
        _ => Err(format!("`${{{}}}` cannot be read", start_of(inside))),
    }
}

fn name_length(text: &[u8]) -> usize {
    let length = text
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    let length = length.unwrap_or(text.len());
    if text.first().is_some_and(u8::is_ascii_digit) {
        0
    } else {
        length
    }
}

/// Where the brace stands that closes one before the text.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'$' if text.get(at + 1) == Some(&b'{') => {
                depth += 1;
                bytes.next();
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Enough of it to find it, and no more: there may be secrets in what follows.
fn start_of(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(20)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let lookup = |name: &[u8]| match name {
            b"A" => Some(b"1".to_vec()),
            b"_B2" => Some(b"$A".to_vec()),
            b"EMPTY" => Some(Vec::new()),
            _ => None,
        };
        fill_in(text.as_bytes(), &lookup).map(|text| String::from_utf8(text).expect("UTF-8"))
    }

    #[test]
    fn variables_are_filled_in_once() {
        for (text, expected) in [
            ("$A ${A} $A$A-$_B2", "1 1 11-$A"),
            ("$NO|${NO}|", "||"),
            ("$$A $$$A $ 5$ $1 $-", "$A $1 $ 5$ $1 $-"),
            ("${NO:-x} ${EMPTY:-x} ${EMPTY-x} ${A:-x}", "x x  1"),
            ("${NO=x}${NO:=y}", "xy"),
            ("${A:+x}${NO:+x}${EMPTY+x}${EMPTY:+y}", "xx"),
            ("${NO:-${NO:-{$A}}}", "{1}"),
            ("ä{A}", "ä{A}"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, part) in [
            ("a ${A", "`${A` has no end"),
            ("${}", "names no variable"),
            ("${1}", "names no variable"),
            ("${A%x}", "`${A%x}` cannot be read"),
        ] {
            let error = filled(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}
