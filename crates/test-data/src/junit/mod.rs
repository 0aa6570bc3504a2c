//! Reports in JUnit XML, as an iterator of results.
//!
//! There is no standard, so this takes what tools write: Maven and Gradle, pytest (`xunit1` and
//! `xunit2`), cargo-nextest, gotestsum, jest-junit, mocha, RSpec, PHPUnit, GoogleTest. Suites may be
//! nested. `file` may stand at a test or at a suite around it. Runs of the same test after the first
//! (`rerunFailure`, `flakyFailure`, …) are counted.
//!
//! Nothing of a document type is looked at, so nothing is expanded and nothing is fetched.

mod case;
mod decode;
mod shorten;
mod text;

use std::fmt;
use std::io::{self, Read};

use quick_xml::Reader;
use quick_xml::errors::Error as XmlError;
use quick_xml::events::{BytesStart, Event};

use self::case::Case;
use self::decode::Decoded;
use self::shorten::Shortened;
use crate::TestResult;

/// How deep elements may be nested.
const MAX_DEPTH: usize = 100;

/// A report that is being read.
pub struct Report<R: Read> {
    xml: Reader<Shortened<Decoded<R>>>,
    buffer: Vec<u8>,
    /// The suites around, from the outermost.
    suites: Vec<Suite>,
    /// The test that is being read.
    case: Option<Case>,
    depth: usize,
    /// The last test that was read, to say where it was.
    last: Option<String>,
    state: State,
    unknown_encoding: Option<String>,
}

#[derive(Debug)]
enum State {
    Before,
    Inside,
    Ended(Option<Problem>),
}

/// What tests have from the suite around them.
#[derive(Clone, Debug, Default)]
struct Suite {
    depth: usize,
    name: String,
    file: Option<String>,
}

/// Why a report was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is something else.
    NotJunit {
        /// What its first element is, if it has one.
        root: Option<String>,
    },
    /// It is no XML from here on, or ends too early.
    Broken {
        /// The line, from 1.
        line: u64,
        /// The last test that was read.
        after: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// It could not be read.
    Unreadable(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJunit { root: Some(root) } => {
                write!(f, "is no JUnit report: its first element is <{root}>")
            }
            Self::NotJunit { root: None } => f.write_str("is no JUnit report"),
            Self::Broken {
                line,
                after,
                message,
            } => {
                write!(f, "cannot be read from line {line} on")?;
                if let Some(after) = after {
                    write!(f, ", after test \"{after}\"")?;
                }
                write!(f, ": {message}")
            }
            Self::Unreadable(message) => write!(f, "cannot be read: {message}"),
        }
    }
}

impl<R: Read> Report<R> {
    /// Reads the beginning, to find the encoding.
    pub fn open(input: R) -> io::Result<Self> {
        let (decoded, unknown_encoding) = Decoded::open(input)?;
        let mut xml = Reader::from_reader(Shortened::new(decoded));
        let config = xml.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        Ok(Self {
            xml,
            buffer: Vec::new(),
            suites: Vec::new(),
            case: None,
            depth: 0,
            last: None,
            state: State::Before,
            unknown_encoding,
        })
    }

    /// Why it was not read to its end, after the last result.
    pub const fn problem(&self) -> Option<&Problem> {
        match &self.state {
            State::Ended(problem) => problem.as_ref(),
            State::Before | State::Inside => None,
        }
    }

    /// The encoding that it declares, if nobody knows that. It was read as UTF-8.
    pub fn unknown_encoding(&self) -> Option<&str> {
        self.unknown_encoding.as_deref()
    }

    /// Reads one event. A result is what the end of a test gives.
    fn read_event(&mut self) -> Option<TestResult> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let result = match self.xml.read_event_into(&mut buffer) {
            Ok(event) => self.note(&event),
            Err(error) => {
                self.failed(&error);
                None
            }
        };
        self.buffer = buffer;
        result
    }

    fn note(&mut self, event: &Event<'_>) -> Option<TestResult> {
        match (event, &mut self.case) {
            (Event::Start(element), _) => self.start(element),
            (Event::End(_), _) => return self.end(),
            (Event::Text(text), Some(case)) => case.text(text),
            (Event::CData(text), Some(case)) => case.text(text),
            (Event::GeneralRef(name), Some(case)) => case.reference(name),
            (Event::Eof, _) => self.ended(),
            _ => {}
        }
        None
    }

    fn start(&mut self, element: &BytesStart<'_>) {
        let name = element.local_name();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.broken(format!("elements are nested more than {MAX_DEPTH} deep"));
        }
        match (&self.state, name.as_ref()) {
            (State::Before, "testsuites" | "testsuite") => self.state = State::Inside,
            (State::Before, other) => {
                let root = Some(text::name(other));
                self.state = State::Ended(Some(Problem::NotJunit { root }));
                return;
            }
            _ => {}
        }
        match (&mut self.case, name.as_ref()) {
            (Some(case), name) => case.start(name, element),
            (None, "testsuite") => self.suites.push(self.suite(element)),
            (None, "testcase") => {
                let suite = self.suites.last().cloned().unwrap_or_default();
                self.case = Some(Case::new(element, suite.name, suite.file));
            }
            _ => {}
        }
    }

    /// A suite that says nothing of its own has what the one around it has.
    fn suite(&self, element: &BytesStart<'_>) -> Suite {
        let around = self.suites.last();
        let mut suite = Suite {
            depth: self.depth,
            ..around.cloned().unwrap_or_default()
        };
        for (name, value) in case::attributes(element) {
            match name {
                "name" if !value.is_empty() => suite.name = value,
                "file" if !value.is_empty() => suite.file = Some(value),
                _ => {}
            }
        }
        suite
    }

    fn end(&mut self) -> Option<TestResult> {
        if self
            .suites
            .last()
            .is_some_and(|suite| suite.depth == self.depth)
        {
            self.suites.pop();
        }
        self.depth = self.depth.saturating_sub(1);
        if self.case.as_mut()?.end() {
            return None;
        }
        let result = self.case.take()?.finish();
        self.last = Some(result.name.clone());
        Some(result)
    }

    fn ended(&mut self) {
        match self.state {
            State::Before => self.state = State::Ended(Some(Problem::NotJunit { root: None })),
            State::Inside if self.depth > 0 => self.broken("the file ends here".to_owned()),
            _ => self.state = State::Ended(None),
        }
    }

    fn failed(&mut self, error: &XmlError) {
        match error {
            XmlError::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
                self.state = State::Ended(Some(Problem::Unreadable(error.to_string())));
            }
            XmlError::Syntax(_) if matches!(self.state, State::Inside) => {
                self.broken("the file ends inside a tag or a text".to_owned());
            }
            _ if matches!(self.state, State::Before) => {
                self.state = State::Ended(Some(Problem::NotJunit { root: None }));
            }
            XmlError::Io(error) => self.broken(error.to_string()),
            error => self.broken(error.to_string()),
        }
    }

    fn broken(&mut self, message: String) {
        self.state = State::Ended(Some(Problem::Broken {
            line: self.xml.get_ref().line(),
            after: self.last.take(),
            message,
        }));
    }
}

impl<R: Read> Iterator for Report<R> {
    type Item = TestResult;

    fn next(&mut self) -> Option<TestResult> {
        loop {
            if let State::Ended(_) = self.state {
                return None;
            }
            if let Some(result) = self.read_event() {
                return Some(result);
            }
        }
    }
}
