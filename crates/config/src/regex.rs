//! Regular expressions as Java has them, which must match a whole text.

use std::fmt;
use std::sync::Arc;

use fancy_regex::RegexBuilder;

/// Bounds on one expression: it comes from a config, and may be made to take for ever.
const LONGEST: usize = 8 * 1024;
const LARGEST: usize = 256 * 1024;
const MOST_INSTRUCTIONS: usize = 20_000;
const MOST_BACKTRACKING: usize = 20_000;

/// A regular expression. Cheap to clone.
#[derive(Clone)]
pub struct Regex {
    text: Arc<str>,
    anchored: fancy_regex::Regex,
}

/// Why something cannot be said about a match: it takes too long to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHard;

impl Regex {
    /// Compiles an expression, or says in one line what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        // While it is read, each character takes some hundred bytes.
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        let mut builder = RegexBuilder::new(&format!("\\A(?:{})\\z", from_java(text)));
        builder
            .backtrack_limit(MOST_BACKTRACKING)
            .max_prog_size(MOST_INSTRUCTIONS)
            .delegate_size_limit(LARGEST)
            .delegate_dfa_size_limit(LARGEST)
            .delegate_dfa_skip_cache_capacity_check(false);
        match builder.build() {
            Ok(anchored) => Ok(Self {
                text: text.into(),
                anchored,
            }),
            Err(error) => Err(reason(text, &error)),
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of a text matches.
    pub fn matches(&self, text: &str) -> Result<bool, TooHard> {
        self.anchored.is_match(text).map_err(|_| TooHard)
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Classes of characters, which in Java are those of ASCII. That also keeps expressions small.
const CLASSES: &[(char, &str)] = &[
    ('d', "0-9"),
    ('w', "a-zA-Z0-9_"),
    ('s', " \\t\\n\\x0B\\f\\r"),
];

/// The same expression, where Java says something else by it.
fn from_java(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut brackets = 0_usize;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escape = rest.strip_prefix('\\');
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            result.push_str(&fancy_regex::escape(literal));
            rest = after;
            continue;
        }
        match escape.and_then(|rest| rest.chars().next()) {
            Some(letter) => {
                result.push_str(&escaped(letter, brackets > 0));
                rest = &rest[1 + letter.len_utf8()..];
            }
            None => {
                brackets += usize::from(first == '[');
                brackets = brackets.saturating_sub(usize::from(first == ']'));
                result.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    result
}

/// A letter behind a backslash.
fn escaped(letter: char, in_brackets: bool) -> String {
    let class = |letter: char| CLASSES.iter().find(|(name, _)| *name == letter);
    match (class(letter), class(letter.to_ascii_lowercase())) {
        (Some((_, class)), _) if in_brackets => (*class).to_owned(),
        (Some((_, class)), _) => format!("[{class}]"),
        (None, Some((_, class))) => format!("[^{class}]"),
        (None, None) => format!("\\{letter}"),
    }
}

/// What is wrong, as a fragment: of an error in several lines the last one says it.
fn reason(text: &str, error: &fancy_regex::Error) -> String {
    // Places in the text as it stands are those that people find.
    let as_it_stands = fancy_regex::Regex::new(text).err();
    let message = as_it_stands.as_ref().unwrap_or(error).to_string();
    let last = message.lines().last().unwrap_or(&message).trim();
    last.strip_prefix("error: ").unwrap_or(last).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(regex: &str, text: &str) -> bool {
        Regex::new(regex).unwrap().matches(text).unwrap()
    }

    #[test]
    fn the_whole_text_must_match() {
        assert!(matches("main|main-.*", "main-2"));
        assert!(!matches("main", "main-2"));
        assert!(!matches("main", "a-main"));
        assert!(!matches("main$", "main\n"));
        assert!(matches("^v[0-9]+$", "v12"));
    }

    #[test]
    fn what_java_has_works() {
        assert!(matches("^(?!main$).*", "mainline"));
        assert!(!matches("^(?!main$).*", "main"));
        assert!(matches(r"release\/\d+\.\d+", "release/1.20"));
        assert!(matches(r"(a+)-\1", "aa-aa"));
        assert!(matches(r"(?i)HOTFIX\_\w+\-x", "hotfix_a1-x"));
        assert!(matches(r"a++b", "aab"));
    }

    #[test]
    fn what_java_reads_otherwise_is_read_as_in_java() {
        assert!(matches(r"\d+\s\w+", "12 ab"));
        assert!(!matches(r"\d", "٣"));
        assert!(!matches(r"\w", "é"));
        assert!(matches(r"\W[\W\d]\D", "é1é"));
        assert!(matches(r"[\w.-]+/[^\d]", "a.b-c/x"));
        assert!(matches(r"\Qa.b*\E\\c", r"a.b*\c"));
        assert!(!matches(r"\Qa.b\E", "axb"));
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        for wrong in ["(", "[a", "*", "(?<a", r"\p{Nothing}"] {
            let reason = Regex::new(wrong).unwrap_err();
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        }
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let regex = Regex::new(r"(?=(a|aa)+$)(a|a)+\1b").unwrap();
        assert_eq!(regex.matches(&"a".repeat(60)), Err(TooHard));
        assert!(Regex::new(&"(?=\\pL{500})".repeat(500)).is_err());
        assert!(Regex::new(&"a".repeat(LONGEST / 8)).is_ok());
        assert!(Regex::new(&"a".repeat(LONGEST + 1)).is_err());
    }
}
