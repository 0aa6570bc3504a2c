//! Texts in YAML: plain where nothing can take them for anything else, quoted or as blocks
//! otherwise.

/// How a text is written.
pub(super) enum Style {
    /// On the line of its key: plain or in quotes.
    Line(String),
    /// As a block: the header, and the lines without indentation.
    Block(String, Vec<String>),
}

/// Words that YAML 1.1 or 1.2 reads as booleans or nothing, in any case.
const WORDS: &[&str] = &[
    "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

/// The form of a value.
pub(super) fn value(text: &str) -> Style {
    let Some(lines) = block_lines(text) else {
        return Style::Line(line(text));
    };
    // Without a hint, a reader takes the spaces of the first line for indentation.
    let hint = if text.starts_with([' ', '\t', '\n']) {
        "2"
    } else {
        ""
    };
    let chomping = match text.bytes().rev().take_while(|byte| *byte == b'\n').count() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    Style::Block(format!("|{hint}{chomping}"), lines)
}

/// A text on one line.
pub(super) fn line(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else if text.contains(['"', '\\']) && text.chars().all(is_plain_char) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        double_quoted(text)
    }
}

/// The lines of a text that a block can hold exactly. Texts that begin or end with lines of
/// nothing but spaces are left to quotes: readers differ there.
fn block_lines(text: &str) -> Option<Vec<String>> {
    let blank = |line: &str| line.chars().all(|c| c == ' ' || c == '\t');
    let within = text.trim_end_matches('\n');
    let (first, last) = (within.split('\n').next()?, within.rsplit('\n').next()?);
    let fits = text.contains('\n')
        && text
            .chars()
            .all(|c| c == '\n' || c == '\t' || is_plain_char(c))
        && !blank(last)
        && (first.is_empty() || !blank(first));
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    fits.then(|| lines.map(str::to_owned).collect())
}

/// Whether no reader takes a text for anything but itself, without quotes.
fn is_plain(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || "_/$.(~".contains(c);
    text.starts_with(first)
        && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text != "~"
        && !looks_like_a_number(text)
        && !WORDS.contains(&text.trim_matches('.').to_ascii_lowercase().as_str())
}

/// Whether a text could be a number, a time or a date: `1.10`, `012`, `1e3`, `0x1f`, `1:20`,
/// `2001-12-14`, `1_000`, and versions such as `1.2.3`, which people read better in quotes too.
fn looks_like_a_number(text: &str) -> bool {
    let part = |c: char| c.is_ascii_hexdigit() || "xXoO_:.,+-tTzZ ".contains(c);
    text.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.chars().all(part)
}

/// Whether a character may stand as it is in a text on one line.
pub(super) fn is_plain_char(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            c if is_plain_char(c) => quoted.push(c),
            c if c <= '\u{ff}' => quoted += &format!("\\x{:02x}", u32::from(c)),
            c => quoted += &format!("\\u{:04x}", u32::from(c)),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_something_else_is_quoted() {
        let doubtful = [
            "",
            " ",
            "yes",
            "No",
            "ON",
            "off",
            "y",
            "n",
            "true",
            "FALSE",
            "null",
            "~",
            ".nan",
            ".inf",
            "=",
            "<<",
            "1",
            "1.10",
            "012",
            "0o17",
            "0x1F",
            "1e3",
            "1_000",
            "1:20",
            "190:20:30",
            "2001-12-14",
            "2001-12-14t21:59:43.10-05:00",
            "-1",
            "+1",
            ".5",
            " a",
            "a ",
            "a: b",
            "a #b",
            "a:",
            "- a",
            "-",
            "?",
            "@a",
            "`a",
            "%a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "'a",
            "\"a",
            "#a",
            "[a",
            "{a",
            "]",
            "}",
            ",",
            "a\tb",
            "ä",
            "😀",
            "\u{7f}",
            "\u{85}",
            "\u{feff}",
            "\0",
            "a\r",
        ];
        for text in doubtful {
            let written = line(text);
            assert!(
                written.starts_with(['"', '\'']),
                "{text:?} is written {written}"
            );
        }
    }

    #[test]
    fn what_is_clear_is_not_quoted() {
        let clear = [
            "test",
            "cimg/base:stable",
            "~/project",
            "10m",
            "/bin/bash -eo pipefail",
            "$HOME/x",
            "on_success",
            "echo a && echo b | cat > /dev/null",
            "it's",
            "v1.2.3",
            "nothing",
            "cargo test --workspace",
            "a#b",
            "a:b",
        ];
        for text in clear {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn lines_are_blocks() {
        let written = |text: &str| match value(text) {
            Style::Line(line) => line,
            Style::Block(header, lines) => format!("{header}:{}", lines.join("/")),
        };
        assert_eq!(written("a\nb"), "|-:a/b");
        assert_eq!(written("a\nb\n"), "|:a/b");
        assert_eq!(written("a\n\n\n"), "|+:a//");
        assert_eq!(written("  a\nb"), "|2-:  a/b");
        assert_eq!(written("\na"), "|2-:/a");
        assert_eq!(written("\n"), "\"\\n\"");
        assert_eq!(written("a\n  "), "\"a\\n  \"");
        assert_eq!(written("a\r\nb"), "\"a\\r\\nb\"");
    }
}
