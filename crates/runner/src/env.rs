//! The environment of steps.
//!
//! From the strongest to the weakest: the step's own `environment`, the job's, what the runner's
//! owner added (`-e`), the built-in variables, those of the contexts, those of the project, and what
//! the environment itself has: on a host a few that the runner has, in a container those that the
//! config gives the image (`docker: [{environment: …}]`) and below them those of the image. See
//! <https://circleci.com/docs/variables/> for the built-in ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use outrider_api::data::TaskSecrets;
use outrider_executor::{Environment, Files, SHELL_ENV};
use outrider_model::claim::ClaimedTask;
use outrider_model::plan::{Source, Trigger};

use crate::{RunnerSettings, helper};

/// What steps see of the runner's own environment. Nothing else: there may be secrets in it.
pub const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "DOCKER_HOST",
];

/// Those by which steps act in the name of the runner's owner: not for code that is not trusted.
const OWNERS: [&str; 2] = ["SSH_AUTH_SOCK", "DOCKER_HOST"];

/// The variables of all steps of a task, without the steps' own. The helper's folder comes first on
/// whatever `PATH` there is. `server` is how the job reaches the server, if it may.
pub fn of_task(
    settings: &RunnerSettings,
    task: &ClaimedTask,
    secrets: &TaskSecrets,
    environment: &dyn Environment,
    helper: Option<&Path>,
    server: Option<&str>,
) -> BTreeMap<String, String> {
    let mut variables = match environment.variables() {
        // Those of the image and of its entry in the config; nothing of this host.
        Some(own) => own.clone(),
        None => inherited(settings, task.payload.trigger.untrusted),
    };
    let given = secrets.variables.iter();
    variables.extend(given.map(|it| (it.name.clone(), it.value.clone())));
    variables.extend(
        built_in(task)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    variables.extend(of_continuation(server, task));
    if let Some(program) = program(settings, environment) {
        let program = program.to_string_lossy().into_owned();
        variables.insert("OUTRIDER_PROGRAM".to_owned(), program);
    }
    let path = |path: &str| environment.resolve(path).to_string_lossy().into_owned();
    let shell_env = path(&format!("~/{SHELL_ENV}"));
    let directory = path(".");
    variables.insert("CIRCLE_WORKING_DIRECTORY".to_owned(), directory);
    variables.insert("CIRCLE_SHELL_ENV".to_owned(), shell_env.clone());
    variables.insert("BASH_ENV".to_owned(), shell_env);
    let task_data = helper::task_data(environment)
        .to_string_lossy()
        .into_owned();
    variables.insert(helper::TASK_DATA_VARIABLE.to_owned(), task_data);
    variables.extend(settings.extra_environment.clone());
    let job = &task.payload.spec.environment;
    variables.extend(
        job.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if let Some(folder) = helper_folder(environment, helper) {
        let path = helper::path_with(folder, variables.get("PATH"));
        variables.insert("PATH".to_owned(), path);
    }
    variables
}

/// What programs see that the runner runs on its own host for a job that runs elsewhere. There is
/// nothing of the job in it: whoever writes the job writes its variables, and must not run anything
/// on the host by them.
pub fn of_host(settings: &RunnerSettings, untrusted: bool) -> BTreeMap<String, String> {
    let mut variables = inherited(settings, untrusted);
    variables.extend(settings.extra_environment.clone());
    variables
}

/// What steps on this host see of the runner's own environment.
fn inherited(settings: &RunnerSettings, untrusted: bool) -> BTreeMap<String, String> {
    INHERITED
        .into_iter()
        .filter(|name| !(untrusted && OWNERS.contains(name)))
        .filter_map(|name| settings.inherited_environment.get_key_value(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The folder of the helper, as steps see it: a container has its own.
fn helper_folder<'a>(
    environment: &'a dyn Environment,
    helper: Option<&'a Path>,
) -> Option<&'a Path> {
    match environment.files() {
        Files::Here(_) => helper,
        Files::Inside(_) => environment.helper_directory(),
    }
}

/// The program itself, as steps see it.
fn program(settings: &RunnerSettings, environment: &dyn Environment) -> Option<PathBuf> {
    match environment.files() {
        Files::Here(_) => settings.program.clone(),
        Files::Inside(_) => Some(environment.helper_directory()?.join("outrider")),
    }
}

/// What a job of a setup config needs to continue its pipeline.
fn of_continuation(
    server: Option<&str>,
    task: &ClaimedTask,
) -> impl Iterator<Item = (String, String)> {
    let key = task.continuation_key.as_ref();
    let url = server.filter(|_| key.is_some()).map(str::to_owned);
    let known = [
        (
            "CIRCLE_CONTINUATION_KEY",
            key.map(|key| key.reveal().to_owned()),
        ),
        ("OUTRIDER_URL", url),
    ];
    let named = known.into_iter();
    named.filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

fn built_in(task: &ClaimedTask) -> Vec<(&'static str, String)> {
    let payload = &task.payload;
    let mut variables = vec![
        ("CI", "true".to_owned()),
        ("CIRCLECI", "true".to_owned()),
        ("OUTRIDER", "true".to_owned()),
        ("OUTRIDER_ATTEMPT", task.attempt.to_string()),
        ("CIRCLE_BUILD_NUM", payload.job_number.to_string()),
        ("CIRCLE_JOB", payload.job_name.clone()),
        ("CIRCLE_NODE_INDEX", task.index.to_string()),
        ("CIRCLE_NODE_TOTAL", payload.parallelism.to_string()),
        ("CIRCLE_PIPELINE_ID", payload.pipeline.to_string()),
        (
            "CIRCLE_PIPELINE_NUMBER",
            payload.pipeline_number.to_string(),
        ),
        ("CIRCLE_WORKFLOW_ID", payload.workflow.to_string()),
        ("CIRCLE_WORKFLOW_JOB_ID", payload.job.to_string()),
        ("CIRCLE_WORKFLOW_WORKSPACE_ID", payload.workflow.to_string()),
    ];
    variables.extend(of_trigger(&payload.trigger));
    variables
}

fn of_trigger(trigger: &Trigger) -> Vec<(&'static str, String)> {
    let mut variables = Vec::new();
    let (owner, name) = trigger
        .project
        .rsplit_once('/')
        .unwrap_or(("", &trigger.project));
    let url = match &trigger.source {
        Source::Git { url, .. } => Some(url.clone()),
        Source::None | Source::Directory { .. } => None,
    };
    let revision = match &trigger.source {
        Source::Git { revision, .. } => trigger.revision.clone().or_else(|| revision.clone()),
        Source::None | Source::Directory { .. } => trigger.revision.clone(),
    };
    let uncommitted = match &trigger.source {
        Source::Directory { committed, .. } => !committed,
        Source::None | Source::Git { .. } => false,
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let known = [
        ("CIRCLE_BRANCH", trigger.branch.clone()),
        ("CIRCLE_TAG", trigger.tag.clone()),
        ("CIRCLE_SHA1", revision),
        ("CIRCLE_PROJECT_USERNAME", some(owner)),
        ("CIRCLE_PROJECT_REPONAME", some(name)),
        ("CIRCLE_REPOSITORY_URL", url),
        (
            "OUTRIDER_UNCOMMITTED",
            uncommitted.then(|| "true".to_owned()),
        ),
    ];
    variables.extend(
        known
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    variables
}
