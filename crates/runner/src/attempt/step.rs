//! One step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outrider_api::data::TaskSecrets;
use outrider_executor::{Environment, ExecRequest, ExecResult, ExecutorError, Output};
use outrider_model::Timestamp;
use outrider_model::claim::ClaimedTask;
use outrider_model::plan::{RunStep, Step};
use outrider_model::report::{Exit, Usage};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::output::{Activity, StepOutput};
use super::{Happened, HostPlace, Workshop, failure, remote_docker, sudo};
use crate::data::blobs::TaskBlobs;
use crate::deliver::Delivery;
use crate::driver::{Event, Failure};
use crate::redact::{Redacted, Redactor};
use crate::{checkout, data, helper, shell, ssh_keys};

/// A step that has started and not ended.
pub struct RunningStep {
    pub started_at: Timestamp,
    pub started: Instant,
    pub activity: Arc<Activity>,
    /// How its process ended; of reruns the last.
    pub exit: Option<Exit>,
    pub usage: Option<Usage>,
}

impl RunningStep {
    pub fn new(started_at: Timestamp) -> Self {
        let activity = Activity::new();
        Self {
            started_at,
            started: Instant::now(),
            activity,
            exit: None,
            usage: None,
        }
    }

    pub fn output(&self, step: u32, delivery: &Arc<Delivery>) -> Arc<dyn Output> {
        Arc::new(StepOutput::new(
            step,
            Arc::clone(delivery),
            Arc::clone(&self.activity),
        ))
    }

    /// Its process ended: of reruns the greatest memory and all the time count.
    pub fn exited(&mut self, event: &Event, usage: Option<Usage>) {
        if let Event::Exited { exit, .. } = event {
            self.exit = Some(*exit);
        }
        self.usage = match (self.usage, usage) {
            (Some(before), Some(now)) => Some(Usage {
                peak_rss_bytes: before.peak_rss_bytes.max(now.peak_rss_bytes),
                cpu: before.cpu + now.cpu,
            }),
            (before, now) => now.or(before),
        };
    }
}

/// Variables that steps which are no scripts have added.
#[derive(Clone, Default)]
pub struct Exports(Arc<Mutex<BTreeMap<String, String>>>);

impl Exports {
    /// These variables, with the added ones.
    pub fn over(&self, variables: &Arc<BTreeMap<String, String>>) -> Arc<BTreeMap<String, String>> {
        let exports = self.lock();
        if exports.is_empty() {
            return Arc::clone(variables);
        }
        let mut variables = BTreeMap::clone(variables);
        variables.extend(exports.clone());
        Arc::new(variables)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that one run of a step needs.
#[derive(Clone)]
pub struct StepContext {
    pub workshop: Arc<Workshop>,
    pub task: Arc<ClaimedTask>,
    pub step: u32,
    pub environment: Arc<dyn Environment>,
    pub host: Arc<HostPlace>,
    pub secrets: Arc<TaskSecrets>,
    pub variables: Arc<BTreeMap<String, String>>,
    pub exports: Exports,
    pub output: Arc<Redacted>,
    pub redactor: Arc<Redactor>,
    pub stop: CancellationToken,
}

impl StepContext {
    /// Runs it to its end.
    pub(super) async fn run(self) -> Happened {
        let output = Arc::clone(&self.output);
        let happened = self.run_step().await;
        output.flush().await;
        happened
    }

    async fn run_step(self) -> Happened {
        let (step, environment) = (self.step, Arc::clone(&self.environment));
        let result = match self.task.payload.spec.steps.get(step as usize) {
            Some(Step::Run(run)) => self.run_script(run).await,
            Some(Step::Checkout(spec)) => checkout::run(&self, spec).await,
            Some(Step::AddSshKeys(spec)) => ssh_keys::run(&self, spec).await.map(ended),
            Some(Step::SetupRemoteDocker(spec)) => remote_docker::run(&self, spec).await.map(ended),
            Some(moving) => data::run(&self, moving).await,
            None => Err(Failure::Infrastructure("there is no such step".to_owned())),
        };
        let halt = helper::is_halted(&*environment).await;
        match result {
            Ok(result) => Happened::StepEnded {
                step,
                event: Event::Exited {
                    step,
                    exit: result.exit,
                    halt,
                    out_of_memory: result.out_of_memory,
                },
                usage: result.usage,
            },
            Err(failure) => Happened::StepEnded {
                step,
                event: Event::NotRun { step, failure },
                usage: None,
            },
        }
    }

    async fn run_script(&self, run: &RunStep) -> Result<ExecResult, Failure> {
        let spec = &self.task.payload.spec;
        let shell = match run.shell.as_ref().or(spec.shell.as_ref()) {
            Some(shell) => shell::split(shell).map_err(Failure::User)?,
            None => match self.environment.default_shell() {
                Some(shell) => shell.to_vec(),
                None => self.workshop.shell.clone(),
            },
        };
        let mut environment = BTreeMap::clone(&self.variables);
        let own = run
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        environment.extend(own);
        let directory = run.working_directory.as_deref().unwrap_or(".");
        let request = ExecRequest {
            shell,
            script: run.command.clone(),
            environment,
            working_directory: self.environment.resolve(directory),
        };
        let result = self.exec_whole(request).await?;
        if !result.exit.success() {
            sudo::hint(self, &run.command).await;
        }
        Ok(result)
    }

    /// Runs a script in the environment.
    pub async fn exec(&self, request: ExecRequest) -> Result<(Exit, Option<Usage>), Failure> {
        let result = self.exec_whole(request).await?;
        Ok((result.exit, result.usage))
    }

    async fn exec_whole(&self, request: ExecRequest) -> Result<ExecResult, Failure> {
        let ended = self
            .environment
            .exec(request, Arc::clone(&self.output) as _)
            .await;
        ended.map_err(|error: ExecutorError| failure(&error))
    }

    /// The blob store, as the task sees it.
    pub fn blobs(&self) -> Arc<TaskBlobs> {
        self.workshop.blobs(&self.task)
    }

    /// A variable for the steps that start after this one.
    pub fn export(&self, name: &str, value: String) {
        let mut exports = self.exports.lock();
        exports.insert(name.to_owned(), value);
    }

    /// Writes a line of the runner's own into the step's output.
    pub async fn say(&self, text: &str) {
        self.output.write(format!("{text}\n").into()).await;
    }
}

fn ended((exit, usage): (Exit, Option<Usage>)) -> ExecResult {
    ended_as(exit, usage)
}

/// The end of what runs within its means.
pub const fn ended_as(exit: Exit, usage: Option<Usage>) -> ExecResult {
    ExecResult {
        exit,
        usage,
        out_of_memory: None,
    }
}
