//! Looks at what a runner says to its server: when work was acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::client::{Client, ClientError};
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_api::data::TaskSecrets;
use outrider_api::runner::{
    AppendLogResponse, ClaimRequest, ClaimResponse, GoodbyeRequest, HeartbeatRequest,
    HeartbeatResponse, ReleaseRequest, ReportRequest, ReportResponse,
};
use outrider_model::report::{Finished, ReportAnswer};
use outrider_model::secret::LeaseToken;
use outrider_model::{Outcome, TaskId};
use outrider_runner::ServerApi;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::failure::{Failure, code};

/// What was acknowledged so far, by all runners that share it.
#[derive(Default)]
pub struct Seen {
    finished: AtomicU64,
    first_byte: Mutex<Option<Instant>>,
    /// Why a task did not pass: then nothing is worth measuring.
    failed: OnceLock<String>,
    changed: Notify,
}

impl Seen {
    /// How many tasks were acknowledged as finished.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Waits until so many were. All of them must have passed.
    pub async fn wait_for(&self, finished: u64) -> Result<(), Failure> {
        loop {
            let changed = self.changed.notified();
            if let Some(why) = self.failed.get() {
                let text = format!("a measured job has not passed: {why}");
                return Err(Failure::new(code::FAILED, text));
            }
            if self.finished() >= finished {
                return Ok(());
            }
            changed.await;
        }
    }

    /// When the first log bytes since the last call were acknowledged.
    pub fn take_first_byte(&self) -> Option<Instant> {
        self.first_byte
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn has_ended(&self, end: &Finished) {
        if end.outcome != Outcome::Passed {
            let why = end.reason.as_ref().map(ToString::to_string);
            let _ = self.failed.set(why.unwrap_or_default());
        }
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    fn log_acknowledged(&self) {
        let mut first = self
            .first_byte
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(Instant::now);
    }
}

/// A client that notes what is acknowledged.
pub struct Tap {
    client: Client,
    seen: Arc<Seen>,
}

impl Tap {
    /// Looks at what goes through this client.
    pub const fn new(client: Client, seen: Arc<Seen>) -> Self {
        Self { client, seen }
    }
}

#[async_trait]
impl ServerApi for Tap {
    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimResponse, ClientError> {
        self.client.claim(request).await
    }

    async fn report(&self, request: &ReportRequest) -> Result<ReportResponse, ClientError> {
        let response = self.client.report(request).await?;
        for (report, answer) in request.reports.iter().zip(&response.answers) {
            if !matches!(answer, ReportAnswer::Accepted { .. }) {
                continue;
            }
            if report.log.is_some() {
                self.seen.log_acknowledged();
            }
            if let Some(end) = &report.finished {
                self.seen.has_ended(end);
            }
        }
        Ok(response)
    }

    async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        bytes: Bytes,
    ) -> Result<AppendLogResponse, ClientError> {
        let response = self.client.append_log(task, lease, offset, bytes).await?;
        self.seen.log_acknowledged();
        Ok(response)
    }

    async fn secrets(&self, task: TaskId, lease: LeaseToken) -> Result<TaskSecrets, ClientError> {
        self.client.task_secrets(task, lease).await
    }

    async fn heartbeat(
        &self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, ClientError> {
        self.client.heartbeat(request).await
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), ClientError> {
        self.client.release(request).await
    }

    async fn goodbye(&self, request: &GoodbyeRequest) -> Result<(), ClientError> {
        self.client.goodbye(request).await
    }

    async fn continue_pipeline(&self, request: &ContinuePipeline) -> Result<Message, ClientError> {
        self.client.continue_pipeline(request).await
    }
}
