//! Regular expressions as Java has them, which must match a whole text.

use std::fmt;

use fancy_regex::RegexBuilder;

/// Bounds on one expression: it comes from a config, and may be made to take for ever.
const LARGEST: usize = 1024 * 1024;
const MOST_INSTRUCTIONS: usize = 20_000;
const MOST_BACKTRACKING: usize = 20_000;

/// A regular expression. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Regex {
    anchored: fancy_regex::Regex,
}

/// Why something cannot be said about a match: it takes too long to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooHard;

impl Regex {
    /// Compiles an expression, or says in one line what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(&format!("\\A(?:{text})\\z"));
        builder
            .backtrack_limit(MOST_BACKTRACKING)
            .max_prog_size(MOST_INSTRUCTIONS)
            .delegate_size_limit(LARGEST)
            .delegate_dfa_size_limit(LARGEST)
            .delegate_dfa_skip_cache_capacity_check(false);
        match builder.build() {
            Ok(anchored) => Ok(Self { anchored }),
            Err(error) => Err(reason(text, &error)),
        }
    }

    /// As written.
    pub(crate) fn as_str(&self) -> &str {
        let anchored = self.anchored.as_str();
        &anchored["\\A(?:".len()..anchored.len() - ")\\z".len()]
    }

    /// Whether the whole of a text matches.
    pub(crate) fn matches(&self, text: &str) -> Result<bool, TooHard> {
        self.anchored.is_match(text).map_err(|_| TooHard)
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
        assert!(Regex::new(&"(?=\\w{500})".repeat(500)).is_err());
    }
}
