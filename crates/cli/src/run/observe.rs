//! Follows a pipeline to its end, shows how it goes, and finds the exit code.

use std::process::ExitCode;
use std::time::Duration;

use outrider_api::client::{Client, SseStream};
use outrider_api::jobs::{Attempt, LogQuery, TaskDetail};
use outrider_api::pipelines::{Pipeline, PipelineEvent};
use outrider_model::reason::EndReason;
use outrider_model::report::StepReport;
use outrider_model::{JobId, Outcome, PipelineId, Status, TaskId};

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
            failure: None,
        }
    }

    /// Follows it to its end. The exit code is 0 if it passed, else that of the first thing that
    /// failed.
    pub async fn observe(mut self) -> Result<ExitCode, Failure> {
        let detail = self.client.pipeline(self.pipeline).await?;
        let jobs = detail.workflows.iter().flat_map(|workflow| {
            let many = detail.workflows.len() > 1;
            workflow
                .jobs
                .iter()
                .map(move |job| JobLine::new(job, many.then_some(&workflow.name)))
        });
        self.screen.start(&detail.pipeline, jobs.collect());
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
        match (event.job, event.task) {
            (Some(job), Some(task)) => self.task_changed(job, task, event).await?,
            (Some(job), None) => self.screen.job_changed(job, event),
            (None, _) => return Ok(event.status.outcome()),
        }
        Ok(None)
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
        let Pipeline {
            created_at,
            finished_at,
            ..
        } = self.client.pipeline(self.pipeline).await?.pipeline;
        let took = finished_at
            .map(|end| end.since(created_at))
            .unwrap_or_default();
        let code = match outcome {
            Outcome::Passed => 0,
            _ => self.failure.unwrap_or_else(|| exit_code(outcome, None)),
        };
        self.screen.finish(Status::Finished(outcome), took, code);
        Ok(ExitCode::from(code))
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
