//! Orbs that could not be had: what was tried, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

use outrider_config::OrbReference;

use crate::hash::ContentHash;
use crate::source::Directory;

/// An orb that could not be had. It prints as several lines: what is wrong, and what was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// As the config names it.
    pub reference: OrbReference,
    /// The version that the lock file holds it to, if another text than the reference.
    pub locked: Option<OrbReference>,
    /// What is wrong.
    pub problem: Problem,
    /// Who was asked, in this order.
    pub tried: Vec<Tried>,
    /// The folder that could hold it: one that was named, or one to name.
    pub folder: PathBuf,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nobody has it.
    NotFound,
    /// The last that was tried has it, and it must not be used.
    Unusable,
    /// It holds something else than when it was locked.
    Changed {
        /// What the lock file says.
        locked: ContentHash,
        /// What was found.
        found: ContentHash,
    },
}

/// Somebody who was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Who.
    pub source: String,
    /// With which result, as a fragment.
    pub result: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.source, self.result)
    }
}

impl std::error::Error for Unresolved {}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the orb {}", self.reference)?;
        if let Some(locked) = &self.locked {
            write!(f, ", locked at {locked},")?;
        }
        match &self.problem {
            Problem::NotFound => f.write_str(" is not at hand")?,
            Problem::Unusable => f.write_str(" cannot be used")?,
            Problem::Changed { locked, found } => {
                write!(
                    f,
                    " has changed: the lock file says {locked}, and it is now {found}"
                )?;
            }
        }
        for tried in &self.tried {
            write!(f, "\n  - {tried}")?;
        }
        Ok(())
    }
}

impl Unresolved {
    /// What to do.
    pub fn advice(&self) -> String {
        match (&self.problem, self.wanted()) {
            (Problem::Changed { .. }, _) => {
                "if the new text is what you want, accept it with --update-orbs".to_owned()
            }
            (Problem::Unusable, OrbReference::Registry { .. }) => {
                "mend it, or take it away so that the next source is asked".to_owned()
            }
            (Problem::Unusable, OrbReference::Url(_)) => {
                "mend what lies there, or name another URL in the config".to_owned()
            }
            (Problem::NotFound, OrbReference::Url(url)) => format!(
                "allow it with --orb-url-prefix {}, and connect once: then the lock file and the \
                 cache hold it",
                folder_of(url)
            ),
            (Problem::NotFound, reference) => self.supply(reference),
        }
    }

    fn wanted(&self) -> &OrbReference {
        self.locked.as_ref().unwrap_or(&self.reference)
    }

    fn supply(&self, reference: &OrbReference) -> String {
        let path = Directory::place(&self.folder, reference).unwrap_or_default();
        let folder = self.folder.display();
        let mut advice = format!(
            "put its source at {} and say --orbs {folder}, or connect once: then the lock file and \
             the cache hold it",
            path.display()
        );
        if self.locked.is_some() {
            advice.push_str("; --update-orbs takes another version");
        }
        advice
    }
}

/// The folder to suggest where none was named.
pub fn suggested_folder(named: Option<&Path>) -> PathBuf {
    named.unwrap_or(Path::new("orbs")).to_owned()
}

/// A URL up to its last slash.
fn folder_of(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    match path.rfind('/') {
        Some(at) if at >= "https://x".len() => &path[..=at],
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unresolved(reference: &str, problem: Problem) -> Unresolved {
        Unresolved {
            reference: reference.parse().unwrap(),
            locked: None,
            problem,
            tried: vec![Tried {
                source: "the registry https://circleci.com".to_owned(),
                result: "cannot be reached: no route".to_owned(),
            }],
            folder: suggested_folder(None),
        }
    }

    #[test]
    fn says_what_was_tried_and_both_ways_to_supply_it() {
        let error = unresolved("circleci/node@5.1.0", Problem::NotFound);
        assert_eq!(
            error.to_string(),
            "the orb circleci/node@5.1.0 is not at hand\n  \
             - the registry https://circleci.com cannot be reached: no route"
        );
        let advice = error.advice();
        assert!(
            advice.contains("orbs/circleci/node/5.1.0.yml and say --orbs orbs"),
            "{advice}"
        );
        assert!(advice.contains("connect once"), "{advice}");
    }

    #[test]
    fn a_locked_one_names_the_version_and_the_way_to_another() {
        let mut error = unresolved("circleci/node@5", Problem::NotFound);
        error.locked = Some("circleci/node@5.1.3".parse().unwrap());
        assert!(
            error.to_string().contains("locked at circleci/node@5.1.3"),
            "{error}"
        );
        let advice = error.advice();
        assert!(
            advice.contains("node/5.1.3.yml") && advice.contains("--update-orbs"),
            "{advice}"
        );
    }

    #[test]
    fn a_url_names_the_prefix_that_would_allow_it() {
        for (url, prefix) in [
            ("https://a.test/orbs/x.yml?v=1", "https://a.test/orbs/"),
            ("https://a.test", "https://a.test"),
        ] {
            let advice = unresolved(url, Problem::NotFound).advice();
            assert!(
                advice.contains(&format!("--orb-url-prefix {prefix},")),
                "{advice}"
            );
        }
    }
}
