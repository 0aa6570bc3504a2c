//! Files that match a pattern.
//!
//! A pattern is matched folder by folder, so that only folders are read that may hold a match.
//! Within one folder `fast-glob` decides: it needs no preparation, which matters for a command that
//! lives for a few milliseconds, takes names that are no text, and can say what is wrong with a
//! pattern. Its `?` is one byte, so a letter outside ASCII takes more than one.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::names::path;
use crate::failure::{Failure, code};
use crate::show::hint;

/// How many patterns one may stand for.
const MAX_PATTERNS: usize = 1_000;

/// All that matches, sorted.
pub fn find(pattern: &[u8]) -> Result<BTreeSet<Vec<u8>>, Failure> {
    let mut found = Found::default();
    for pattern in without_folders_in_braces(pattern)? {
        let start = if pattern.starts_with(b"/") {
            &b"/"[..]
        } else {
            b""
        };
        let parts = parts(&pattern)?;
        if !parts.is_empty() {
            found.search(start, &parts);
        }
    }
    Ok(found.names)
}

/// One folder's part of a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// This name.
    Name(Vec<u8>),
    /// Names that match.
    Pattern(Vec<u8>),
    /// Any number of folders.
    Folders,
}

fn parts(pattern: &[u8]) -> Result<Vec<Part>, Failure> {
    let mut parts = Vec::new();
    for text in pattern
        .split(|byte| *byte == b'/')
        .filter(|text| !text.is_empty())
    {
        let part = match text {
            b"**" if parts.last() == Some(&Part::Folders) => continue,
            b"**" => Part::Folders,
            _ if !text.iter().any(|byte| b"*?[{\\".contains(byte)) => Part::Name(text.to_vec()),
            // Before a pattern `!` would mean all that does not match.
            [b'!', ..] => Part::Pattern([b"\\", text].concat()),
            _ => Part::Pattern(text.to_vec()),
        };
        if let Part::Pattern(part) = &part {
            fast_glob::validate(part).map_err(|error| wrong(pattern, &error.to_string()))?;
        }
        parts.push(part);
    }
    Ok(parts)
}

fn wrong(pattern: &[u8], why: &str) -> Failure {
    let shown = path(pattern).display();
    Failure::new(
        code::FAILED,
        format!("the pattern {shown} cannot be read: {why}"),
    )
}

/// `{a/b,c}` as `a/b` and `c`: the patterns that it stands for, each of which can be read folder by
/// folder. Braces without a slash stay.
fn without_folders_in_braces(pattern: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut open = vec![pattern.to_vec()];
    let mut done = Vec::new();
    while let Some(next) = open.pop() {
        match braces_with_folders(&next) {
            None => done.push(next),
            Some(braces) => open.extend(braces.expanded(&next)),
        }
        if open.len() + done.len() > MAX_PATTERNS {
            return Err(wrong(
                pattern,
                "its braces stand for more than 1,000 patterns",
            ));
        }
    }
    Ok(done)
}

/// Where braces, their commas, and their end stand in a pattern.
struct Braces(Vec<usize>);

impl Braces {
    fn expanded(&self, pattern: &[u8]) -> Vec<Vec<u8>> {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return Vec::new();
        };
        let (before, after) = (&pattern[..*first], &pattern[last + 1..]);
        let choices = self.0.windows(2).map(|ends| &pattern[ends[0] + 1..ends[1]]);
        choices
            .map(|choice| [before, choice, after].concat())
            .collect()
    }
}

/// The first outer braces that have a slash inside.
fn braces_with_folders(pattern: &[u8]) -> Option<Braces> {
    let mut marks = Vec::new();
    let (mut depth, mut slash) = (0_usize, false);
    let mut bytes = pattern.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'{' if depth == 0 => (marks, depth, slash) = (vec![at], 1, false),
            b'{' => depth += 1,
            b',' if depth == 1 => marks.push(at),
            b'/' if depth > 0 => slash = true,
            b'}' if depth == 1 => {
                marks.push(at);
                if slash {
                    return Some(Braces(marks));
                }
                depth = 0;
            }
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[derive(Default)]
struct Found {
    names: BTreeSet<Vec<u8>>,
}

impl Found {
    /// Searches a folder for what the rest of a pattern matches.
    fn search(&mut self, folder: &[u8], parts: &[Part]) {
        match parts {
            [] => {}
            [Part::Name(name), rest @ ..] => {
                let found = join(folder, name);
                if rest.is_empty() {
                    if path(&found).symlink_metadata().is_ok() {
                        self.names.insert(found);
                    }
                } else {
                    self.search(&found, rest);
                }
            }
            [Part::Pattern(pattern), rest @ ..] => {
                self.matching(folder, &entries(folder), pattern, rest);
            }
            [Part::Folders, rest @ ..] => self.all_below(folder, rest),
        }
    }

    fn matching(&mut self, folder: &[u8], entries: &[DirEntry], pattern: &[u8], rest: &[Part]) {
        for entry in entries {
            let name = entry.file_name();
            if !fast_glob::glob_match(pattern, name.as_bytes()) {
                continue;
            }
            let found = join(folder, name.as_bytes());
            if rest.is_empty() {
                self.names.insert(found);
            } else if path(&found).is_dir() {
                self.search(&found, rest);
            }
        }
    }

    /// What matches in this folder and in all below it. At the end of a pattern that is every
    /// file. Links to folders are not followed: they may lead round in circles.
    fn all_below(&mut self, folder: &[u8], rest: &[Part]) {
        let entries = entries(folder);
        match rest {
            [Part::Pattern(pattern), rest @ ..] => self.matching(folder, &entries, pattern, rest),
            rest => self.search(folder, rest),
        }
        for entry in entries {
            let below = join(folder, &entry.file_name().into_vec());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.all_below(&below, rest);
            } else if rest.is_empty() {
                self.names.insert(below);
            }
        }
    }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        b"" | b"/" => [folder, name].concat(),
        folder => [folder, b"/", name].concat(),
    }
}

/// What is in a folder. One that cannot be read is told of, for tests in it would not be run.
fn entries(folder: &[u8]) -> Vec<DirEntry> {
    let shown = path(if folder.is_empty() { b"." } else { folder });
    match fs::read_dir(shown) {
        Ok(entries) => entries.flatten().collect(),
        Err(error) => {
            let usual = [
                std::io::ErrorKind::NotFound,
                std::io::ErrorKind::NotADirectory,
            ];
            if !usual.contains(&error.kind()) {
                hint!("warning: cannot read {}: {error}", shown.display());
            }
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str) -> Vec<String> {
        let all = without_folders_in_braces(pattern.as_bytes()).expect("expanded");
        let mut all: Vec<_> = all
            .iter()
            .map(|one| String::from_utf8_lossy(one).into())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn braces_with_folders_are_expanded_and_others_stay() {
        assert_eq!(expanded("{a,b}/*.{c,d}"), ["{a,b}/*.{c,d}"]);
        assert_eq!(expanded("x{a/b,c}y"), ["xa/by", "xcy"]);
        assert_eq!(
            expanded("{a,{b/c,d}}/{e/f,}"),
            ["a/", "a/e/f", "b/c/", "b/c/e/f", "d/", "d/e/f"]
        );
        assert_eq!(expanded("\\{a/b,c}"), ["\\{a/b,c}"]);
        let many = "{a/,b/,c/,d/}".repeat(9);
        assert!(without_folders_in_braces(many.as_bytes()).is_err());
    }

    #[test]
    fn parts_are_names_or_patterns() {
        let name = |name: &str| Part::Name(name.into());
        let read = parts(b"/a//**/**/!b*/c").expect("read");
        assert_eq!(
            read,
            [
                name("a"),
                Part::Folders,
                Part::Pattern(b"\\!b*".to_vec()),
                name("c")
            ]
        );
        for wrong in ["a/[b", "{a", "a\\"] {
            assert!(parts(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
