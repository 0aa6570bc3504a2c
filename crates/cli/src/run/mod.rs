//! `outrider run`: the whole platform in this process, for one pipeline of a folder.

mod approvals;
mod folders;
mod hurry;
mod observe;
mod outputs;
mod project;
mod screen;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indexmap::IndexMap;
use outrider_api::client::{Client, ClientSettings};
use outrider_api::pipelines::SubmitPipeline;
use outrider_api::tokens::{CreateToken, TokenScope};
use outrider_blobs::Location;
use outrider_config::{Options, Orbs, ParameterValue, PipelineValues, SourceFile};
use outrider_executor::docker::reach;
use outrider_model::plan::{EnvironmentKind, JobSpec, Plan, Source};
use outrider_model::secret::Token;
use outrider_model::{ClassName, PipelineId, Random};
use outrider_server::{Core, DataSettings, Keyring, Parts, Server, ServerSettings, Timings};
use outrider_service::{OsRandom, Shutdown, SystemClock, Tasks};

use approvals::Approvals;
use folders::RunFolders;
pub use hurry::Hurried;
pub use observe::{Observer, Verbosity};
pub use project::{Facts, default_config, folder_name, read_config, text_of_config};
use secrets::Secrets;

use crate::args::key_value;
use crate::config;
use crate::docker_args::DockerArgs;
use crate::failure::{Failure, code};
use crate::local_runner::{self, LocalRunner};
use crate::orbs::{OrbArgs, RunOrbs};
use crate::runner::ExecutorKind;
use crate::server::open_blobs;
use crate::show::hint;

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

/// What was started ends within this time after the pipeline, or is ended.
const END_TIMEOUT: Duration = Duration::from_secs(20);

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
    args.check_executor(&plan).await?;
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

    /// Says early what the runner would say of each job.
    async fn check_executor(&self, plan: &Plan) -> Result<(), Failure> {
        match self.executor {
            Some(ExecutorKind::Process) => Ok(()),
            Some(ExecutorKind::Docker) => {
                no_machines(plan)?;
                self.check_engine(plan).await
            }
            None => self.check_engine(plan).await,
        }
    }

    /// Nobody is surprised by a job that was written for a container and runs on the host.
    async fn check_engine(&self, plan: &Plan) -> Result<(), Failure> {
        let Some((job, image)) = first_image(plan) else {
            return Ok(());
        };
        let engine = self.docker.engine();
        if reach::reachable(engine.as_deref()).await {
            return Ok(());
        }
        let addresses = reach::addresses(engine.as_deref()).join(", ");
        let message = format!(
            "job \"{job}\" wants the docker image {image}, and no Docker Engine is reachable"
        );
        Err(Failure::new(code::BAD_SETTINGS, message).advise(format!(
            "Start Docker or Podman, or say where it listens with --docker-host (tried: \
             {addresses}); or say --executor process to run the job on this host, without the image."
        )))
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

/// The first job that names an image, and the image.
fn first_image(plan: &Plan) -> Option<(&str, &str)> {
    builds(plan).find_map(|(job, spec)| match &spec.environment_kind {
        EnvironmentKind::Docker { images } => Some((job, images.first()?.image.as_str())),
        EnvironmentKind::Machine { .. } | EnvironmentKind::Macos { .. } => None,
    })
}

/// Whoever wants containers only gets no processes.
fn no_machines(plan: &Plan) -> Result<(), Failure> {
    let image = |kind: &EnvironmentKind| matches!(kind, EnvironmentKind::Docker { .. });
    match builds(plan).find(|(_, spec)| !image(&spec.environment_kind)) {
        Some((job, _)) => Err(Failure::new(
            code::BAD_SETTINGS,
            format!(
                "job \"{job}\" names no docker image, and --executor docker runs only containers"
            ),
        )
        .advise("Give the job `docker:` with an image, or leave --executor out.")),
        None => Ok(()),
    }
}

fn builds(plan: &Plan) -> impl Iterator<Item = (&str, &JobSpec)> {
    let jobs = plan.workflows.iter().flat_map(|workflow| &workflow.jobs);
    jobs.filter_map(|job| Some((job.name.as_str(), &job.kind.build()?.spec)))
}

/// Everything that a run starts.
struct Platform {
    client: Client,
    server: Tasks,
    runners: Tasks,
    failed: tokio::sync::watch::Receiver<bool>,
    shutdown: Shutdown,
    runner_shutdown: Shutdown,
}

impl Platform {
    async fn start(
        args: &RunArgs,
        folders: &mut RunFolders,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let shutdown = Shutdown::new();
        let runner_shutdown = Shutdown::new();
        let random: Arc<dyn Random> = Arc::new(OsRandom::new());
        let orbs = Arc::new(RunOrbs::new(&args.orbs, args.config_path()));
        let store = folders.open_store(&random).await?;
        // What stays in a folder after the run does not tell its secrets.
        let keyring = Keyring::generate(random.as_ref());
        let blobs = open_blobs(&Location::Folder(folders.data().join("blobs")))?;
        let parts = Parts {
            orbs,
            store,
            blobs,
            clock: Arc::new(SystemClock),
            random,
            keyring,
            crash: None,
        };
        let settings = settings(folders.work())?;
        let server = Server::bind(parts, settings, shutdown.clone()).await?;
        let client = admin_client(server.core(), server.url()).await?;
        let token = local_runner::class_token(server.core(), &class()?).await?;
        let url = server.url();
        let tasks = Tasks::new();
        tasks.spawn(server.run());

        let runners = Tasks::new();
        let (fail, failed) = tokio::sync::watch::channel(false);
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let settings = local_runner::Settings {
            slots: args.runners.unwrap_or_else(|| processors.max(2)),
            environment,
            executor: args.executor,
            docker: args.docker.clone(),
            hurry: Some(runner_shutdown.clone()),
            kept: Some(folders.data().join("runner")),
            ..local_runner::Settings::new("local", folders.work().join("runner"), url, token)
        };
        let runner = local_runner::start(settings, runner_shutdown.clone())?;
        runners.spawn(watch_runner(runner, fail));
        Ok(Self {
            client,
            server: tasks,
            runners,
            failed,
            shutdown,
            runner_shutdown,
        })
    }

    /// The first interrupt cancels the pipeline, so that it ends in order; the second one returns.
    fn cancel_when_interrupted(&self, pipeline: PipelineId) -> impl Future<Output = ()> + use<> {
        let client = self.client.clone();
        let signals = Shutdown::new();
        let listening = signals.clone();
        async move {
            let cancel = async {
                listening.draining().await;
                hint!("canceling; interrupt again to stop at once");
                let _ = client.cancel_pipeline(pipeline).await;
                listening.stopping().await;
            };
            tokio::select! {
                () = cancel => {}
                _ = async { signals.listen_to_signals().await.ok(); std::future::pending::<()>().await } => {}
            }
        }
    }

    async fn runner_failed(&self) {
        let mut failed = self.failed.clone();
        if failed.wait_for(|failed| *failed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ends the runner, then the server. Nothing is left running.
    async fn end(self) -> Result<(), Failure> {
        self.runner_shutdown.drain();
        if tokio::time::timeout(Duration::from_millis(200), self.runners.ended())
            .await
            .is_err()
        {
            self.runner_shutdown.stop();
            let _ = tokio::time::timeout(END_TIMEOUT, self.runners.ended()).await;
        }
        self.shutdown.drain();
        if tokio::time::timeout(END_TIMEOUT, self.server.ended())
            .await
            .is_err()
        {
            self.shutdown.stop();
        }
        Ok(())
    }
}

async fn watch_runner(runner: LocalRunner, fail: tokio::sync::watch::Sender<bool>) {
    if let Err(failure) = runner.ended().await {
        failure.report();
        fail.send_replace(true);
    }
}

fn settings(data: &Path) -> Result<ServerSettings, Failure> {
    Ok(ServerSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        log_directory: data.join("logs"),
        tls: None,
        behind_tls_proxy: false,
        timings: Timings {
            drain: Duration::from_secs(2),
            ..Timings::default()
        },
        default_class: class()?,
        every_job_in: Some(class()?),
        contexts_must_exist: false,
        webhook: None,
        data: DataSettings::default(),
    })
}

async fn admin_client(core: &Core, url: String) -> Result<Client, Failure> {
    let request = CreateToken {
        scope: TokenScope::Admin {},
        nickname: "you".to_owned(),
    };
    let created = core.create_token(&request).await;
    let created = created.map_err(|error| Failure::internal("make a token", error))?;
    let token = Token::presented(created.token);
    Ok(Client::new(&ClientSettings {
        url,
        token,
        ca_certificates: None,
    })?)
}
