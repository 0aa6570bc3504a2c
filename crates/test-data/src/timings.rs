//! How long each file, class or test took.

use std::collections::HashMap;
use std::io::{BufReader, Cursor, Read};
use std::time::Duration;

use serde::Deserialize;

use crate::TestResult;
use crate::stored::{self, Limits, Results, StoredError};

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

    /// Of how many names something is known by this kind.
    pub fn count<N: AsRef<[u8]>>(&self, kind: Kind, names: &[N]) -> usize {
        let table = &self.tables[kind as usize];
        let known = names
            .iter()
            .filter(|name| table.contains_key(normal(name.as_ref())));
        known.count()
    }
}

impl FromIterator<TestResult> for Timings {
    fn from_iter<I: IntoIterator<Item = TestResult>>(results: I) -> Self {
        let mut timings = Self::default();
        results.into_iter().for_each(|result| timings.add(&result));
        timings
    }
}

/// How a file begins that zstd has compressed.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How long a file may be that is not compressed.
const MAX_PLAIN: u64 = 1024 * 1024 * 1024;

/// What CircleCI documents for `--timings-file`.
#[derive(Deserialize)]
struct CircleTests {
    tests: Vec<CircleTest>,
}

#[derive(Deserialize)]
struct CircleTest {
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    classname: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    run_time: Option<f64>,
}

impl From<CircleTest> for TestResult {
    fn from(test: CircleTest) -> Self {
        let seconds = test.run_time.unwrap_or_default();
        Self {
            file: test.file,
            classname: test.classname.unwrap_or_default(),
            name: test.name.unwrap_or_default(),
            time: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Reads timings: the stored form, the same lines without compression, or CircleCI's JSON.
pub fn read(mut input: impl Read) -> Result<Timings, StoredError> {
    let mut head = Vec::new();
    input
        .by_ref()
        .take(ZSTD.len() as u64)
        .read_to_end(&mut head)?;
    let compressed = head == ZSTD;
    let mut input = Cursor::new(head).chain(input);
    if compressed {
        return stored::read(input, Limits::default())?.collect();
    }
    let mut text = Vec::new();
    input.by_ref().take(MAX_PLAIN).read_to_end(&mut text)?;
    match serde_json::from_slice::<CircleTests>(&text) {
        Ok(document) => Ok(document.tests.into_iter().map(TestResult::from).collect()),
        Err(_) => Results::new(BufReader::new(&text[..]), Limits::default()).collect(),
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
    fn names_that_are_known_are_counted_by_each_kind() {
        let results = [result("a", "x", "n", 1), result("b", "y", "m", 1)];
        let timings: Timings = results.into_iter().collect();
        let counts = |names: &[&str]| Kind::ALL.map(|kind| timings.count(kind, names));
        assert_eq!(counts(&["./a", "b", "n", "z"]), [2, 0, 1]);
        assert_eq!(counts(&[]), [0; 3]);
        assert!(Timings::default().is_empty() && !timings.is_empty());
    }

    #[test]
    fn all_forms_are_read() {
        let lines = "{\"name\":\"n\",\"file\":\"a.rb\",\"outcome\":\"passed\",\"seconds\":2.5}\n";
        let circleci = r#"{"tests": [{"classname": null, "name": "n", "file": "./a.rb", "run_time": 2.5,
            "message": "", "result": "success", "source": "unknown"}, {"name": "no time"}]}"#;
        let mut writer = stored::Writer::new(Vec::new()).expect("begun");
        let result = TestResult {
            time: Duration::from_millis(2_500),
            ..result("a.rb", "", "n", 0)
        };
        writer.write(&result).expect("written");
        let stored = writer.finish().expect("finished");
        for form in [lines.as_bytes(), circleci.as_bytes(), &stored] {
            let timings = read(form).expect("read");
            assert_eq!(timings.get(Kind::File, b"a.rb"), Some(result.time));
        }
        assert!(read(&b""[..]).expect("nothing").is_empty());
        for wrong in ["{", "[]", "{\"tests\": 1}", "name,time"] {
            read(wrong.as_bytes()).expect_err(wrong);
        }
    }
}
