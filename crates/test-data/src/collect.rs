//! All reports of a file or a directory.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::junit::{Problem, Report};
use crate::stored::Writer;
use crate::{Summary, TestResult};

/// How many tests are taken from one directory.
pub const MAX_TESTS: u64 = 1_000_000;
/// How many notes are made; the rest is counted.
const MAX_NOTES: usize = 50;
/// How deep directories are searched.
const MAX_DEPTH: usize = 64;
/// What may block whoever reads it, or never end.
const IRREGULAR: &str = "is no regular file: passed over";

/// What was found.
#[derive(Debug)]
pub struct Collected {
    /// How many tests ended how.
    pub summary: Summary,
    /// How many reports there were.
    pub reports: u64,
    /// What people should know.
    pub notes: Vec<Note>,
    /// How many notes there would have been besides.
    pub more_notes: u64,
}

/// Something about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which.
    pub path: PathBuf,
    /// What.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.text)
    }
}

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// There is nothing to collect from.
    #[error("cannot read {}", path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
        /// Why it is not there.
        #[source]
        source: io::Error,
    },
    /// The results could not be written.
    #[error("cannot write test results")]
    Write(#[source] io::Error),
}

/// Reads reports and writes their results.
pub struct Collector<W: Write> {
    writer: Writer<W>,
    /// The directory that files of tests are named from, under all its names.
    bases: Vec<String>,
    /// Changes results before they are written: what is secret does not get into them.
    edit: Box<dyn Fn(&mut TestResult) + Send>,
    reports: u64,
    notes: Vec<Note>,
    more_notes: u64,
}

impl<W: Write> Collector<W> {
    /// Files of tests below `base` are kept without it: the next task may have another directory.
    pub fn new(output: W, base: &Path) -> Result<Self, CollectError> {
        let real = base.canonicalize().ok();
        let names = [Some(base.to_owned()), real].into_iter().flatten();
        Ok(Self {
            writer: Writer::new(output).map_err(CollectError::Write)?,
            bases: names
                .filter_map(|path| path.to_str().map(str::to_owned))
                .collect(),
            edit: Box::new(|_| ()),
            reports: 0,
            notes: Vec::new(),
            more_notes: 0,
        })
    }

    /// Changes each result before it is written.
    #[must_use]
    pub fn editing(mut self, edit: impl Fn(&mut TestResult) + Send + 'static) -> Self {
        self.edit = Box::new(edit);
        self
    }

    /// Takes a file, or all files below a directory whose names end with `.xml`. What cannot be
    /// read is noted, and harms nothing else.
    pub fn collect(&mut self, path: &Path) -> Result<(), CollectError> {
        let missing = |source| CollectError::Missing {
            path: path.to_owned(),
            source,
        };
        let found = fs::metadata(path).map_err(missing)?;
        if !found.is_dir() && !found.is_file() {
            self.note(path, IRREGULAR.to_owned());
            return Ok(());
        }
        if found.is_file() {
            // A link that the config names is followed.
            let file = open(path, OFlags::empty()).map_err(missing)?;
            return self.take_regular(path, file);
        }
        let mut files = Vec::new();
        self.search(path, 0, &mut files);
        for path in files {
            match open(&path, OFlags::NOFOLLOW) {
                Ok(file) => self.take_regular(&path, file)?,
                Err(error) => self.note(&path, format!("cannot be read: {error}")),
            }
        }
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<(Collected, W), CollectError> {
        let collected = Collected {
            summary: self.writer.summary(),
            reports: self.reports,
            notes: self.notes,
            more_notes: self.more_notes,
        };
        let output = self.writer.finish().map_err(CollectError::Write)?;
        Ok((collected, output))
    }

    /// Links are not followed: they may lead anywhere, and round in circles.
    fn search(&mut self, directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
        if depth > MAX_DEPTH {
            return self.note(directory, "is too deep: passed over".to_owned());
        }
        let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.note(directory, format!("cannot be read: {error}")),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let is_xml = path
                .extension()
                .is_some_and(|end| end.eq_ignore_ascii_case("xml"));
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.search(&path, depth + 1, files),
                Ok(kind) if kind.is_file() && is_xml => files.push(path),
                Ok(_) if is_xml => self.note(&path, IRREGULAR.to_owned()),
                _ => {}
            }
        }
    }

    /// Takes a file, and not what may have been put in its place since it was found.
    fn take_regular(&mut self, path: &Path, file: File) -> Result<(), CollectError> {
        match file.metadata() {
            Ok(found) if found.is_file() => self.take(path, file)?,
            Ok(_) => self.note(path, IRREGULAR.to_owned()),
            Err(error) => self.note(path, format!("cannot be read: {error}")),
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, file: File) -> Result<(), CollectError> {
        let mut report = match Report::open(file) {
            Ok(report) => report,
            Err(error) => {
                self.note(path, format!("cannot be read: {error}"));
                return Ok(());
            }
        };
        let mut left_out = 0_u64;
        for mut result in report.by_ref() {
            if self.writer.summary().tests >= MAX_TESTS {
                left_out += 1;
                continue;
            }
            self.shorten_file(&mut result);
            (self.edit)(&mut result);
            self.writer.write(&result).map_err(CollectError::Write)?;
        }
        if left_out > 0 {
            let text = format!("has {left_out} tests more than the {MAX_TESTS} that are kept");
            self.note(path, text);
        }
        if let Some(encoding) = report.unknown_encoding() {
            let text = format!("declares an unknown encoding, {encoding:?}: read as UTF-8");
            self.note(path, text);
        }
        match report.problem() {
            Some(problem @ Problem::NotJunit { .. }) => {
                self.note(path, format!("{problem}: passed over"));
            }
            Some(problem) => {
                self.reports += 1;
                self.note(path, problem.to_string());
            }
            None => self.reports += 1,
        }
        Ok(())
    }

    fn shorten_file(&self, result: &mut TestResult) {
        if let Some(file) = &mut result.file {
            let below = |base: &String| file.strip_prefix(base.as_str())?.strip_prefix('/');
            if let Some(inside) = self.bases.iter().find_map(below) {
                *file = inside.to_owned();
            }
        }
    }

    fn note(&mut self, path: &Path, text: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(Note {
                path: path.to_owned(),
                text,
            });
        } else {
            self.more_notes += 1;
        }
    }
}

/// Opens a file without waiting for who writes to a pipe.
fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
