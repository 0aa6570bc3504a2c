//! Runs one task: does what the [`driver`](crate::driver) wants done, and tells it what happened.

mod host;
mod output;
mod perform;
mod preparing;
mod remote_docker;
mod secrets;
mod services;
mod step;
mod sudo;
mod workshop;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use outrider_api::data::TaskSecrets;
use outrider_executor::{Environment, ExecutorError, Fault};
use outrider_model::claim::ClaimedTask;
use outrider_model::reason::EndReason;
use outrider_model::report::Usage;
use outrider_model::{AttemptId, Outcome};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::chain;
use crate::deliver::{Control, Delivery};
use crate::driver::{Event, Failure, Limits, Rule, State, Verdict};
use crate::redact::{Redacted, Redactor, Secret};
use crate::slots::Slot;
use crate::spool::Entry;
pub use host::HostPlace;
use preparing::{Prepared, Preparing, Progress};
use services::ServiceEnded;
use step::{Exports, RunningStep};
pub use step::{StepContext, ended_as};
pub use workshop::Workshop;

/// One task while it runs.
pub struct Attempt {
    workshop: Arc<Workshop>,
    task: Arc<ClaimedTask>,
    delivery: Arc<Delivery>,
    control: UnboundedReceiver<Control>,
    /// Freed when it is dropped.
    _slot: Slot,
    slot: usize,
    /// What is going on now.
    work: FuturesUnordered<BoxFuture<'static, Happened>>,
    /// What the preparation says, as long as it lasts.
    progress: Option<UnboundedReceiver<Bytes>>,
    /// What runs beside the steps.
    services: FuturesUnordered<BoxFuture<'static, ServiceEnded>>,
    /// Answers the call that continues the pipeline, for jobs in containers.
    continuation: FuturesUnordered<BoxFuture<'static, ()>>,
    environment: Option<Arc<dyn Environment>>,
    host: Arc<HostPlace>,
    secrets: Arc<TaskSecrets>,
    variables: Arc<BTreeMap<String, String>>,
    /// What steps that are no scripts add to the variables of later ones.
    exports: Exports,
    /// Ends what the runner itself does in a step's place.
    stop: CancellationToken,
    steps: BTreeMap<u32, RunningStep>,
    redactor: Arc<Redactor>,
    /// Of all steps: a process that a step leaves behind may write until the end.
    outputs: Vec<Arc<Redacted>>,
    any_started: bool,
    deadline: Option<Instant>,
}

/// Something that was going on has come to its end.
enum Happened {
    Prepared(Result<Prepared, Event>),
    StepEnded {
        step: u32,
        event: Event,
        usage: Option<Usage>,
    },
    Other(Event),
}

impl Attempt {
    /// A claimed task.
    pub fn new(
        workshop: Arc<Workshop>,
        task: ClaimedTask,
        delivery: Arc<Delivery>,
        control: UnboundedReceiver<Control>,
        slot: Slot,
    ) -> Self {
        let redactor = Arc::new(Redactor::default());
        let key = task.continuation_key.as_ref();
        let key = key.map(|key| Secret::new(key.reveal()));
        redactor.add(workshop.settings.secrets.iter().chain(&key));
        Self {
            host: Arc::new(HostPlace::new(Arc::clone(&delivery), slot.index())),
            workshop,
            task: Arc::new(task),
            delivery,
            control,
            slot: slot.index(),
            _slot: slot,
            work: FuturesUnordered::new(),
            progress: None,
            services: FuturesUnordered::new(),
            continuation: FuturesUnordered::new(),
            environment: None,
            secrets: Arc::default(),
            variables: Arc::default(),
            exports: Exports::default(),
            stop: CancellationToken::new(),
            steps: BTreeMap::new(),
            redactor,
            outputs: Vec::new(),
            any_started: false,
            deadline: None,
        }
    }

    /// Runs it to its end. Tells whether the task is to be given back to the queue.
    pub async fn run(mut self) -> bool {
        let verdict = match AssertUnwindSafe(self.drive()).catch_unwind().await {
            Ok(verdict) => verdict,
            Err(_) => self.after_panic().await,
        };
        let give_back = match verdict {
            Verdict::Report { outcome, reason } => {
                let reason = reason.map(|reason| self.redactor.redact_reason(reason));
                self.delivery.finish(outcome, reason);
                false
            }
            Verdict::Forget => {
                self.delivery.abandon();
                false
            }
            Verdict::GiveBack => true,
        };
        self.let_go().await;
        give_back
    }

    async fn drive(&mut self) -> Verdict {
        let rules = self
            .task
            .payload
            .spec
            .steps
            .iter()
            .map(Rule::from)
            .collect();
        let settings = &self.workshop.settings;
        let limits = Limits {
            runner: settings.name.clone(),
            max_run_time: settings.max_run_time,
        };
        let mut state = State::new(rules, limits);
        self.prepare();
        loop {
            let event = self.next_event(&state).await;
            let (next, effects) = state.step(event);
            state = next;
            for effect in effects {
                if let Some(verdict) = self.perform(effect).await {
                    return verdict;
                }
            }
        }
    }

    fn prepare(&mut self) {
        let (said, progress) = unbounded_channel();
        self.progress = Some(progress);
        let preparing = Preparing {
            workshop: Arc::clone(&self.workshop),
            task: Arc::clone(&self.task),
            slot: self.slot,
            redactor: Arc::clone(&self.redactor),
            progress: Arc::new(Progress(said)),
            stop: self.stop.clone(),
        };
        let preparing = async move { Happened::Prepared(preparing.run().await) };
        self.work.push(preparing.boxed());
    }

    /// Waits for what is said of the preparation.
    async fn hear(progress: &mut Option<UnboundedReceiver<Bytes>>) -> Bytes {
        let said = match progress {
            Some(progress) => progress.recv().await,
            None => None,
        };
        match said {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }

    /// Shows it as output of the first step, though that has not started: whoever waits for a pull
    /// sees it move.
    async fn show_progress(&mut self, said: Bytes) {
        let text = String::from_utf8_lossy(&said);
        let text = self.redactor.redact_text(&text).into_owned();
        let steps = &self.task.payload.spec.steps;
        let first = steps.iter().position(|step| step.when().runs(false));
        let first = first.and_then(|step| u32::try_from(step).ok());
        self.delivery.append(first.unwrap_or(0), text.into()).await;
    }

    /// The preparation is over: what is left of what it said comes before the first step's output.
    async fn end_progress(&mut self) {
        let mut progress = self.progress.take();
        while let Some(said) = progress.as_mut().and_then(|it| it.try_recv().ok()) {
            self.show_progress(said).await;
        }
    }

    /// A task that has ended while it was being prepared leaves nothing: what comes of that is
    /// removed, and only then the slot is free.
    async fn let_go(&mut self) {
        self.progress = None;
        if self.environment.is_some() {
            return;
        }
        while let Some(happened) = self.work.next().await {
            if let Happened::Prepared(Ok(prepared)) = happened
                && let Err(error) = prepared.environment.cleanup().await
            {
                let attempt = self.task.attempt;
                tracing::error!(%attempt, "cannot clean up after a task: {}", chain(&error));
            }
        }
    }

    async fn next_event(&mut self, state: &State) -> Event {
        loop {
            let wake = self.wake(state);
            let asleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(control) = self.control.recv() => return self.obey(control),
                said = Self::hear(&mut self.progress) => self.show_progress(said).await,
                Some(ended) = self.services.next() => self.service_ended(ended).await,
                Some(()) = self.continuation.next() => {}
                Some(happened) = self.work.next() => {
                    self.end_progress().await;
                    return self.note(happened);
                }
                () = asleep => {
                    if let Some(event) = self.overdue(state) {
                        return event;
                    }
                }
            }
        }
    }

    /// Whatever the order is, nothing begins any more.
    fn obey(&self, control: Control) -> Event {
        self.stop.cancel();
        match control {
            Control::Cancel => Event::Cancel,
            Control::LeaseLost => Event::LeaseLost,
            Control::StopRunner => Event::StopRunner,
        }
    }

    /// When to look again whether something takes too long.
    fn wake(&self, state: &State) -> Option<Instant> {
        let quiet = state
            .watched()
            .and_then(|(step, limit)| self.quiet_at(step, limit));
        let deadline = self.deadline.filter(|_| state.is_running());
        [quiet, deadline].into_iter().flatten().min()
    }

    /// Until when a step may be silent, as it looks now.
    fn quiet_at(&self, step: u32, limit: Duration) -> Option<Instant> {
        Some(self.steps.get(&step)?.activity.last() + limit)
    }

    fn overdue(&self, state: &State) -> Option<Event> {
        let now = Instant::now();
        if state.is_running() && self.deadline.is_some_and(|deadline| deadline <= now) {
            return Some(Event::TooLong);
        }
        let (step, limit) = state.watched()?;
        (self.quiet_at(step, limit)? <= now).then_some(Event::Quiet { step })
    }

    /// Keeps what the driver need not know.
    fn note(&mut self, happened: Happened) -> Event {
        match happened {
            Happened::Other(event) => event,
            Happened::StepEnded { step, event, usage } => {
                if let Some(running) = self.steps.get_mut(&step) {
                    running.exited(&event, usage);
                }
                event
            }
            Happened::Prepared(Ok(prepared)) => {
                let Prepared {
                    environment,
                    secrets,
                    continuation,
                } = prepared;
                self.delivery.keep(&Entry::Prepared(environment.handle()));
                let settings = &self.workshop.settings;
                let helper = self.workshop.helper.as_deref();
                let server = continuation.as_ref().map(|it| it.url.as_str());
                let server = server.or(settings.server_url.as_deref());
                let task = &self.task;
                let variables =
                    crate::env::of_task(settings, task, &secrets, &*environment, helper, server);
                self.continuation
                    .extend(continuation.map(|it| it.answering));
                self.secrets = Arc::new(secrets);
                self.variables = Arc::new(variables);
                self.environment = Some(environment);
                Event::Prepared
            }
            Happened::Prepared(Err(event)) => event,
        }
    }

    /// An error in this program must not leave a task that never ends, nor its processes.
    async fn after_panic(&mut self) -> Verdict {
        let attempt = self.task.attempt;
        tracing::error!(%attempt, "the task's driver has crashed; its processes are being ended");
        if let Some(environment) = &self.environment {
            remove(attempt, &**environment, &self.host).await;
        }
        let message = "the runner's task driver crashed; see its log".to_owned();
        let reason = Some(EndReason::Infrastructure { message });
        Verdict::Report {
            outcome: Outcome::Lost,
            reason,
        }
    }
}

/// Removes all that was made for a task.
async fn remove(attempt: AttemptId, environment: &dyn Environment, host: &HostPlace) {
    for removed in [environment.cleanup().await, host.close().await] {
        if let Err(error) = removed {
            tracing::error!(%attempt, "cannot clean up after a task: {}", chain(&error));
        }
    }
}

/// An executor's error, for the driver.
pub fn failure(error: &ExecutorError) -> Failure {
    match error.fault {
        Fault::User => Failure::User(chain(error)),
        Fault::Infrastructure => Failure::Infrastructure(chain(error)),
    }
}
