//! `outrider task-step`, `outrider task-code` and `outrider task-continue`: what the runner starts inside
//! an environment whose files it does not see. For nobody else, so they stand in no help.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use outrider_runner::continuation::{self, listen};
use outrider_runner::inside::{self, code, step};
use tokio::io::BufReader;
use tokio::runtime::Builder;

use crate::failure::Failure;

/// A tool.
#[derive(Clone, Copy)]
pub enum Called<'a> {
    /// Runs a step that moves data.
    Step,
    /// Takes code, as these arguments say.
    Code(&'a [OsString]),
    /// Listens for the call that continues the pipeline.
    Continuation,
}

/// Which of them was called, if any.
pub fn called(arguments: &[OsString]) -> Option<Called<'_>> {
    match arguments {
        [_, verb] if verb == inside::VERB => Some(Called::Step),
        [_, verb] if verb == continuation::VERB => Some(Called::Continuation),
        [_, verb, rest @ ..] if verb == code::VERB => Some(Called::Code(rest)),
        _ => None,
    }
}

/// Does what the runner orders.
pub fn main(called: Called<'_>) -> ExitCode {
    match run(called) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::internal("run the step", error).report(),
    }
}

fn run(called: Called<'_>) -> io::Result<()> {
    let input = own(io::stdin())?;
    let output = tokio::fs::File::from_std(own(io::stdout())?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ended = match called {
        Called::Step => {
            let input = BufReader::new(tokio::fs::File::from_std(input));
            runtime.block_on(step::run(input, output))
        }
        Called::Continuation => {
            let input = tokio::fs::File::from_std(input);
            runtime.block_on(listen::run(input, output))
        }
        Called::Code(arguments) => runtime.block_on(code::run(arguments, input, output)),
    };
    // It may still wait for more from the runner.
    runtime.shutdown_background();
    ended
}

/// Without the locks and the buffers of the process's own streams.
fn own(stream: impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}
