//! How a secret comes in: from a file, through a pipe, or typed without being shown. Never as an
//! argument, which others on the host can read and shells remember.

use std::io::{BufRead, IsTerminal, Read, stdin};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::{Failure, code};
use crate::show::hint;

/// A secret, without the end of line after it. `what` is asked for where somebody types.
pub fn read(what: &str, file: Option<&Path>) -> Result<String, Failure> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            Failure::new(code::NOT_FOUND, message)
        })?,
        None if stdin().is_terminal() => {
            hint!("{what} (it is not shown; end with Enter):");
            typed().map_err(|error| cannot_read(&error))?
        }
        None => {
            let mut text = String::new();
            stdin()
                .read_to_string(&mut text)
                .map_err(|error| cannot_read(&error))?;
            text
        }
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn cannot_read(error: &std::io::Error) -> Failure {
    Failure::new(code::FAILED, format!("cannot read from stdin: {error}"))
}

fn typed() -> std::io::Result<String> {
    let _silent = Silent::new()?;
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    Ok(line)
}

/// The terminal does not show what is typed.
struct Silent(Termios);

impl Silent {
    fn new() -> std::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
        hint!("");
    }
}
