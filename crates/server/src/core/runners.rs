//! What runners ask for: work, and to be heard.

use std::time::Duration;

use outrider_api::runner::{
    ClaimRequest, ClaimResponse, HeartbeatRequest, HeartbeatResponse, LeaseStanding, ReleaseRequest,
};
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::{ClassName, RunnerId};
use outrider_store::{
    Claim, HeldLease, INLINE_LOG_MAX, LeaseAnswer, LeaseDurations, RawClaimedTask, RunnerContact,
};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Core, lock};
use crate::ApiError;
use crate::watch::Topic;

/// The inventory hears of a runner that waits for work once in this time.
const CONTACT_INTERVAL: Duration = Duration::from_secs(10);

/// No runner gets more tasks at once, whatever it asks for.
const MOST_SLOTS: u32 = 1_000;

impl Core {
    /// Gives work to a runner, waiting for it if there is none.
    pub async fn claim(
        &self,
        class: &ClassName,
        request: &ClaimRequest,
    ) -> Result<ClaimResponse<Box<RawValue>>, ApiError> {
        self.see(class, request).await?;
        let deadline = Instant::now() + self.wait(request.wait_ms);
        loop {
            // The place comes first: work that arrives after the look at the store wakes it.
            let mut place = self.hub.join(class, request.slots);
            if self.is_drained(request.runner.id) {
                return Ok(ClaimResponse {
                    tasks: Vec::new(),
                    drain: true,
                });
            }
            let tasks = self.claim_now(class, request).await?;
            if !tasks.is_empty() || self.shutdown.is_draining() {
                place.used();
                return Ok(ClaimResponse {
                    tasks,
                    drain: false,
                });
            }
            tokio::select! {
                () = place.woken() => place.used(),
                () = tokio::time::sleep_until(deadline) => {
                    return Ok(ClaimResponse { tasks: Vec::new(), drain: false });
                }
                () = self.shutdown.draining() => {}
            }
        }
    }

    async fn claim_now(
        &self,
        class: &ClassName,
        request: &ClaimRequest,
    ) -> Result<Vec<RawClaimedTask>, ApiError> {
        let claim = Claim {
            class: class.clone(),
            runner: request.runner.id,
            runner_name: request.runner.name.clone(),
            slots: request.slots.min(MOST_SLOTS),
            lease: self.settings.timings.claim_lease,
        };
        let tasks = self.store.claim(claim, self.clock.now()).await?;
        self.metrics.claims.inc_by(tasks.len() as u64);
        if !tasks.is_empty() {
            self.touch_tasks(tasks.iter().map(|task| task.task));
        }
        Ok(tasks)
    }

    /// Takes reports about tasks. Answers in their order.
    pub async fn report(&self, reports: Vec<Report>) -> Result<Vec<ReportAnswer>, ApiError> {
        let mut answers = vec![None; reports.len()];
        let mut plain = Vec::with_capacity(reports.len());
        let mut places = Vec::with_capacity(reports.len());
        for (place, mut report) in reports.into_iter().enumerate() {
            match self.take_long_log(&mut report).await? {
                Some(refusal) => answers[place] = Some(refusal),
                None => {
                    plain.push(report);
                    places.push(place);
                }
            }
        }
        for (place, answer) in places.into_iter().zip(self.report_plain(plain).await?) {
            answers[place] = Some(answer);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Takes what concerns the file of a long log out of a report. Answers if that ends the matter.
    async fn take_long_log(&self, report: &mut Report) -> Result<Option<ReportAnswer>, ApiError> {
        let is_long = |end: u64| end > INLINE_LOG_MAX;
        if let Some(chunk) = report
            .log
            .take_if(|chunk| is_long(chunk.offset + chunk.bytes.len() as u64))
        {
            let pieces = vec![chunk.bytes.into()];
            let answer = self
                .write_log(report.task, report.lease, chunk.offset, pieces)
                .await?;
            if !matches!(answer, ReportAnswer::Accepted { .. }) {
                return Ok(Some(answer));
            }
        }
        match &report.finished {
            Some(finished) if is_long(finished.log_length) => {
                self.check_long_log(report.task, report.lease, finished)
                    .await
            }
            _ => Ok(None),
        }
    }

    /// Reports whose logs the store keeps itself.
    pub(super) async fn report_plain(
        &self,
        reports: Vec<Report>,
    ) -> Result<Vec<ReportAnswer>, ApiError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let bytes: usize = reports
            .iter()
            .filter_map(|r| r.log.as_ref())
            .map(|l| l.bytes.len())
            .sum();
        let lease = self.settings.timings.running_lease;
        let reported = self.store.report(reports, lease, self.clock.now()).await?;
        self.hub.wake(&reported.woken);
        self.touch_attempts(&reported.touched);
        self.metrics.log_bytes.inc_by(bytes as u64);
        self.metrics.count_edges(&reported.edges);
        let stale = |answer: &&ReportAnswer| matches!(answer, ReportAnswer::Stale { .. });
        self.metrics
            .stale_reports
            .inc_by(reported.answers.iter().filter(stale).count() as u64);
        Ok(reported.answers)
    }

    /// Renews leases, and then waits for something that their holder must know.
    pub async fn heartbeat(
        &self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, ApiError> {
        let deadline = Instant::now() + self.wait(request.wait_ms);
        let mut orders = self.watchers.follow(Topic::Runner(request.runner));
        loop {
            let response = self.renew(request).await?;
            let news = response.drain
                || self.shutdown.is_draining()
                || response
                    .leases
                    .iter()
                    .any(|lease| *lease != LeaseStanding::Held);
            if news || Instant::now() >= deadline {
                return Ok(response);
            }
            tokio::select! {
                () = orders.changed() => {}
                () = tokio::time::sleep_until(deadline) => return Ok(response),
                () = self.shutdown.draining() => return Ok(response),
            }
        }
    }

    async fn renew(&self, request: &HeartbeatRequest) -> Result<HeartbeatResponse, ApiError> {
        let timings = &self.settings.timings;
        let durations = LeaseDurations {
            claimed: timings.claim_lease,
            running: timings.running_lease,
        };
        let leases = held(&request.leases);
        let answers = self
            .store
            .renew_leases(request.runner, leases, durations, self.clock.now())
            .await?;
        let leases = answers.into_iter().map(standing).collect();
        Ok(HeartbeatResponse {
            leases,
            drain: self.is_drained(request.runner),
        })
    }

    /// Takes back what a runner has not started.
    pub async fn release(&self, request: &ReleaseRequest) -> Result<(), ApiError> {
        let woken = self
            .store
            .release(held(&request.leases), self.clock.now())
            .await?;
        self.hub.wake(&woken);
        self.watchers.touch_any();
        Ok(())
    }

    /// A runner leaves the inventory.
    pub async fn goodbye(&self, runner: RunnerId) -> Result<(), ApiError> {
        lock(&self.seen).remove(&runner);
        lock(&self.draining).remove(&runner);
        Ok(self.store.forget_runner(runner).await?)
    }

    /// From now on the runner gets no work, and ends when it has none left.
    pub fn drain_runner(&self, runner: RunnerId) {
        lock(&self.draining).insert(runner);
        self.watchers.touch(Topic::Runner(runner));
    }

    fn is_drained(&self, runner: RunnerId) -> bool {
        lock(&self.draining).contains(&runner)
    }

    /// Writes to the inventory that a runner was heard of, now and then.
    async fn see(&self, class: &ClassName, request: &ClaimRequest) -> Result<(), ApiError> {
        let now = Instant::now();
        let runner = &request.runner;
        let known = lock(&self.seen).get(&runner.id).copied();
        if known.is_some_and(|at| now - at < CONTACT_INTERVAL) {
            return Ok(());
        }
        let contact = RunnerContact {
            id: runner.id,
            class: class.clone(),
            name: runner.name.clone(),
            hostname: runner.hostname.clone(),
            version: runner.version.clone(),
            slots: runner.slots,
        };
        self.store
            .see_runners(vec![contact], self.clock.now())
            .await?;
        lock(&self.seen).insert(runner.id, now);
        Ok(())
    }

    /// Drops runners from memory that fell silent, and from the inventory.
    pub(crate) async fn forget_silent_runners(&self) -> Result<u64, ApiError> {
        let age = self.settings.timings.forget_runner;
        let now = Instant::now();
        lock(&self.seen).retain(|_, at| now - *at < age);
        Ok(self.store.forget_runners(self.clock.now() - age).await?)
    }

    fn wait(&self, millis: u64) -> Duration {
        Duration::from_millis(millis).min(self.settings.timings.longest_wait)
    }
}

fn held(leases: &[outrider_api::runner::HeldLease]) -> Vec<HeldLease> {
    leases
        .iter()
        .map(|held| HeldLease {
            task: held.task,
            lease: held.lease,
        })
        .collect()
}

const fn standing(answer: LeaseAnswer) -> LeaseStanding {
    match answer {
        LeaseAnswer::Held => LeaseStanding::Held,
        LeaseAnswer::Stop => LeaseStanding::Stop,
        LeaseAnswer::Stale => LeaseStanding::Stale,
    }
}
