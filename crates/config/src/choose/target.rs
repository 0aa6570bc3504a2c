//! What a pipeline runs for, and which filters it passes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use crate::PipelineValues;
use crate::expanded::{Filters, Rule};
use crate::pattern::Pattern;

/// What a pipeline runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Branch(&'a str),
    Tag(&'a str),
    /// Neither is known: then only what runs on no branch is left out.
    Unknown,
}

impl<'a> Target<'a> {
    pub(super) fn of(values: &'a PipelineValues) -> Self {
        let given = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        match (given(&values.git_tag), given(&values.git_branch)) {
            (Some(tag), _) => Self::Tag(tag),
            (None, Some(branch)) => Self::Branch(branch),
            (None, None) => Self::Unknown,
        }
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(branch) => write!(f, "the branch `{branch}`"),
            Self::Tag(tag) => write!(f, "the tag `{tag}`"),
            Self::Unknown => f.write_str("an unknown branch"),
        }
    }
}

/// A pattern that takes too long.
#[derive(Debug)]
pub(super) struct TooHard(pub(super) String);

/// Filters, tried on one target.
pub(super) struct Sieve<'a> {
    pub(super) target: Target<'a>,
    /// What patterns said about the target: most stand in many jobs.
    known: RefCell<HashMap<String, bool>>,
}

impl<'a> Sieve<'a> {
    pub(super) fn new(target: Target<'a>) -> Self {
        Self {
            target,
            known: RefCell::default(),
        }
    }

    /// Whether a job with these filters runs.
    pub(super) fn passes(&self, filters: &Filters) -> Result<bool, TooHard> {
        let (branches, tags) = match filters {
            Filters::Expression { holds, .. } => return Ok(*holds),
            Filters::Rules { branches, tags } => (branches, tags),
        };
        match (self.target, branches, tags) {
            (Target::Branch(branch), Some(rule), _) => self.fits(rule, branch),
            // What is ignored whatever the name is runs on no branch at all.
            (Target::Unknown, Some(Rule { only: None, ignore }), _) => {
                let ignore = ignore.as_deref().unwrap_or_default();
                self.any(ignore, "").map(|ignored| !ignored)
            }
            (Target::Branch(_), None, _) | (Target::Unknown, ..) => Ok(true),
            // A rule that says nothing is none.
            (Target::Tag(tag), _, Some(rule)) if rule.only.is_some() || rule.ignore.is_some() => {
                self.fits(rule, tag)
            }
            (Target::Tag(_), ..) => Ok(false),
        }
    }

    fn fits(&self, rule: &Rule, name: &str) -> Result<bool, TooHard> {
        match (&rule.only, &rule.ignore) {
            (Some(only), _) => self.any(only, name),
            (None, Some(ignore)) => self.any(ignore, name).map(|ignored| !ignored),
            (None, None) => Ok(true),
        }
    }

    fn any(&self, patterns: &[Pattern], name: &str) -> Result<bool, TooHard> {
        for pattern in patterns {
            if self.matches(pattern, name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches(&self, pattern: &Pattern, name: &str) -> Result<bool, TooHard> {
        let text = pattern.as_str();
        if let Some(known) = self.known.borrow().get(text) {
            return Ok(*known);
        }
        let fits = pattern.fits(name).map_err(|_| TooHard(text.to_owned()))?;
        self.known.borrow_mut().insert(text.to_owned(), fits);
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::Regex;

    fn patterns(texts: &[&str]) -> Option<Vec<Pattern>> {
        Some(texts.iter().map(|text| Pattern::name(*text)).collect())
    }

    fn passes(target: Target<'_>, branches: Option<Rule>, tags: Option<Rule>) -> bool {
        let filters = Filters::Rules { branches, tags };
        Sieve::new(target).passes(&filters).unwrap()
    }

    #[test]
    fn only_beats_ignore() {
        let both = Rule {
            only: patterns(&["main"]),
            ignore: patterns(&["main", "dev"]),
        };
        assert!(passes(Target::Branch("main"), Some(both.clone()), None));
        assert!(!passes(Target::Branch("other"), Some(both), None));
    }

    #[test]
    fn tags_need_a_rule_and_branches_do_not() {
        let rule = || Rule {
            only: patterns(&["v1"]),
            ignore: None,
        };
        assert!(passes(Target::Branch("main"), None, Some(rule())));
        assert!(passes(Target::Tag("v1"), Some(rule()), Some(rule())));
        assert!(!passes(Target::Tag("v1"), Some(rule()), None));
        assert!(!passes(Target::Tag("v1"), None, Some(Rule::default())));
    }

    #[test]
    fn what_is_not_known_leaves_nothing_out() {
        let rule = Rule {
            only: patterns(&["main"]),
            ignore: None,
        };
        assert!(passes(Target::Unknown, Some(rule), None));
        let ignore = |text: &str| Rule {
            only: None,
            ignore: Some(vec![Pattern::regex(text, Regex::new(text).unwrap())]),
        };
        assert!(passes(Target::Unknown, Some(ignore("release/.*")), None));
        assert!(!passes(Target::Unknown, Some(ignore(".*")), None));
    }
}
