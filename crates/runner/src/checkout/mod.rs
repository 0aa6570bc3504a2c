//! `checkout`: puts the pipeline's code into the working directory.
//!
//! Git always runs on the runner's host. Where the host does not see the files of the job, it makes
//! the tree in a place of its own, and the tree is sent inside (`inside`).

mod copy;
mod directory;
mod git;
mod host;
mod host_git;
mod inside;
mod mirror;
mod pack;
mod variables;

pub use git::ssh_command;

use std::path::{Path, PathBuf};

use outrider_executor::{ExecResult, Files};
use outrider_model::plan::{CheckoutStep, Source};
use outrider_model::report::{Exit, Usage};

use self::directory::Objects;
use crate::attempt::{StepContext, ended_as};
use crate::driver::Failure;

/// How a checkout ended.
type Ended = Result<(Exit, Option<Usage>), Failure>;

/// The code that a step asks for.
struct Code<'a> {
    context: &'a StepContext,
    step: &'a CheckoutStep,
    /// What the job calls the directory that it goes to.
    called: PathBuf,
}

/// Runs the step.
pub async fn run(context: &StepContext, step: &CheckoutStep) -> Result<ExecResult, Failure> {
    let path = step.path.as_deref().unwrap_or(".");
    let code = Code {
        context,
        step,
        called: context.environment.resolve(path),
    };
    match context.environment.files() {
        Files::Here(home) => {
            let ended = code.obtain(context, home, path, Objects::Borrowed).await;
            ended.map(|(exit, usage)| ended_as(exit, usage))
        }
        Files::Inside(inside) => inside::run(&code, inside).await,
    }
}

impl Code<'_> {
    fn source(&self) -> &Source {
        &self.context.task.payload.trigger.source
    }

    /// Puts it into a directory of this host, by the environment there that `context` has.
    async fn obtain(
        &self,
        context: &StepContext,
        home: &Path,
        path: &str,
        objects: Objects,
    ) -> Ended {
        match self.source() {
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
                let trigger = &context.task.payload.trigger;
                let wanted = git::Wanted {
                    called: &self.called,
                    url,
                    revision: revision.as_deref().or(trigger.revision.as_deref()),
                    reference: reference.as_deref(),
                    branch: trigger.branch.as_deref(),
                    method: self.step.method,
                };
                git::run(context, path, &wanted).await
            }
            Source::Directory {
                path: source,
                committed,
            } => {
                let target = host_path(context, home, path);
                let source = Path::new(source);
                let stop = context.stop.clone();
                let work = directory::run(context, source, &target, *committed, objects);
                // Dropping it ends the git that it runs; copying looks at `stop` itself.
                match stop.run_until_cancelled(work).await {
                    Some(Ok(())) => Ok((Exit::Code(0), None)),
                    Some(Err(failure)) => Err(failure),
                    None => Ok((Exit::Signal(15), None)),
                }
            }
        }
    }
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
