//! The form in which results travel and are kept: one JSON object a line, compressed with zstd.
//!
//! Files of it, one after the other, are one.

use std::io::{self, BufRead, BufReader, Read, Write};

use zstd::stream::{read, write};

use crate::{Summary, TestResult};

/// How long a line may be.
const MAX_LINE: u64 = 256 * 1024;
/// How much a reader's window may take: 8 MiB, which our own writer never needs.
const WINDOW_LOG: u32 = 23;
const LEVEL: i32 = 3;

/// Limits for a reader: what it reads may come from anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many results.
    pub results: u64,
    /// How many bytes, uncompressed.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            results: crate::collect::MAX_TESTS,
            bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

/// Writes results, and counts them.
pub struct Writer<W: Write> {
    output: write::Encoder<'static, W>,
    summary: Summary,
}

impl<W: Write> Writer<W> {
    /// Nothing is written yet.
    pub fn new(output: W) -> io::Result<Self> {
        let output = write::Encoder::new(output, LEVEL)?;
        Ok(Self {
            output,
            summary: Summary::default(),
        })
    }

    /// Writes one more.
    pub fn write(&mut self, result: &TestResult) -> io::Result<()> {
        self.summary.add(result);
        serde_json::to_writer(&mut self.output, result)?;
        self.output.write_all(b"\n")
    }

    /// What was written until now.
    pub const fn summary(&self) -> Summary {
        self.summary
    }

    /// Writes what is left. Without it the file is cut off.
    pub fn finish(self) -> io::Result<W> {
        self.output.finish()
    }
}

/// Why results could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The input could not be read, or is not compressed as it should be.
    #[error("cannot read test results")]
    Read(#[from] io::Error),
    /// A line is no result.
    #[error("line {line} is no test result")]
    Line {
        /// Which, from 1.
        line: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// There is more than a reader takes.
    #[error("test results are too large: more than {0}")]
    TooLarge(&'static str),
}

/// Reads results that a [`Writer`] wrote, several such files in a row too.
pub fn read<R: Read>(
    input: R,
    limits: Limits,
) -> io::Result<Results<BufReader<read::Decoder<'static, BufReader<R>>>>> {
    let mut decoder = read::Decoder::new(input)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(Results::new(BufReader::new(decoder), limits))
}

/// Results, as they come. After an error there are no more.
pub struct Results<R> {
    input: Option<R>,
    limits: Limits,
    line: Vec<u8>,
    count: u64,
    bytes: u64,
}

impl<R: BufRead> Results<R> {
    /// From lines that are not compressed.
    pub const fn new(input: R, limits: Limits) -> Self {
        Self {
            input: Some(input),
            limits,
            line: Vec::new(),
            count: 0,
            bytes: 0,
        }
    }

    fn next_line(&mut self) -> Result<Option<TestResult>, StoredError> {
        loop {
            let Some(input) = &mut self.input else {
                return Ok(None);
            };
            self.line.clear();
            let read = input.take(MAX_LINE + 1).read_until(b'\n', &mut self.line)? as u64;
            self.bytes += read;
            if read == 0 {
                return Ok(None);
            }
            if read > MAX_LINE {
                return Err(StoredError::TooLarge("256 KiB in a line"));
            }
            if self.bytes > self.limits.bytes {
                return Err(StoredError::TooLarge("the limit of bytes"));
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            self.count += 1;
            if self.count > self.limits.results {
                return Err(StoredError::TooLarge("the limit of tests"));
            }
            let result = serde_json::from_slice(&self.line);
            return result.map(Some).map_err(|source| StoredError::Line {
                line: self.count,
                source,
            });
        }
    }
}

impl<R: BufRead> Iterator for Results<R> {
    type Item = Result<TestResult, StoredError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_line().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.input = None;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestOutcome;

    fn result(name: &str) -> TestResult {
        TestResult {
            name: name.to_owned(),
            message: Some("é\n".to_owned()),
            ..TestResult::default()
        }
    }

    fn written(names: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).expect("begun");
        for name in names {
            writer.write(&result(name)).expect("written");
        }
        assert_eq!(writer.summary().tests, names.len() as u64);
        writer.finish().expect("finished")
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>, StoredError> {
        let results = read(bytes, Limits::default())?;
        results
            .map(|result| result.map(|result| result.name))
            .collect()
    }

    #[test]
    fn files_in_a_row_are_one() {
        let both = [written(&["a", "b"]), written(&[]), written(&["c"])].concat();
        assert_eq!(names(&both).expect("read"), ["a", "b", "c"]);
        let first = read(&both[..], Limits::default()).expect("begun").next();
        assert_eq!(first.expect("one").expect("read"), result("a"));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_an_error_and_then_the_end() {
        let whole = written(&["a"; 100]);
        for wrong in [&whole[..whole.len() / 2], b"{\"name\":1}\n", b"\0\0\0\0"] {
            let mut results = read(wrong, Limits::default()).expect("begun");
            let error = results.by_ref().find_map(Result::err);
            assert!(error.is_some() && results.next().is_none());
        }
        let lines = &b"\n{\"name\":\"a\",\"outcome\":\"failed\"}\n{\"name\":\"b\"}"[..];
        let mut results = Results::new(lines, Limits::default());
        let first = results.next().expect("one").expect("read");
        assert_eq!((first.outcome, first.reruns), (TestOutcome::Failed, 0));
        assert!(matches!(
            results.next(),
            Some(Err(StoredError::Line { line: 2, .. }))
        ));
        for time in ["-1", "1e300", "null"] {
            let line = format!("{{\"name\":\"a\",\"outcome\":\"failed\",\"seconds\":{time}}}");
            let first = Results::new(line.as_bytes(), Limits::default()).next();
            assert!(first.expect("one").is_err(), "{time}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut bomb = write::Encoder::new(Vec::new(), 3).expect("begun");
        io::copy(&mut io::repeat(b'[').take(64 * 1024 * 1024), &mut bomb).expect("written");
        let bomb = bomb.finish().expect("finished");
        assert!(matches!(names(&bomb), Err(StoredError::TooLarge(_))));
        let many = written(&["a"; 4]);
        let limits = |results, bytes| Limits { results, bytes };
        for (limits, good) in [(limits(3, 1000), 3), (limits(9, 150), 2)] {
            let results: Vec<_> = read(&many[..], limits).expect("begun").collect();
            let wrong = results.iter().position(Result::is_err);
            assert_eq!((wrong, results.len()), (Some(good), good + 1));
        }
    }
}
