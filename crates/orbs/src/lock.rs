//! The lock file: which version each reference stands for, and what that version holds. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use outrider_config::OrbReference;
use serde::Deserialize;
use toml::Spanned;

use crate::hash::ContentHash;
use crate::version::fits;

/// The schema of the file.
const SCHEMA: u32 = 1;

const HEADER: &str = "\
# The orbs of this folder's configs: which version each reference stands for, and what it holds.
# Written by Outrider. Commit it, so that every compilation uses the same orbs; --update-orbs asks
# for newer ones.
";

/// What is locked, by how configs name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<OrbReference, Locked>,
}

/// What a reference stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The version, as exactly as there is one.
    pub resolved: OrbReference,
    /// The hash of its text.
    pub hash: ContentHash,
}

/// A lock file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct LockError {
    /// Where, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, as a fragment.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u32,
    #[serde(default)]
    orb: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    reference: String,
    resolved: String,
    hash: String,
}

/// What every schema has, so that a newer one is known as such.
#[derive(Deserialize)]
struct Schema {
    version: u32,
}

impl Lock {
    /// What a reference stands for.
    pub fn get(&self, reference: &OrbReference) -> Option<&Locked> {
        self.entries.get(reference)
    }

    /// Locks a reference.
    pub fn insert(&mut self, reference: OrbReference, locked: Locked) {
        self.entries.insert(reference, locked);
    }

    /// Whether nothing is locked.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads a lock file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let wrong = |error: toml::de::Error| LockError {
            line: error.span().map(|span| line(text, span.start)),
            problem: error.message().replace('\n', " "),
        };
        let Schema { version } = toml::from_str(text).map_err(wrong)?;
        if version != SCHEMA {
            return Err(LockError {
                line: None,
                problem: format!(
                    "it has version {version}, and this Outrider knows version {SCHEMA}"
                ),
            });
        }
        let file: File = toml::from_str(text).map_err(wrong)?;
        let mut lock = Self::default();
        for entry in file.orb {
            let at = line(text, entry.span().start);
            lock.add(entry.get_ref()).map_err(|problem| LockError {
                line: Some(at),
                problem,
            })?;
        }
        Ok(lock)
    }

    fn add(&mut self, entry: &Entry) -> Result<(), String> {
        let reference = named(&entry.reference)?;
        let resolved = named(&entry.resolved)?;
        if !stands_for(&resolved, &reference) {
            return Err(format!("{resolved} is no version of {reference}"));
        }
        let hash = entry
            .hash
            .parse()
            .map_err(|error| format!("`{}` is no hash: {error}", entry.hash.escape_debug()))?;
        let locked = Locked { resolved, hash };
        if self.entries.contains_key(&reference) {
            return Err(format!("{reference} is locked twice"));
        }
        self.insert(reference, locked);
        Ok(())
    }

    /// The text of the file, sorted: the same entries give the same text.
    pub fn print(&self) -> String {
        let mut text = format!("{HEADER}version = {SCHEMA}\n");
        for (reference, locked) in &self.entries {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n[[orb]]\nreference = {}\nresolved = {}\nhash = \"{}\"\n",
                quoted(reference),
                quoted(&locked.resolved),
                locked.hash
            );
        }
        text
    }
}

fn named(text: &str) -> Result<OrbReference, String> {
    text.parse()
        .map_err(|error| format!("`{}` names no orb: {error}", text.escape_debug()))
}

/// Whether a version is one of those that a reference may mean.
pub fn stands_for(resolved: &OrbReference, reference: &OrbReference) -> bool {
    use outrider_config::OrbVersion::Exact;
    let (
        OrbReference::Registry {
            namespace,
            name,
            version,
        },
        OrbReference::Registry {
            namespace: wanted_namespace,
            name: wanted_name,
            version: wanted,
        },
    ) = (resolved, reference)
    else {
        return resolved == reference;
    };
    let same_orb = namespace == wanted_namespace && name == wanted_name;
    same_orb
        && match *version {
            Exact(major, minor, patch) => fits(wanted, (major, minor, patch)),
            _ => version == wanted,
        }
}

/// A string of TOML. JSON's escapes are among those of TOML.
fn quoted(reference: &OrbReference) -> String {
    serde_json::Value::String(reference.to_string()).to_string()
}

fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lock: &mut Lock, reference: &str, resolved: &str, text: &str) {
        let locked = Locked {
            resolved: resolved.parse().unwrap(),
            hash: ContentHash::of(text),
        };
        lock.insert(reference.parse().unwrap(), locked);
    }

    #[test]
    fn what_is_printed_is_read_back_and_sorted() {
        let mut lock = Lock::default();
        entry(
            &mut lock,
            "https://x.test/a\"b\\.yml",
            "https://x.test/a\"b\\.yml",
            "c",
        );
        entry(&mut lock, "circleci/node@5.1", "circleci/node@5.1.3", "b");
        entry(&mut lock, "acme/x@dev:one/two", "acme/x@dev:one/two", "a");
        let text = lock.print();
        assert_eq!(Lock::parse(&text), Ok(lock));
        let at = |part: &str| text.find(part).unwrap();
        assert!(text.starts_with("# ") && at("version = 1") < at("acme/x"));
        assert!(at("acme/x") < at("circleci/node") && at("circleci/node") < at("https://"));
    }

    fn refused(body: &str) -> LockError {
        Lock::parse(&format!("version = 1\n{body}")).unwrap_err()
    }

    #[test]
    fn a_damaged_file_says_where_and_why() {
        let hash = ContentHash::of("");
        let one = |reference: &str, resolved: &str, hash: &str| {
            format!(
                "[[orb]]\nreference = \"{reference}\"\nresolved = \"{resolved}\"\nhash = \"{hash}\"\n"
            )
        };
        let good = one("a/b@1", "a/b@1.0.0", &hash.to_string());
        for (body, line, says) in [
            ("<<<<<<< HEAD\n".to_owned(), 2, ""),
            (good[..good.len() - 10].to_owned(), 5, ""),
            (
                good.clone() + "[[orb]]\nreference = \"a/b@1\"\n",
                6,
                "missing field",
            ),
            (good.clone() + "[[orb]]\nsize = 1\n", 7, "unknown field"),
            (good.clone() + &good, 6, "a/b@1 is locked twice"),
            (one("../b@1", "a/b@1.0.0", ""), 2, "`../b@1` names no orb"),
            (
                one("a/b@1", "a/b@2.0.0", ""),
                2,
                "a/b@2.0.0 is no version of a/b@1",
            ),
            (
                one("a/b@1", "a/c@1.0.0", ""),
                2,
                "a/c@1.0.0 is no version of a/b@1",
            ),
            (one("a/b@1", "a/b@1.0.0", "sha256:0"), 2, "is no hash"),
        ] {
            let error = refused(&body);
            assert_eq!(error.line, Some(line), "{body}\n{error:?}");
            assert!(error.problem.contains(says), "{body}\n{error:?}");
        }
    }

    #[test]
    fn a_file_of_another_schema_is_refused() {
        let error = Lock::parse("version = 2\n[[package]]\n").unwrap_err();
        assert!(error.problem.contains("version 2"), "{error:?}");
        for text in ["", "\0\0\0", "version = \"1\"", "version = -1"] {
            assert!(Lock::parse(text).is_err(), "{text:?}");
        }
    }
}
