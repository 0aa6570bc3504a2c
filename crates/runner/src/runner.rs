//! One runner: recovers, claims, runs, delivers, says goodbye.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outrider_api::runner::{GoodbyeRequest, HeldLease, ReleaseRequest};
use outrider_executor::Executor;
use outrider_model::claim::ClaimedTask;
use outrider_model::{Random, RunnerId};
use outrider_service::{Clock, Shutdown, Tasks};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, Workshop};
use crate::backoff::{Backoff, chain};
use crate::claim::{Claims, Employer};
use crate::deliver::{Control, Delivery, Ledger, Outbox, Reporter};
use crate::heartbeat::Heartbeat;
use crate::log::{Disk, Log, TreeHash};
use crate::recover::Recovery;
use crate::slots::Slots;
use crate::spool::Spool;
use crate::{DataApi, RunnerError, RunnerSettings, ServerApi, helper, shell};

/// How long a runner that was told to stop tries to deliver what it has.
const LAST_DELIVERY: Duration = Duration::from_secs(5);
/// How much longer than the grace the end of all processes may take before it is given up.
const STOP_MARGIN: Duration = Duration::from_secs(15);
/// How long the end of what has waited for tasks may take. What is left then ends with the process.
const EXECUTOR_END: Duration = Duration::from_secs(10);
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// An agent that claims tasks and runs them.
pub struct Runner {
    settings: RunnerSettings,
    api: Arc<dyn ServerApi>,
    data: Arc<dyn DataApi>,
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Runner {
    /// A runner that does nothing yet.
    pub fn new(
        settings: RunnerSettings,
        api: Arc<dyn ServerApi>,
        data: Arc<dyn DataApi>,
        executor: Arc<dyn Executor>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            settings,
            api,
            data,
            executor,
            clock,
            random,
        }
    }

    /// Runs until it is drained, stopped, or refused by the server.
    ///
    /// - `shutdown.drain()`: takes no more work, finishes what runs, delivers it, says goodbye.
    /// - `shutdown.stop()`: ends what runs and delivers that for a few seconds. What the server
    ///   does not have then waits in the spool for the next start.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), RunnerError> {
        let (spool, leftovers) = Spool::open(&self.settings.spool)?;
        if let Some(trees) = &self.settings.trees {
            crate::data::forget_old_trees(trees);
        }
        let house = House::new(self, spool, shutdown.child());
        let (end, background) = house.start_background();

        let released = house.recovery().run(leftovers).await;
        house.give_back_in_background(released, &background);
        house.runner.executor.begin();
        let result = house.claims().run(&house).await;
        if let Err(error) = &result {
            tracing::error!("no more work is taken: {}", chain(error));
        }
        house.wind_down(result.is_err()).await;

        end.cancel();
        // Those that did not end in time do not hold this up either.
        let _ = tokio::time::timeout(GOODBYE, house.workers.ended()).await;
        let _ = tokio::time::timeout(EXECUTOR_END, house.runner.executor.end()).await;
        background.ended().await;
        let goodbye = GoodbyeRequest { runner: house.id };
        let _ = tokio::time::timeout(GOODBYE, house.runner.api.goodbye(&goodbye)).await;
        result
    }
}

impl Runner {
    /// Makes the folder with the helper. Jobs that do not call it run without it too.
    fn install_helper(&self) -> Option<PathBuf> {
        let program = self.settings.program.as_deref()?;
        helper::install(program, &self.settings.spool)
            .inspect_err(|error| {
                tracing::warn!("jobs will not find the commands of `circleci`: {error}");
            })
            .ok()
    }
}

/// A runner at work, and all that its parts share.
struct House {
    runner: Runner,
    id: RunnerId,
    workshop: Arc<Workshop>,
    spool: Arc<Spool>,
    ledger: Arc<Ledger>,
    outbox: Arc<Outbox>,
    slots: Arc<Slots>,
    /// Drivers of tasks.
    workers: Tasks,
    shutdown: Shutdown,
}

impl House {
    fn new(runner: Runner, spool: Arc<Spool>, shutdown: Shutdown) -> Arc<Self> {
        let id = RunnerId::new(runner.clock.now(), &*runner.random);
        let workshop = Arc::new(Workshop {
            settings: runner.settings.clone(),
            api: Arc::clone(&runner.api),
            executor: Arc::clone(&runner.executor),
            data: Arc::clone(&runner.data),
            clock: Arc::clone(&runner.clock),
            random: Arc::clone(&runner.random),
            shell: shell::default_shell(),
            helper: runner.install_helper(),
        });
        Arc::new(Self {
            id,
            workshop,
            spool,
            ledger: Arc::default(),
            outbox: Arc::default(),
            slots: Slots::new(runner.settings.slots),
            workers: Tasks::new(),
            shutdown,
            runner,
        })
    }

    /// The loops that deliver reports and keep leases.
    fn start_background(&self) -> (CancellationToken, Tasks) {
        let (end, tasks) = (CancellationToken::new(), Tasks::new());
        let reporter = Reporter {
            api: Arc::clone(&self.runner.api),
            outbox: Arc::clone(&self.outbox),
            ledger: Arc::clone(&self.ledger),
            random: Arc::clone(&self.runner.random),
            end: end.clone(),
            tasks: tasks.clone(),
        };
        let heartbeat = Heartbeat {
            api: Arc::clone(&self.runner.api),
            ledger: Arc::clone(&self.ledger),
            runner: self.id,
            interval: self.runner.settings.heartbeat,
            shutdown: self.shutdown.clone(),
            random: Arc::clone(&self.runner.random),
            end: end.clone(),
        };
        tasks.spawn(reporter.run());
        tasks.spawn(heartbeat.run());
        (end, tasks)
    }

    fn recovery(&self) -> Recovery<'_> {
        Recovery {
            executor: &*self.runner.executor,
            spool: &self.spool,
            ledger: &self.ledger,
            outbox: &self.outbox,
            clock: &*self.runner.clock,
        }
    }

    fn claims(&self) -> Claims<'_> {
        Claims {
            api: &*self.runner.api,
            identity: self.runner.settings.identity(self.id),
            settings: &self.runner.settings,
            slots: &self.slots,
            executor: &*self.runner.executor,
            ledger: &self.ledger,
            shutdown: &self.shutdown,
            random: Arc::clone(&self.runner.random),
        }
    }

    fn give_back_in_background(self: &Arc<Self>, deliveries: Vec<Arc<Delivery>>, tasks: &Tasks) {
        if deliveries.is_empty() {
            return;
        }
        let house = Arc::clone(self);
        tasks.spawn(async move { house.give_back(&deliveries).await });
    }

    /// Gives tasks back to the queue. Gives up when the runner stops: then their leases run out.
    async fn give_back(&self, deliveries: &[Arc<Delivery>]) {
        let leases: Vec<HeldLease> = deliveries.iter().map(|delivery| delivery.lease).collect();
        let request = ReleaseRequest { leases };
        let mut backoff = Backoff::new("give tasks back", Arc::clone(&self.runner.random));
        let work = async {
            while let Err(error) = self.runner.api.release(&request).await {
                if !error.is_transient() {
                    tracing::warn!("the server takes no task back: {}", chain(&error));
                    break;
                }
                backoff.failed(&chain(&error)).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = self.stopped_for(LAST_DELIVERY) => {}
        }
        for delivery in deliveries {
            delivery.abandon();
            self.ledger.close(delivery);
        }
    }

    /// Gives back what was never begun. If that does not get there, the lease runs out.
    async fn refuse(&self, lease: HeldLease) {
        let release = ReleaseRequest {
            leases: vec![lease],
        };
        let _ = self.runner.api.release(&release).await;
    }

    /// Until the runner has been stopping for so long.
    async fn stopped_for(&self, duration: Duration) {
        self.shutdown.stopping().await;
        tokio::time::sleep(duration).await;
    }

    /// Waits for what runs and for its delivery, as long as is allowed.
    async fn wind_down(&self, refused: bool) {
        tokio::select! {
            () = self.idle() => {}
            () = self.shutdown.stopping() => {}
            () = self.drained_too_long() => tracing::warn!("drained for too long: stopping"),
        }
        if !self.slots.idle() {
            self.shutdown.stop();
            self.ledger
                .all()
                .iter()
                .for_each(|delivery| delivery.tell(Control::StopRunner));
            let most = self.runner.settings.stop_grace + STOP_MARGIN;
            if tokio::time::timeout(most, self.idle()).await.is_err() {
                tracing::error!("some tasks did not end; the next start ends what they left");
            }
        }
        let bounded = refused || self.shutdown.is_stopping();
        tokio::select! {
            () = self.delivered() => {}
            () = tokio::time::sleep(LAST_DELIVERY), if bounded => {}
            () = self.stopped_for(LAST_DELIVERY) => {}
        }
        let left = self.ledger.len();
        if left > 0 {
            tracing::warn!(
                tasks = left,
                "not all is delivered; the next start goes on with it"
            );
        }
    }

    async fn idle(&self) {
        while !self.slots.idle() {
            self.slots.freed.notified().await;
        }
    }

    async fn delivered(&self) {
        while self.ledger.len() > 0 {
            self.ledger.fewer.notified().await;
        }
    }

    async fn drained_too_long(&self) {
        match self.runner.settings.drain_timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    }
}

impl Employer for Arc<House> {
    async fn begin(&self, task: ClaimedTask) -> Result<(), &'static str> {
        let attempt = task.attempt;
        let lease = HeldLease {
            task: task.task,
            lease: task.lease,
        };
        // The claim may have waited for long.
        if self.runner.executor.obstacle().await.is_some() {
            self.refuse(lease).await;
            return Err("a task came when none could start");
        }
        let slot = self.slots.take();
        let journal = self.spool.begin(&task, &self.runner.settings.name);
        let (Some(slot), Ok(journal)) = (slot, journal.map_err(|error| {
            tracing::warn!(%attempt, "cannot write to the spool; giving the task back: {error}");
        })) else {
            self.refuse(lease).await;
            return Err("the spool has no room for a task");
        };
        let (control, controls) = unbounded_channel();
        let log = Log::new(Disk::default(), TreeHash::default());
        let delivery = Delivery::new(attempt, lease, log, journal, &self.outbox, control);
        self.ledger.add(Arc::clone(&delivery));
        let workshop = Arc::clone(&self.workshop);
        let attempt = Attempt::new(workshop, task, Arc::clone(&delivery), controls, slot);
        let house = Arc::clone(self);
        self.workers.spawn(async move {
            if attempt.run().await {
                house.give_back(&[delivery]).await;
            }
        });
        Ok(())
    }
}
