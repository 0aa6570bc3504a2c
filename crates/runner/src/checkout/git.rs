//! From a git repository: by the `git` that the environment has, so that it works in a container
//! or a VM too, and is ended like any other step.

use outrider_executor::ExecRequest;
use outrider_model::plan::CheckoutMethod;

use super::{Ended, git_variables};
use crate::attempt::StepContext;

/// What is to be checked out.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub url: &'a str,
    pub revision: Option<&'a str>,
    pub reference: Option<&'a str>,
    pub branch: Option<&'a str>,
    pub method: CheckoutMethod,
}

/// Takes everything from variables, so that no value is ever read as a part of the script.
const SCRIPT: &str = include_str!("git.sh");

/// Runs git.
pub async fn run(context: &StepContext, path: &str, wanted: &Wanted<'_>) -> Ended {
    let mut environment = git_variables(&context.variables);
    let target = context.environment.resolve(path);
    let (filter, depth) = match wanted.method {
        CheckoutMethod::Blobless => ("blob:none", String::new()),
        CheckoutMethod::Full => ("", String::new()),
        CheckoutMethod::Shallow { depth } => ("", depth.to_string()),
    };
    let own = [
        ("DIRECTORY", target.to_string_lossy().into_owned()),
        ("URL", wanted.url.to_owned()),
        ("REVISION", wanted.revision.unwrap_or_default().to_owned()),
        ("REFERENCE", wanted.reference.unwrap_or_default().to_owned()),
        ("BRANCH", wanted.branch.unwrap_or_default().to_owned()),
        ("FILTER", filter.to_owned()),
        ("DEPTH", depth),
    ];
    environment.extend(own.map(|(name, value)| (format!("OUTRIDER_CHECKOUT_{name}"), value)));
    // A job's exports are not for this script.
    environment.remove("BASH_ENV");
    let request = ExecRequest {
        shell: vec!["/bin/sh".to_owned(), "-eu".to_owned()],
        script: SCRIPT.to_owned(),
        environment,
        working_directory: context.environment.resolve("~"),
    };
    context.exec(request).await
}
