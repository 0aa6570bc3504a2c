//! Names of tests: lines of bytes, which need be no text.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::failure::{Failure, code};

/// Names, one a line, as they were read.
pub struct Names(Vec<u8>);

impl Names {
    /// From a file, or from stdin.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        match file {
            Some(path) if path != "-" => fs::read(path).map(Self).map_err(|error| {
                let text = format!("cannot read {}: {error}", path.display());
                Failure::new(code::NOT_FOUND, text)
            }),
            _ => Self::read_stdin(),
        }
    }

    /// From stdin, unless that would wait for somebody to type.
    pub fn read_stdin() -> Result<Self, Failure> {
        let mut stdin = io::stdin().lock();
        if stdin.is_terminal() {
            let text = "the names of the tests are missing";
            return Err(Failure::new(code::FAILED, text).advise(
                "They are read from stdin, one a line: for example \
                 `circleci tests glob \"test/**/*.rb\" | circleci tests split`.",
            ));
        }
        let mut names = Vec::new();
        let read = stdin.read_to_end(&mut names);
        read.map_err(|error| Failure::new(code::FAILED, format!("cannot read stdin: {error}")))?;
        Ok(Self(names))
    }

    /// All of it, as it is.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Without blank lines and without the ends of lines, of Windows too.
    pub fn lines(&self) -> Vec<&[u8]> {
        let lines = self.0.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        lines.filter(|line| !line.trim_ascii().is_empty()).collect()
    }
}

/// A name as a path.
pub fn path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

/// Writes names, one a line. That nobody reads them any more is no failure.
pub fn write<'a>(output: impl Write, names: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut output = io::BufWriter::new(output);
    let mut names = names.into_iter();
    let mut written = names.try_for_each(|name| {
        output.write_all(name)?;
        output.write_all(b"\n")
    });
    written = written.and_then(|()| output.flush());
    // What is left in the buffer would be tried again when it is dropped.
    let _ = output.into_parts();
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The same to stdout.
pub fn print<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Failure> {
    write(io::stdout().lock(), names).map_err(|error| Failure::cannot_write("stdout", error))
}
