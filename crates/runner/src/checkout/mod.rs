//! `checkout`: puts the pipeline's code into the working directory.

mod copy;
mod directory;
mod git;
mod host_git;
mod mirror;
mod variables;

pub use git::ssh_command;

use std::path::{Path, PathBuf};

use outrider_model::plan::{CheckoutStep, Source};
use outrider_model::report::{Exit, Usage};

use crate::attempt::StepContext;
use crate::driver::Failure;

/// How a checkout ended.
type Ended = Result<(Exit, Option<Usage>), Failure>;

/// Runs the step.
pub async fn run(context: &StepContext, step: &CheckoutStep) -> Ended {
    let payload = &context.task.payload;
    let path = step.path.as_deref().unwrap_or(".");
    match &payload.trigger.source {
        Source::None => Err(Failure::User(
            "this pipeline was triggered without code. Trigger it with a git repository \
             (`outrider pipeline trigger --git URL --ref BRANCH`), or take the checkout step out"
                .to_owned(),
        )),
        Source::Git {
            url,
            revision,
            reference,
        } => {
            let wanted = git::Wanted {
                url,
                revision: revision.as_deref().or(payload.trigger.revision.as_deref()),
                reference: reference.as_deref(),
                branch: payload.trigger.branch.as_deref(),
                method: step.method,
            };
            git::run(context, path, &wanted).await
        }
        Source::Directory {
            path: source,
            committed,
        } => {
            let Some(attempt) = context.environment.files().here() else {
                return Err(no_directory(source));
            };
            let target = host_path(context, attempt, path);
            let stop = context.stop.clone();
            let work = directory::run(context, Path::new(source), &target, *committed);
            // Dropping it ends the git that it runs; copying looks at `stop` itself.
            match stop.run_until_cancelled(work).await {
                Some(Ok(())) => Ok((Exit::Code(0), None)),
                Some(Err(failure)) => Err(failure),
                None => Ok((Exit::Signal(15), None)),
            }
        }
    }
}

/// A directory of the host is nothing that is seen inside.
fn no_directory(source: &str) -> Failure {
    Failure::User(format!(
        "this job runs where the files of this host are not seen, so {source} cannot be checked \
         out. Trigger the pipeline with a git repository, or run the job on the host"
    ))
}

/// Where the host, which has the attempt's directory here, has the directory that steps see under
/// `path`.
pub fn host_path(context: &StepContext, attempt: &Path, path: &str) -> PathBuf {
    let seen = context.environment.resolve(path);
    match seen.strip_prefix(context.environment.resolve("~")) {
        Ok(below) => attempt.join(below),
        Err(_) => seen,
    }
}
