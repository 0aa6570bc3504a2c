//! `outrider run`: the whole platform in this process, for one pipeline of a folder.

mod approvals;
mod check;
mod folders;
mod hurry;
mod observe;
mod outputs;
mod platform;
mod project;
mod screen;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indexmap::IndexMap;
use outrider_api::client::Client;
use outrider_api::pipelines::SubmitPipeline;
use outrider_config::{Options, Orbs, ParameterValue, PipelineValues, SourceFile};
use outrider_model::plan::{Plan, Source};
use outrider_model::{ClassName, PipelineId};

use approvals::Approvals;
use folders::RunFolders;
pub use hurry::Hurried;
pub use observe::{Observer, Verbosity};
use platform::Platform;
pub use project::{Facts, default_config, folder_name, read_config, text_of_config};
use secrets::Secrets;

use crate::args::key_value;
use crate::config;
use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::orbs::OrbArgs;
use crate::runner::ExecutorKind;

/// What to run, and how.
#[derive(Args)]
pub struct RunArgs {
    /// The folder of the project. Files that are not committed come along.
    #[arg(default_value = ".", value_name = "PATH")]
    path: PathBuf,
    /// The config [default: .circleci/config.yml in the folder].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Run only this workflow.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Run only this job, without what it requires.
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// A pipeline parameter; repeat it for more.
    #[arg(short, long = "parameter", value_parser = key_value, value_name = "KEY=VALUE")]
    parameters: Vec<(String, String)>,
    /// An environment variable of all steps; repeat it for more.
    #[arg(short, long = "env", value_parser = key_value, value_name = "KEY=VALUE")]
    environment: Vec<(String, String)>,
    /// A file of KEY=VALUE lines for the environment of all steps.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// A file of KEY=VALUE lines that are secret variables of the project: below the built-in
    /// variables, and masked in logs. Repeat it for more.
    #[arg(long, value_name = "FILE")]
    secret_env_file: Vec<PathBuf>,
    /// A context, with a file of KEY=VALUE lines that are its secret variables; repeat it for more.
    #[arg(long = "context", value_parser = key_value, value_name = "NAME=FILE")]
    contexts: Vec<(String, String)>,
    /// The branch that jobs see [default: the one that is checked out].
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// The tag that jobs see.
    #[arg(long, conflicts_with = "branch", value_name = "NAME")]
    tag: Option<String>,
    /// Approve the approval job with this name as soon as it is on hold, or all of them; repeat it
    /// for more. Without it you are asked, if there is a terminal.
    #[arg(long, value_name = "NAME|all")]
    approve: Vec<String>,
    /// Take what is committed (HEAD), not the files as they are.
    #[arg(long)]
    committed: bool,
    /// How many tasks run at once [default: the number of processors, at least 2].
    #[arg(long, value_name = "N")]
    runners: Option<usize>,
    /// In what all jobs run [default: those that name a docker image in containers, all others as
    /// processes].
    #[arg(long, value_name = "KIND")]
    executor: Option<ExecutorKind>,
    /// Show the output of steps that pass too.
    #[arg(short, long)]
    verbose: bool,
    /// Print one JSON event a line.
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
    /// Leave the data folder: the store, logs and working directories.
    #[arg(long)]
    keep: bool,
    /// Start without the caches and timings of earlier runs, and leave none.
    #[arg(long, env = "OUTRIDER_FRESH")]
    fresh: bool,
    /// Copy what jobs store as artifacts to this folder, in a folder for each job.
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    #[command(flatten)]
    orbs: OrbArgs,
    #[command(flatten)]
    docker: DockerArgs,
}

/// The class of all jobs of a local run.
pub const LOCAL_CLASS: &str = "outrider/local";

/// Runs it.
pub async fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    let mut request = args.request()?;
    let environment = args.environment()?;
    let secrets = Secrets::read(&args.secret_env_file, &args.contexts)?;
    let source = source(&request);
    let orbs = args
        .orbs
        .resolve(&source, Some(&args.config_path()))
        .await?;
    request.orbs = crate::orbs::on_the_wire(&orbs);
    let plan = args.compile(&request, &source, orbs)?;
    check::executor(args.executor, &args.docker, &plan).await?;
    secrets.note_missing(&plan);
    let mut folders = RunFolders::new(&project::folder(&args.path)?, args.keep, args.fresh)?;
    let platform = Platform::start(&args, &mut folders, environment).await?;
    secrets.give(&platform.client, &request.project).await?;
    let submitted = platform.client.submit_pipeline(&request, None).await?;
    let interrupts = platform.cancel_when_interrupted(submitted.id);
    let approvals = Approvals::new(args.approve.clone(), args.json);
    let observer =
        Observer::new(platform.client.clone(), submitted.id, args.verbosity()).deciding(approvals);
    let ended = tokio::select! {
        ended = observer.observe() => ended,
        () = interrupts => Err(Failure::new(code::CANCELED, "stopped before everything had ended")),
        () = platform.runner_failed() => Err(Failure::new(code::LOST, "the runner ended too early")),
    };
    let told = args.tell_outputs(&platform.client, submitted.id).await;
    platform.end().await?;
    folders.leave();
    told?;
    ended
}

impl RunArgs {
    fn request(&self) -> Result<SubmitPipeline, Failure> {
        let folder = project::folder(&self.path)?;
        let path = self.config_path();
        let facts = project::Facts::of(&folder);
        let branch = if self.tag.is_some() {
            None
        } else {
            self.branch.clone().or(facts.branch)
        };
        Ok(SubmitPipeline {
            config: read_config(&path)?,
            config_name: Some(path.display().to_string()),
            project: facts.project,
            parameters: self.parameters.iter().cloned().collect(),
            orbs: BTreeMap::new(),
            source: Source::Directory {
                path: folder.display().to_string(),
                committed: self.committed,
            },
            branch,
            tag: self.tag.clone(),
            revision: facts.revision,
            untrusted: false,
            workflow: self.workflow.clone(),
            job: self.job.clone(),
        })
    }

    fn config_path(&self) -> PathBuf {
        let config = self.config.clone();
        config.unwrap_or_else(|| project::default_config(&self.path))
    }

    /// Compiles before anything is started, so that what is wrong shows at once and in colour.
    fn compile(
        &self,
        request: &SubmitPipeline,
        source: &SourceFile,
        orbs: Orbs,
    ) -> Result<Plan, Failure> {
        let parameters: IndexMap<_, _> = request
            .parameters
            .iter()
            .map(|(key, value)| (key.clone(), ParameterValue::Text(value.clone())))
            .collect();
        let options = Options {
            parameters,
            values: PipelineValues {
                project_slug: Some(request.project.clone()),
                git_branch: request.branch.clone(),
                git_tag: request.tag.clone(),
                git_revision: request.revision.clone(),
                ..PipelineValues::default()
            },
            only_workflow: request.workflow.clone(),
            only_job: request.job.clone(),
            orbs,
            ..Options::new(class()?)
        };
        let compiled = outrider_config::compile(source, &options)
            .map_err(|diagnostics| config::invalid(source, &diagnostics))?;
        config::warn(source, &compiled.warnings);
        Ok(compiled.plan)
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut environment = BTreeMap::new();
        for file in &self.env_file {
            environment.extend(project::read_env_file(file)?);
        }
        environment.extend(self.environment.iter().cloned());
        Ok(environment)
    }

    async fn tell_outputs(&self, client: &Client, pipeline: PipelineId) -> Result<(), Failure> {
        if !self.json {
            outputs::show_failed_tests(client, pipeline).await?;
        }
        match &self.artifacts {
            Some(folder) => outputs::save_artifacts(client, pipeline, folder).await,
            None => Ok(()),
        }
    }

    const fn verbosity(&self) -> Verbosity {
        match (self.json, self.verbose) {
            (true, _) => Verbosity::Json,
            (false, true) => Verbosity::All,
            (false, false) => Verbosity::Failures,
        }
    }
}

fn source(request: &SubmitPipeline) -> SourceFile {
    let name = request.config_name.clone().unwrap_or_default();
    SourceFile::new(name, request.config.clone())
}

fn class() -> Result<ClassName, Failure> {
    LOCAL_CLASS
        .parse()
        .map_err(|error: outrider_model::InvalidClassName| Failure::internal("name a class", error))
}
