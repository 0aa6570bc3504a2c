//! Shells' and Go's quotes: what stands between them.

use std::fmt::Write;

use super::escaped::replace_all;

/// As `set -x`, `printf %q` and `${x@Q}` of shells print it: between single quotes, between `$'` and
/// `'`, and with backslashes.
pub fn shell(text: &str) -> Vec<String> {
    vec![
        replace_all(text, &[("'", "'\\''")]),
        replace_all(text, &[("'", "'\"'\"'")]),
        dollar_quoted(text, false),
        dollar_quoted(text, true),
        backslashed(text, "_-./:=@%+~#"),
        backslashed(text, "_-./:@%+,"),
        replace_all(
            text,
            &[("\\", "\\\\"), ("\"", "\\\""), ("$", "\\$"), ("`", "\\`")],
        ),
        replace_all(
            text,
            &[("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\t", "\\t")],
        ),
        text.replace('\n', "\\n"),
    ]
}

/// Between `$'` and `'`. In the C locale what is not ASCII is octal.
fn dollar_quoted(text: &str, is_c_locale: bool) -> String {
    let mut quoted = String::new();
    for letter in text.chars() {
        match letter {
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0b' => quoted.push_str("\\v"),
            '\x0c' => quoted.push_str("\\f"),
            '\x1b' => quoted.push_str("\\E"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' | '\'' => quoted.extend(['\\', letter]),
            ' '..='~' => quoted.push(letter),
            _ if !letter.is_control() && !is_c_locale => quoted.push(letter),
            _ => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    _ = write!(quoted, "\\{byte:03o}");
                }
            }
        }
    }
    quoted
}

/// A backslash before all ASCII but letters, digits, and these.
fn backslashed(text: &str, plain: &str) -> String {
    let mut quoted = String::new();
    for letter in text.chars() {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() && !plain.contains(letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted
}

/// As Go's `%q` prints it.
pub fn go(text: &str) -> String {
    let mut quoted = String::new();
    for letter in text.chars() {
        _ = match letter {
            '\x07' => write!(quoted, "\\a"),
            '\x08' => write!(quoted, "\\b"),
            '\x0b' => write!(quoted, "\\v"),
            '\x0c' => write!(quoted, "\\f"),
            '\n' => write!(quoted, "\\n"),
            '\r' => write!(quoted, "\\r"),
            '\t' => write!(quoted, "\\t"),
            '\\' | '"' => write!(quoted, "\\{letter}"),
            _ if letter.is_ascii_control() => write!(quoted, "\\x{:02x}", u32::from(letter)),
            _ => write!(quoted, "{letter}"),
        };
    }
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Signs of all kinds, with spaces within and between them.
    const VALUES: [&str; 5] = [
        "it's $a `b` \"c\" \\d; e&f|g <h> (i) [j] {k} *l? !m #n ~o ^p",
        "a:b=c@d%e+f,g.h/i-j_k^l~m#n",
        "#~start",
        "two\nlines\tand 'a\\ tab\x1b[1mbold\x07",
        "grüße, 'ihr' 😀",
    ];

    #[test]
    fn whatever_bash_prints_is_a_form() {
        let script = "printf '%q\\n' \"$1\"; echo \"${1@Q}\"; set -x; : \"$1\"";
        for locale in ["C", "C.UTF-8"] {
            for value in VALUES {
                let mut bash = Command::new("bash");
                let bash = bash
                    .args(["-c", script, "bash", value])
                    .env("LC_ALL", locale);
                let output = bash.output().unwrap();
                let printed = [output.stdout, output.stderr].concat();
                let printed = String::from_utf8_lossy(&printed).into_owned();
                let forms = [shell(value), vec![value.to_owned()]].concat();
                let found = forms
                    .iter()
                    .map(|form| printed.matches(form.as_str()).count());
                assert!(found.sum::<usize>() >= 3, "{locale} {printed} {forms:#?}");
            }
        }
    }

    #[test]
    fn go_quotes() {
        assert_eq!(go("a\"\\\n\x1b'é"), "a\\\"\\\\\\n\\x1b'é");
    }
}
