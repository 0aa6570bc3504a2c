//! The ways in which a secret may come to be written.

mod base64;
mod escaped;
mod quoted;

use std::collections::BTreeSet;

/// Shorter values would be masked in every other word; so would these.
const SHORTEST: usize = 4;
const TOO_COMMON: [&str; 2] = ["true", "false"];

/// A shorter line of a secret, or part of one, is not looked for on its own.
const SHORTEST_PART: usize = 8;

/// A shorter encoded form could be anything.
const SHORTEST_ENCODED: usize = 6;

/// Of a longer value as a whole only the commonest encodings are looked for, to bound what they take
/// of memory.
const LONG: usize = 2048;

/// Of a longer value not even the lines are looked for as others may escape them. The keys of RSA
/// with 16384 bits are shorter.
const VERY_LONG: usize = 16 * 1024;

/// All forms of this value. White space around them, and where they are broken into lines, do not
/// matter: [`super::needle::view`].
pub fn of(value: &str) -> BTreeSet<String> {
    let value = value.trim();
    let visible = value.split_whitespace().map(str::len).sum::<usize>();
    if visible < SHORTEST || TOO_COMMON.iter().any(|it| value.eq_ignore_ascii_case(it)) {
        return BTreeSet::new();
    }
    let mut forms = BTreeSet::new();
    for text in variants(value) {
        forms.extend(encoded(&text));
    }
    if value.len() <= LONG {
        forms.extend(base64::twice(value.as_bytes()));
        forms.extend(escaped::percent(&base64::alone(value.as_bytes())));
    }
    if value.len() <= VERY_LONG {
        forms.extend(parts(value).flat_map(escaped));
    }
    forms.retain(|form| form.len() >= SHORTEST_ENCODED);
    forms.extend(parts(value).map(str::to_owned));
    forms.insert(value.to_owned());
    forms
}

/// A value of several lines comes with other ends of lines, and in one line.
fn variants(value: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = value.lines().collect();
    let joined = ["\n", "\r\n", " "].map(|end| lines.join(end));
    joined.into_iter().chain([value.to_owned()]).collect()
}

/// Lines are printed on their own, and PowerShell parts a command at `&`.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let lines = value
        .lines()
        .flat_map(|line| line.split('&'))
        .map(str::trim);
    lines.filter(|part| part.len() >= SHORTEST_PART)
}

fn encoded(text: &str) -> Vec<String> {
    let mut forms = base64::forms(text.as_bytes());
    if text.len() <= LONG {
        forms.extend(escaped(text));
    } else {
        forms.extend(escaped::json(text));
    }
    forms
}

fn escaped(text: &str) -> Vec<String> {
    let mut forms = escaped::json(text);
    forms.extend(escaped::percent(text));
    forms.extend(escaped::xml(text));
    forms.extend(hex(text.as_bytes()));
    forms.extend(quoted::shell(text));
    forms.push(quoted::go(text));
    forms
}

fn hex(bytes: &[u8]) -> [String; 2] {
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let upper = lower.to_ascii_uppercase();
    [lower, upper]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_or_common_is_no_secret() {
        for value in ["", "abc", " a b c ", "true", "FALSE", "  True\n"] {
            assert!(of(value).is_empty(), "{value:?}");
        }
        assert!(of("abcd").contains("abcd"));
    }

    #[test]
    fn lines_and_parts_count_if_they_are_long_enough() {
        let forms = of("first line\nshort\nuser&password&x\n");
        assert!(forms.contains("first line") && forms.contains("password"));
        assert!(!forms.contains("short") && !forms.contains("user"));
    }

    #[test]
    fn the_lines_of_a_long_value_are_escaped() {
        let line = |n: usize| format!("{n:03}+b/c\"d'<{}", "x".repeat(48));
        let lines: Vec<String> = (0..50).map(line).collect();
        let key = lines.join("\n");
        assert!(key.len() > LONG);
        let forms = of(&key);
        for line in lines {
            for form in escaped(&line) {
                assert!(forms.contains(&form), "{form}");
            }
        }
    }

    #[test]
    fn a_long_value_has_few_forms() {
        let line = "+/0123456789abcdef'\"<>";
        for (long, most) in [
            ("0123456789abcdef".repeat(LONG), 20),
            (line.repeat(VERY_LONG / line.len()), 150),
            (line.repeat(VERY_LONG), 40),
        ] {
            let size: usize = of(&long).iter().map(String::len).sum();
            assert!(size < most * long.len(), "{size} of {}", long.len());
        }
    }
}
