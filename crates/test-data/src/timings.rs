//! How long each file, class or test took.

use std::collections::HashMap;
use std::time::Duration;

use crate::TestResult;

/// By what tests are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By the file that they are in.
    File,
    /// By their class.
    Class,
    /// By their name.
    Name,
}

impl Kind {
    /// All, those first that are tried first.
    pub const ALL: [Self; 3] = [Self::File, Self::Class, Self::Name];

    /// The word for it, as CircleCI has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "filename",
            Self::Class => "classname",
            Self::Name => "testname",
        }
    }

    /// What it is of one result.
    pub fn of(self, result: &TestResult) -> Option<&str> {
        let value = match self {
            Self::File => result.file.as_deref(),
            Self::Class => Some(&*result.classname),
            Self::Name => Some(&*result.name),
        };
        value.filter(|value| !value.is_empty())
    }
}

/// How long everything took, by each kind.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    tables: [HashMap<Vec<u8>, Duration>; Kind::ALL.len()],
}

impl Timings {
    /// Adds a result.
    pub fn add(&mut self, result: &TestResult) {
        for kind in Kind::ALL {
            let Some(key) = kind.of(result) else { continue };
            let table = &mut self.tables[kind as usize];
            let key = normal(key.as_bytes());
            match table.get_mut(key) {
                Some(sum) => *sum = sum.saturating_add(result.time),
                None => {
                    table.insert(key.to_vec(), result.time);
                }
            }
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(HashMap::is_empty)
    }

    /// How long something took, if that is known.
    pub fn get(&self, kind: Kind, name: &[u8]) -> Option<Duration> {
        self.tables[kind as usize].get(normal(name)).copied()
    }

    /// The kind by which the most names are known, if any is.
    pub fn detect<N: AsRef<[u8]>>(&self, names: &[N]) -> Option<Kind> {
        let known = |kind: Kind| {
            let known = names
                .iter()
                .filter(|name| self.get(kind, name.as_ref()).is_some());
            known.count()
        };
        let counts = Kind::ALL.map(|kind| (known(kind), kind));
        // Of equals the first.
        let best = counts.into_iter().rev().max_by_key(|(count, _)| *count)?;
        (best.0 > 0).then_some(best.1)
    }
}

impl FromIterator<TestResult> for Timings {
    fn from_iter<I: IntoIterator<Item = TestResult>>(results: I) -> Self {
        let mut timings = Self::default();
        results.into_iter().for_each(|result| timings.add(&result));
        timings
    }
}

/// `./a` is `a`.
fn normal(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"./") {
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(file: &str, classname: &str, name: &str, seconds: u64) -> TestResult {
        TestResult {
            file: Some(file.to_owned()).filter(|file| !file.is_empty()),
            classname: classname.to_owned(),
            name: name.to_owned(),
            time: Duration::from_secs(seconds),
            ..TestResult::default()
        }
    }

    #[test]
    fn times_of_one_file_are_added_up() {
        let results = [
            result("./a.rb", "A", "one", 1),
            result("a.rb", "A", "two", 2),
            result("", "B", "one", 4),
        ];
        let timings: Timings = results.into_iter().collect();
        let get = |kind, name: &str| {
            timings
                .get(kind, name.as_bytes())
                .map(|time| time.as_secs())
        };
        assert_eq!(get(Kind::File, "././a.rb"), Some(3));
        assert_eq!(get(Kind::Class, "B"), Some(4));
        assert_eq!(get(Kind::Name, "one"), Some(5));
        assert_eq!((get(Kind::File, ""), get(Kind::File, "b.rb")), (None, None));
    }

    #[test]
    fn the_kind_that_knows_most_is_found() {
        let results = [
            result("a", "x", "n", 1),
            result("b", "y", "m", 1),
            result("c", "c", "c", 1),
        ];
        let timings: Timings = results.into_iter().collect();
        assert_eq!(timings.detect(&["a", "b"]), Some(Kind::File));
        assert_eq!(timings.detect(&["a", "x", "y"]), Some(Kind::Class));
        assert_eq!(timings.detect(&["n"]), Some(Kind::Name));
        assert_eq!(timings.detect(&["c"]), Some(Kind::File));
        assert_eq!(timings.detect(&["z"]), None);
        assert_eq!(timings.detect::<&str>(&[]), None);
        assert!(Timings::default().is_empty() && !timings.is_empty());
    }
}
