//! What runs beside the steps: each service is shown as one more step after those of the config.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::StreamExt;
use outrider_executor::Environment;
use outrider_model::Outcome;
use outrider_model::report::{Exit, StepEnd, StepReport};

use super::Attempt;
use super::step::RunningStep;
use crate::redact::Redacted;

/// How long services may take to be gone once the environment is: then they are taken for gone.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A service has ended.
pub struct ServiceEnded {
    index: usize,
    /// None: with its environment.
    exit: Option<Exit>,
}

impl Attempt {
    /// Shows all services, from the first step on.
    pub(super) fn follow_services(&mut self) {
        let Some(environment) = self.environment.clone() else {
            return;
        };
        for index in 0..environment.services().len() {
            let running = RunningStep::new(self.workshop.clock.now());
            let report = self.service_report(&*environment, index, &running);
            let output = running.output(report.index, &self.delivery);
            let output = Arc::new(Redacted::new(output, Arc::clone(&self.redactor)));
            self.outputs.push(Arc::clone(&output));
            self.steps.insert(report.index, running);
            self.delivery.step_started(report, false);
            let environment = Arc::clone(&environment);
            let following = async move {
                let exit = environment.follow_service(index, Arc::clone(&output) as _);
                let exit = exit.await;
                output.flush().await;
                ServiceEnded { index, exit }
            };
            self.services.push(following.boxed());
        }
    }

    /// Its end is shown; it does not fail the job by itself.
    pub(super) async fn service_ended(&mut self, ended: ServiceEnded) {
        let Some(environment) = self.environment.clone() else {
            return;
        };
        let exit = ended.exit;
        let Some(running) = self.steps.remove(&self.service_step(ended.index)) else {
            return;
        };
        let mut report = self.service_report(&*environment, ended.index, &running);
        if let Some(exit) = exit {
            let text = format!("It has ended with code {}.", exit.shell_code());
            self.say(report.index, &text).await;
        }
        let passed = exit.is_none_or(Exit::success);
        report.ended = Some(StepEnd {
            outcome: if passed {
                Outcome::Passed
            } else {
                Outcome::Failed
            },
            exit,
            duration: running.started.elapsed(),
            usage: None,
        });
        self.delivery.step_ended(report);
    }

    /// The environment is gone, and with it what ran beside the steps.
    pub(super) async fn end_services(&mut self) {
        let last = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(last);
        while !self.services.is_empty() {
            tokio::select! {
                Some(ended) = self.services.next() => self.service_ended(ended).await,
                () = &mut last => break,
            }
        }
        self.services.clear();
        let count = self
            .environment
            .as_ref()
            .map_or(0, |it| it.services().len());
        for index in 0..count {
            self.service_ended(ServiceEnded { index, exit: None }).await;
        }
    }

    fn service_step(&self, index: usize) -> u32 {
        let step = self.task.payload.spec.steps.len() + index;
        u32::try_from(step).unwrap_or(u32::MAX)
    }

    fn service_report(
        &self,
        environment: &dyn Environment,
        index: usize,
        running: &RunningStep,
    ) -> StepReport {
        let service = environment.services().get(index);
        StepReport {
            index: self.service_step(index),
            name: format!("Container {}", service.map_or("", |it| it.name.as_str())),
            started_at: running.started_at,
            ended: None,
        }
    }
}
