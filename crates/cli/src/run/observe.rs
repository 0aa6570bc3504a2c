//! Follows a pipeline to its end, shows how it goes, and finds the exit code.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use outrider_api::ErrorCode;
use outrider_api::client::{Client, SseStream};
use outrider_api::jobs::{Attempt, LogQuery, TaskDetail};
use outrider_api::pipelines::{PipelineDetail, PipelineEvent};
use outrider_model::reason::EndReason;
use outrider_model::report::StepReport;
use outrider_model::{JobId, Outcome, PipelineId, Status, TaskId};

use super::approvals::{Approvals, Held, Next};
use super::screen::{JobLine, Screen};
use crate::failure::{Failure, code};

/// What is shown besides the lines of the jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// The output of steps that fail.
    Failures,
    /// The output of all steps.
    All,
    /// One JSON event a line, with the output of steps that fail.
    Json,
}

/// How often running times are drawn anew.
const TICK: Duration = Duration::from_millis(100);

/// The pause before a broken stream is followed again.
const RECONNECT: Duration = Duration::from_millis(300);

/// For how long a server may be away before following it is given up.
const PATIENCE: u32 = 200;

/// Follows one pipeline.
pub struct Observer {
    client: Client,
    pipeline: PipelineId,
    verbosity: Verbosity,
    screen: Screen,
    seen: u64,
    /// All jobs that are known.
    jobs: HashMap<JobId, Held>,
    /// Who decides on jobs that are on hold; none if somebody else does.
    approvals: Option<Approvals>,
    /// The exit code of what failed first.
    failure: Option<u8>,
}

impl Observer {
    /// An observer that has seen nothing yet.
    pub fn new(client: Client, pipeline: PipelineId, verbosity: Verbosity) -> Self {
        let screen = Screen::new(verbosity == Verbosity::Json);
        Self {
            client,
            pipeline,
            verbosity,
            screen,
            seen: 0,
            jobs: HashMap::new(),
            approvals: None,
            failure: None,
        }
    }

    /// Decides on jobs that are on hold.
    #[must_use]
    pub fn deciding(mut self, approvals: Approvals) -> Self {
        self.approvals = Some(approvals);
        self
    }

    /// Follows it to its end. The exit code is 0 if it passed, else that of the first thing that
    /// failed.
    pub async fn observe(mut self) -> Result<ExitCode, Failure> {
        let detail = self.client.pipeline(self.pipeline).await?;
        let jobs = self.new_jobs(&detail);
        self.screen.start(&detail.pipeline, jobs);
        let mut tries = 0;
        loop {
            let followed = match self.client.follow_pipeline(self.pipeline, self.seen).await {
                Ok(stream) => {
                    tries = 0;
                    self.follow(stream).await?
                }
                Err(error) if error.is_transient() && tries < PATIENCE => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(status) = followed {
                return self.finish(status).await;
            }
            tries += 1;
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// The jobs that were not known before: all at first, and those that a pipeline goes on with.
    fn new_jobs(&mut self, detail: &PipelineDetail) -> Vec<JobLine> {
        let many = detail.workflows.len() > 1;
        let mut lines = Vec::new();
        for workflow in &detail.workflows {
            for job in &workflow.jobs {
                let known = Held {
                    id: job.id,
                    workflow: workflow.name.clone(),
                    name: job.name.clone(),
                };
                if self.jobs.insert(job.id, known).is_none() {
                    lines.push(JobLine::new(job, many.then_some(&workflow.name)));
                }
            }
        }
        lines
    }

    /// Follows one stream: to the pipeline's end, or until it breaks.
    async fn follow(&mut self, mut stream: SseStream) -> Result<Option<Outcome>, Failure> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                _ = tick.tick() => {
                    self.screen.tick();
                    continue;
                }
                (job, yes) = answered(&mut self.approvals) => {
                    self.decide(&job, yes).await?;
                    self.ask_next();
                    continue;
                }
            };
            match event {
                Ok(Some(event)) => {
                    let event: PipelineEvent = serde_json::from_str(&event.data)
                        .map_err(|error| Failure::internal("read an event", error))?;
                    if let Some(outcome) = self.take(&event).await? {
                        return Ok(Some(outcome));
                    }
                }
                Ok(None) => return Ok(None),
                Err(error) if error.is_transient() => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Shows one event. Gives the outcome once the pipeline has one.
    async fn take(&mut self, event: &PipelineEvent) -> Result<Option<Outcome>, Failure> {
        self.seen = event.seq;
        if event.job.is_some_and(|job| !self.jobs.contains_key(&job)) {
            let detail = self.client.pipeline(self.pipeline).await?;
            let jobs = self.new_jobs(&detail);
            self.screen.add(jobs);
        }
        match (event.job, event.task) {
            (Some(job), Some(task)) => self.task_changed(job, task, event).await?,
            (Some(job), None) => self.job_changed(job, event).await?,
            (None, _) if event.status == Status::OnHold => {
                self.check_that_somebody_decides().await?;
            }
            (None, _) => return Ok(event.status.outcome()),
        }
        Ok(None)
    }

    async fn job_changed(&mut self, id: JobId, event: &PipelineEvent) -> Result<(), Failure> {
        self.screen.job_changed(id, event);
        let (Some(approvals), Some(job)) = (&mut self.approvals, self.jobs.get(&id)) else {
            return Ok(());
        };
        if event.status != Status::OnHold {
            return Ok(());
        }
        let job = job.clone();
        match approvals.on_hold(job.clone()) {
            Next::Approve => self.decide(&job, true).await?,
            Next::Ask => self.ask_next(),
            Next::Leave => {}
        }
        Ok(())
    }

    /// Asks about the next job, if there is one and no question is open.
    fn ask_next(&mut self) {
        let Some(approvals) = self.approvals.as_mut().filter(|it| !it.is_asking()) else {
            return;
        };
        if let Some(job) = approvals.next_to_ask() {
            self.screen.ask(&format!("Approve `{}`? [y/N] ", job.name));
            approvals.await_answer(job);
        } else {
            self.screen.asked();
        }
    }

    /// Approves a job that is on hold, or cancels it.
    async fn decide(&self, job: &Held, approve: bool) -> Result<(), Failure> {
        let done = if approve {
            self.client.approve_job(job.id).await.map(drop)
        } else {
            self.client.cancel_job(job.id).await.map(drop)
        };
        match done {
            // It was decided elsewhere in the meantime; its events tell how.
            Err(error) if error.code() == Some(ErrorCode::Conflict) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Nothing goes on before somebody decides: an error if nobody ever will.
    async fn check_that_somebody_decides(&self) -> Result<(), Failure> {
        let Some(approvals) = &self.approvals else {
            return Ok(());
        };
        // Things may have gone on since the event.
        let detail = self.client.pipeline(self.pipeline).await?;
        let jobs = detail.workflows.iter().flat_map(|workflow| &workflow.jobs);
        let on_hold = jobs.filter(|job| job.status == Status::OnHold);
        let waiting: Vec<&Held> = on_hold.filter_map(|job| self.jobs.get(&job.id)).collect();
        let stuck = detail.pipeline.status == Status::OnHold
            && waiting.iter().all(|job| approvals.leaves(job));
        if !stuck {
            return Ok(());
        }
        let names: Vec<&str> = waiting.iter().map(|job| job.name.as_str()).collect();
        let message = format!("nobody is there to approve {}", names.join(", "));
        Err(Failure::new(code::BAD_SETTINGS, message).advise(format!(
            "Say --approve {} or --approve all; on a terminal you are asked.",
            names.join(" --approve ")
        )))
    }

    async fn task_changed(
        &mut self,
        job: JobId,
        task: TaskId,
        event: &PipelineEvent,
    ) -> Result<(), Failure> {
        self.screen.task_changed(job, task, event);
        let Some(outcome) = event.status.outcome() else {
            return Ok(());
        };
        let failed = !matches!(outcome, Outcome::Passed | Outcome::NotRun);
        if !failed && self.verbosity != Verbosity::All {
            return Ok(());
        }
        let detail = self.client.task(task).await?;
        self.show_output(&detail).await?;
        if failed && self.failure.is_none() {
            self.failure = Some(exit_code(outcome, reason(&detail)));
        }
        Ok(())
    }

    /// Shows the output of the steps that matter, and why the task ended.
    async fn show_output(&mut self, task: &TaskDetail) -> Result<(), Failure> {
        let job = self.screen.task_name(task.task.job, task.task.index);
        if let Some(attempt) = task.attempts.last() {
            for step in &attempt.steps {
                let failed = step
                    .ended
                    .as_ref()
                    .is_none_or(|end| end.outcome != Outcome::Passed);
                if failed || self.verbosity == Verbosity::All {
                    let output = self.output(task.task.id, attempt, step).await?;
                    self.screen.step_output(&job, step, &output);
                }
            }
        }
        if let Some(reason) = reason(task) {
            self.screen.ended(&job, reason);
        } else if task.task.status == Status::Finished(Outcome::Failed) {
            // It failed before any runner had to do with it.
            if let Some(end) = self.client.explain(task.task.id).await?.end {
                self.screen.ended(&job, &end);
            }
        }
        Ok(())
    }

    /// What one step wrote.
    async fn output(
        &self,
        task: TaskId,
        attempt: &Attempt,
        step: &StepReport,
    ) -> Result<Vec<u8>, Failure> {
        let mut output = Vec::new();
        for (number, span) in attempt.spans.iter().enumerate() {
            if span.step != step.index {
                continue;
            }
            let end = attempt
                .spans
                .get(number + 1)
                .map_or(attempt.log_length, |next| next.offset);
            let query = LogQuery {
                attempt: Some(attempt.id),
                offset: Some(span.offset),
            };
            let mut response = self.client.log(task, &query).await?;
            let mut left = usize::try_from(end - span.offset).unwrap_or(usize::MAX);
            while left > 0 {
                let chunk = response.chunk().await;
                let chunk = chunk.map_err(|error| {
                    Failure::new(code::UNAVAILABLE, format!("the log broke off: {error}"))
                })?;
                let Some(bytes) = chunk else { break };
                output.extend_from_slice(&bytes[..bytes.len().min(left)]);
                left = left.saturating_sub(bytes.len());
            }
        }
        Ok(output)
    }

    async fn finish(mut self, outcome: Outcome) -> Result<ExitCode, Failure> {
        let detail = self.client.pipeline(self.pipeline).await?;
        let pipeline = &detail.pipeline;
        let took = pipeline
            .finished_at
            .map(|end| end.since(pipeline.created_at))
            .unwrap_or_default();
        let code = match outcome {
            Outcome::Passed => 0,
            _ => self.failure.unwrap_or_else(|| exit_code(outcome, None)),
        };
        self.screen.finish(&detail, took, code);
        Ok(ExitCode::from(code))
    }
}

/// The answer to an open question. Ends only if there is one.
async fn answered(approvals: &mut Option<Approvals>) -> (Held, bool) {
    match approvals {
        Some(approvals) => approvals.answered().await,
        None => std::future::pending().await,
    }
}

fn reason(task: &TaskDetail) -> Option<&EndReason> {
    task.attempts
        .last()
        .and_then(|attempt| attempt.reason.as_ref())
}

/// A failed step's own code; else one that says what kind of end it was.
fn exit_code(outcome: Outcome, reason: Option<&EndReason>) -> u8 {
    match (outcome, reason) {
        (Outcome::Failed, Some(EndReason::StepFailed { exit, .. })) => {
            u8::try_from(exit.shell_code())
                .ok()
                .filter(|code| *code != 0)
                .unwrap_or(code::FAILED)
        }
        (Outcome::Canceled, _) => code::CANCELED,
        (Outcome::TimedOut, _) => code::TIMED_OUT,
        (Outcome::Lost, _) => code::LOST,
        (Outcome::Failed | Outcome::NotRun | Outcome::Passed, _) => code::FAILED,
    }
}
