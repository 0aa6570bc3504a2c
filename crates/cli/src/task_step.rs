//! `outrider task-step`: what the runner starts inside an environment whose files it does not see.
//! For nobody else, so it stands in no help.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use outrider_runner::inside::{VERB, step};
use tokio::io::BufReader;
use tokio::runtime::Builder;

use crate::failure::Failure;

/// Whether it is this that was called.
pub fn is_called(arguments: &[OsString]) -> bool {
    matches!(arguments, [_, verb] if verb == VERB)
}

/// Runs the step that the runner names.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::internal("run the step", error).report(),
    }
}

fn run() -> io::Result<()> {
    let input = own(io::stdin())?;
    let output = own(io::stdout())?;
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let ended = runtime.block_on(step::run(BufReader::new(input), output));
    // It may still wait for more from the runner.
    runtime.shutdown_background();
    ended
}

/// Without the locks and the buffers of the process's own streams.
fn own(stream: impl AsFd) -> io::Result<tokio::fs::File> {
    let stream = stream.as_fd().try_clone_to_owned()?;
    Ok(tokio::fs::File::from_std(File::from(stream)))
}
