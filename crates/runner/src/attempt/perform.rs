//! What the driver wants done.

use std::sync::Arc;

use futures_util::FutureExt;
use outrider_model::Outcome;
use outrider_model::report::{StepEnd, StepReport};

use super::step::{RunningStep, StepContext};
use super::{Attempt, Happened, remove};
use crate::backoff::chain;
use crate::driver::{Effect, Event, Verdict};
use crate::redact::Redacted;

impl Attempt {
    /// Does it, or starts to. A verdict ends the task.
    pub(super) async fn perform(&mut self, effect: Effect) -> Option<Verdict> {
        match effect {
            Effect::Start { step } => self.start(step).await,
            Effect::Restart { step } => self.run_step(step),
            Effect::Pause { step, delay } => self.work.push(
                async move {
                    tokio::time::sleep(delay).await;
                    Happened::Other(Event::Rerun { step })
                }
                .boxed(),
            ),
            Effect::End { step, outcome } => self.end(step, outcome),
            Effect::Say { step, text } => self.say(step, &text).await,
            Effect::Stop => self.stop_all(),
            Effect::CleanUp => self.clean_up(),
            Effect::Finish(verdict) => {
                self.end_services().await;
                return Some(verdict);
            }
        }
        None
    }

    async fn start(&mut self, step: u32) {
        let Some(spec) = self.task.payload.spec.steps.get(step as usize) else {
            return;
        };
        let running = RunningStep::new(self.workshop.clock.now());
        let report = StepReport {
            index: step,
            name: spec.name().to_owned(),
            started_at: running.started_at,
            ended: None,
        };
        self.steps.insert(step, running);
        let first = !std::mem::replace(&mut self.any_started, true);
        if first {
            self.deadline =
                tokio::time::Instant::now().checked_add(self.workshop.settings.max_run_time);
        }
        self.delivery.step_started(report, first);
        if first {
            self.follow_services();
            self.say_what_is_missing(step).await;
        }
        self.run_step(step);
    }

    fn run_step(&mut self, step: u32) {
        let (Some(environment), Some(running)) = (&self.environment, self.steps.get(&step)) else {
            return;
        };
        running.activity.touch();
        let output = running.output(step, &self.delivery);
        let output = Arc::new(Redacted::new(output, Arc::clone(&self.redactor)));
        self.outputs.push(Arc::clone(&output));
        let context = StepContext {
            workshop: Arc::clone(&self.workshop),
            task: Arc::clone(&self.task),
            step,
            environment: Arc::clone(environment),
            host: Arc::clone(&self.host),
            secrets: Arc::clone(&self.secrets),
            variables: self.exports.over(&self.variables),
            exports: self.exports.clone(),
            output,
            redactor: Arc::clone(&self.redactor),
            stop: self.stop.clone(),
        };
        self.work.push(context.run().boxed());
    }

    async fn say_what_is_missing(&mut self, step: u32) {
        let secrets = Arc::clone(&self.secrets);
        for context in &secrets.missing_contexts {
            let text =
                format!("There is no context \"{context}\": the job runs without its variables.");
            self.say(step, &text).await;
        }
    }

    fn end(&mut self, step: u32, outcome: Outcome) {
        let (Some(running), Some(spec)) = (
            self.steps.remove(&step),
            self.task.payload.spec.steps.get(step as usize),
        ) else {
            return;
        };
        let end = StepEnd {
            outcome,
            exit: running.exit,
            duration: running.started.elapsed(),
            usage: running.usage,
        };
        self.delivery.step_ended(StepReport {
            index: step,
            name: spec.name().to_owned(),
            started_at: running.started_at,
            ended: Some(end),
        });
    }

    /// A line of the runner's own in a step's output.
    pub(super) async fn say(&mut self, step: u32, text: &str) {
        let text = self.redactor.redact_text(text);
        self.delivery
            .append(step, format!("[outrider] {text}\n").into())
            .await;
    }

    fn stop_all(&mut self) {
        self.stop.cancel();
        let Some(environment) = self.environment.clone() else {
            return;
        };
        let (attempt, grace) = (self.task.attempt, self.workshop.settings.stop_grace);
        let host = Arc::clone(&self.host);
        let stopping = async move {
            let (inside, outside) = tokio::join!(environment.stop(grace), host.stop(grace));
            for error in [inside, outside].into_iter().filter_map(Result::err) {
                tracing::error!(%attempt, "cannot stop a task's processes: {}", chain(&error));
            }
            Happened::Other(Event::Stopped)
        };
        self.work.push(stopping.boxed());
    }

    fn clean_up(&mut self) {
        let Some(environment) = self.environment.clone() else {
            return;
        };
        let (attempt, host) = (self.task.attempt, Arc::clone(&self.host));
        let outputs = std::mem::take(&mut self.outputs);
        let cleaning = async move {
            remove(attempt, &*environment, &host).await;
            for output in outputs {
                output.flush().await;
            }
            Happened::Other(Event::CleanedUp)
        };
        self.work.push(cleaning.boxed());
    }
}
