//! A server that takes nothing on trust: it notes every breach of the rules between runner and
//! server, and can be as unreliable as a network.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::client::ClientError;
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_api::data::TaskSecrets;
use outrider_api::error::{ErrorCode, ErrorDetail};
use outrider_api::runner::*;
use outrider_model::TaskId;
use outrider_model::claim::ClaimedTask;
use outrider_model::report::{Finished, LogSpan, Report, ReportAnswer, StepReport};
use outrider_model::secret::LeaseToken;
use outrider_runner::ServerApi;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;

/// What the server knows of a task.
#[derive(Debug)]
pub struct Record {
    pub task: ClaimedTask,
    pub claimed: bool,
    pub started: bool,
    pub released: bool,
    pub steps: Vec<StepReport>,
    pub spans: Vec<LogSpan>,
    pub log: Vec<u8>,
    pub finished: Option<Finished>,
    pub stop: bool,
    pub stale: bool,
    /// How often a log is said to be another one.
    pub mismatches: u32,
}

/// What goes wrong on the way.
#[derive(Debug, Default)]
pub struct Faults {
    /// No call gets through.
    pub away: bool,
    /// Calls have no effect but are answered late, are repeated, or lose their answer.
    pub chaos: Option<StdRng>,
    /// The token is not accepted.
    pub unauthorized: bool,
    /// Report answers are lost after the effect.
    pub lose_report_answers: bool,
}

#[derive(Debug, Default)]
pub struct State {
    pub tasks: HashMap<TaskId, Record>,
    pub queue: VecDeque<TaskId>,
    pub faults: Faults,
    pub violations: Vec<String>,
    pub drain: bool,
    pub claims: u32,
    pub heartbeats: u32,
    pub reports: u32,
    pub appends: u32,
    pub goodbyes: u32,
    /// What every task is given that asks.
    pub secrets: TaskSecrets,
    /// Why no task is given its secrets.
    pub secrets_refused: Option<ErrorCode>,
    /// Calls for secrets get no answer.
    pub secrets_away: bool,
    pub secret_calls: u32,
    /// Heartbeats that were told of a lost lease.
    pub told_stale: u32,
    late: Vec<Report>,
}

#[derive(Debug, Default)]
pub struct FakeServer {
    state: Mutex<State>,
    changed: Notify,
}

impl FakeServer {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes something, and wakes whoever waits.
    pub fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let answer = f(&mut self.state());
        self.changed.notify_waiters();
        answer
    }

    pub fn queue(&self, task: ClaimedTask) -> TaskId {
        let id = task.task;
        let record = Record {
            task,
            claimed: false,
            started: false,
            released: false,
            steps: Vec::new(),
            spans: Vec::new(),
            log: Vec::new(),
            finished: None,
            stop: false,
            stale: false,
            mismatches: 0,
        };
        self.change(|state| {
            state.tasks.insert(id, record);
            state.queue.push_back(id);
        });
        id
    }

    /// Waits until the condition holds.
    pub async fn until(&self, mut condition: impl FnMut(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    pub async fn finished(&self, task: TaskId) -> Finished {
        self.until(|state| state.tasks[&task].finished.is_some())
            .await;
        self.state().tasks[&task].finished.clone().unwrap()
    }

    pub fn log(&self, task: TaskId) -> String {
        String::from_utf8_lossy(&self.state().tasks[&task].log).into_owned()
    }

    /// Fails the test if the runner broke a rule.
    pub fn assert_lawful(&self) {
        assert_eq!(self.state().violations, Vec::<String>::new());
    }

    /// A call arrives, perhaps late; or it does not.
    async fn arrive(&self) -> Result<(), ClientError> {
        let (away, unauthorized, delay) = {
            let faults = &mut self.state().faults;
            let delay = faults
                .chaos
                .as_mut()
                .map(|random| random.random_range(0..40_u64));
            let cut = faults
                .chaos
                .as_mut()
                .is_some_and(|random| random.random_bool(0.2));
            (faults.away || cut, faults.unauthorized, delay)
        };
        if let Some(delay) = delay {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        if unauthorized {
            return Err(refused(401, ErrorCode::Unauthorized));
        }
        if away { Err(unreachable()) } else { Ok(()) }
    }

    /// The answer gets back, or does not.
    fn answer<T>(&self, answer: T) -> Result<T, ClientError> {
        let faults = &mut self.state().faults;
        let cut = faults
            .chaos
            .as_mut()
            .is_some_and(|random| random.random_bool(0.2));
        if cut || faults.away {
            Err(unreachable())
        } else {
            Ok(answer)
        }
    }
}

impl State {
    fn dice(&mut self, probability: f64) -> bool {
        self.faults
            .chaos
            .as_mut()
            .is_some_and(|random| random.random_bool(probability))
    }

    fn take_report(&mut self, report: &Report, late: bool) -> ReportAnswer {
        let mut wrong = Vec::new();
        let answer = match self.tasks.get_mut(&report.task) {
            None => stale(),
            Some(record) => record.take(report, late, &mut wrong),
        };
        self.violations.extend(wrong);
        answer
    }

    fn take_reports(&mut self, request: &ReportRequest) -> Vec<ReportAnswer> {
        for report in std::mem::take(&mut self.late) {
            self.take_report(&report, true);
        }
        if self.dice(0.2) {
            self.late.extend(request.reports.clone());
        }
        if self.dice(0.2) {
            for report in &request.reports {
                self.take_report(report, false);
            }
        }
        request
            .reports
            .iter()
            .map(|report| self.take_report(report, false))
            .collect()
    }
}

fn stale() -> ReportAnswer {
    ReportAnswer::Stale {
        message: "somebody else has it".to_owned(),
    }
}

impl Record {
    fn take(&mut self, report: &Report, late: bool, wrong: &mut Vec<String>) -> ReportAnswer {
        if self.stale || report.lease != self.task.lease || !self.claimed {
            return stale();
        }
        if let Some(finished) = &self.finished {
            if report
                .finished
                .as_ref()
                .is_some_and(|again| again != finished)
            {
                wrong.push(format!("finished twice, differently: {report:?}"));
            }
            return ReportAnswer::Accepted {
                log_length: self.log.len() as u64,
                stop: false,
            };
        }
        self.started |= report.started;
        for step in &report.steps {
            self.take_step(step, late);
        }
        for span in &report.spans {
            if !self.spans.contains(span) {
                self.spans.push(*span);
            }
        }
        if let Some(chunk) = &report.log {
            if chunk.offset > self.log.len() as u64 {
                return ReportAnswer::LogGap {
                    log_length: self.log.len() as u64,
                };
            }
            self.append(chunk.offset, &chunk.bytes, wrong);
        }
        if let Some(finished) = &report.finished {
            let same = finished.log_length == self.log.len() as u64
                && finished.log_hash.0 == *blake3::hash(&self.log).as_bytes();
            if !same && self.mismatches == 0 && !late {
                wrong.push("finished with a log that is not the one that was sent".to_owned());
            }
            if !same || self.mismatches > 0 {
                self.mismatches = self.mismatches.saturating_sub(1);
                self.log.clear();
                return ReportAnswer::LogMismatch {};
            }
            self.finished = Some(finished.clone());
        }
        ReportAnswer::Accepted {
            log_length: self.log.len() as u64,
            stop: self.stop,
        }
    }

    fn take_step(&mut self, step: &StepReport, late: bool) {
        match self
            .steps
            .iter_mut()
            .find(|known| known.index == step.index)
        {
            Some(known) if late && known.ended.is_some() => {}
            Some(known) => *known = step.clone(),
            None => self.steps.push(step.clone()),
        }
    }

    fn append(&mut self, offset: u64, bytes: &[u8], wrong: &mut Vec<String>) {
        let at = usize::try_from(offset).unwrap();
        let known = (self.log.len() - at).min(bytes.len());
        if self.log[at..at + known] != bytes[..known] {
            wrong.push(format!("other bytes at {offset} than before"));
        }
        self.log.extend_from_slice(&bytes[known..]);
    }
}

fn unreachable() -> ClientError {
    ClientError::Unreachable {
        url: "http://test".to_owned(),
        source: "no network".into(),
    }
}

fn refused(status: u16, code: ErrorCode) -> ClientError {
    let detail = ErrorDetail {
        code,
        message: format!("{code:?}"),
        advice: None,
        diagnostics: Vec::new(),
        rendered: None,
        missing_orbs: Vec::new(),
        request_id: None,
    };
    ClientError::Refused {
        status,
        detail: Box::new(detail),
    }
}

#[async_trait]
impl ServerApi for FakeServer {
    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimResponse, ClientError> {
        self.arrive().await?;
        self.change(|state| state.claims += 1);
        let some = self.until(|state| !state.queue.is_empty() || state.drain);
        let _ = tokio::time::timeout(Duration::from_millis(request.wait_ms), some).await;
        let (tasks, drain) = self.change(|state| {
            let count = state.queue.len().min(request.slots as usize);
            let ids: Vec<_> = state.queue.drain(..count).collect();
            let mut tasks = Vec::new();
            for id in ids {
                let record = state.tasks.get_mut(&id).unwrap();
                record.claimed = true;
                tasks.push(record.task.clone());
            }
            (tasks, state.drain)
        });
        // What is claimed in an answer that is cut is queued again when its lease ends.
        let claimed: Vec<_> = tasks.iter().map(|task| task.task).collect();
        self.answer(ClaimResponse { tasks, drain })
            .inspect_err(|_| {
                self.change(|state| state.queue.extend(claimed));
            })
    }

    async fn report(&self, request: &ReportRequest) -> Result<ReportResponse, ClientError> {
        self.arrive().await?;
        let answers = self.change(|state| {
            state.reports += 1;
            state.take_reports(request)
        });
        if self.state().faults.lose_report_answers {
            return Err(unreachable());
        }
        self.answer(ReportResponse { answers })
    }

    async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        bytes: Bytes,
    ) -> Result<AppendLogResponse, ClientError> {
        self.arrive().await?;
        let done = self.change(|state| {
            state.appends += 1;
            let mut wrong = Vec::new();
            let record = state.tasks.get_mut(&task).unwrap();
            if record.stale || record.task.lease != lease || record.finished.is_some() {
                return Err(refused(409, ErrorCode::StaleLease));
            }
            if offset > record.log.len() as u64 {
                return Err(refused(416, ErrorCode::LogGap));
            }
            record.append(offset, &bytes, &mut wrong);
            let answer = AppendLogResponse {
                log_length: record.log.len() as u64,
                stop: record.stop,
            };
            state.violations.extend(wrong);
            Ok(answer)
        });
        self.answer(done?)
    }

    async fn heartbeat(
        &self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, ClientError> {
        self.arrive().await?;
        self.change(|state| state.heartbeats += 1);
        let standing = |state: &State| -> Vec<LeaseStanding> {
            let one = |held: &HeldLease| match state.tasks.get(&held.task) {
                Some(record) if record.stale || record.finished.is_some() => LeaseStanding::Stale,
                Some(record) if record.stop => LeaseStanding::Stop,
                Some(_) => LeaseStanding::Held,
                None => LeaseStanding::Stale,
            };
            request.leases.iter().map(one).collect()
        };
        let news = self.until(|state| {
            standing(state)
                .iter()
                .any(|standing| *standing != LeaseStanding::Held)
        });
        let _ = tokio::time::timeout(Duration::from_millis(request.wait_ms), news).await;
        let leases = standing(&self.state());
        if leases.contains(&LeaseStanding::Stale) {
            self.change(|state| state.told_stale += 1);
        }
        self.answer(HeartbeatResponse {
            leases,
            drain: false,
        })
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), ClientError> {
        self.arrive().await?;
        self.change(|state| {
            for lease in &request.leases {
                let record = state.tasks.get_mut(&lease.task).unwrap();
                let known = record.started || record.finished.is_some();
                if known {
                    state
                        .violations
                        .push("gave back what had started".to_owned());
                } else {
                    record.released = true;
                }
            }
        });
        self.answer(())
    }

    async fn continue_pipeline(&self, _: &ContinuePipeline) -> Result<Message, ClientError> {
        self.arrive().await?;
        Err(refused(404, ErrorCode::NotFound))
    }

    async fn secrets(&self, _: TaskId, _: LeaseToken) -> Result<TaskSecrets, ClientError> {
        self.change(|state| state.secret_calls += 1);
        self.arrive().await?;
        if self.state().secrets_away {
            return Err(unreachable());
        }
        if let Some(code) = self.state().secrets_refused {
            return Err(refused(409, code));
        }
        let secrets = self.state().secrets.clone();
        self.answer(secrets)
    }

    async fn goodbye(&self, _: &GoodbyeRequest) -> Result<(), ClientError> {
        self.arrive().await?;
        self.change(|state| state.goodbyes += 1);
        self.answer(())
    }
}

pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
