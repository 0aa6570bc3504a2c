//! The way between a runner and a server, with all that goes wrong on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::client::ClientError;
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_api::data::TaskSecrets;
use outrider_api::error::{ErrorCode, ErrorDetail};
use outrider_api::runner::{
    AppendLogResponse, ClaimRequest, ClaimResponse, GoodbyeRequest, HeartbeatRequest,
    HeartbeatResponse, ReleaseRequest, ReportRequest, ReportResponse,
};
use outrider_model::claim::{ClaimedTask, TaskPayload};
use outrider_model::report::ReportAnswer;
use outrider_model::secret::LeaseToken;
use outrider_model::{ClassName, TaskId};
use outrider_runner::ServerApi;
use outrider_server::{ApiError, Core};
use serde_json::value::RawValue;

use crate::random::Seeded;

/// How often what goes wrong, in percent of all calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The request does not arrive.
    pub request_lost: u32,
    /// The answer does not arrive: the caller cannot know what happened.
    pub answer_lost: u32,
    /// The request arrives twice.
    pub doubled: u32,
    /// The call takes up to this long on its way, so that later calls overtake it.
    pub delay: Duration,
}

/// Where the server is, if it is up: shared by all links to it.
pub type ServerSlot = Arc<Mutex<Option<Arc<Core>>>>;

/// One runner's way to the server.
pub struct Link {
    server: ServerSlot,
    class: ClassName,
    random: Arc<Seeded>,
    faults: Mutex<Faults>,
    cut: AtomicBool,
}

impl Link {
    /// A link for runners of a class, without faults.
    pub fn new(server: ServerSlot, class: ClassName, random: Arc<Seeded>) -> Self {
        Self {
            server,
            class,
            random,
            faults: Mutex::default(),
            cut: AtomicBool::new(false),
        }
    }

    /// From now on so much goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Cuts the cable, or mends it.
    pub fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    /// The way there. Fails where the request is lost; tells whether it arrives twice.
    async fn there(&self) -> Result<(Arc<Core>, bool), ClientError> {
        let faults = *self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        // Even a loopback call takes a moment; without one, retries would stop the clock.
        let delay = self.random.below(faults.delay.as_millis() as u64 + 1);
        tokio::time::sleep(Duration::from_millis(delay.max(1))).await;
        if self.cut.load(Ordering::Relaxed) || self.random.percent(faults.request_lost) {
            return Err(unreachable());
        }
        let server = self
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let server = server.ok_or_else(unreachable)?;
        Ok((server, self.random.percent(faults.doubled)))
    }

    /// The way back.
    async fn back<T>(
        &self,
        server: &Arc<Core>,
        answer: Result<T, ApiError>,
    ) -> Result<T, ClientError> {
        let faults = *self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let delay = self.random.below(faults.delay.as_millis() as u64 + 1);
        tokio::time::sleep(Duration::from_millis(delay.max(1))).await;
        let same = {
            let now = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            now.as_ref().is_some_and(|now| Arc::ptr_eq(now, server))
        };
        let lost = !same || self.cut.load(Ordering::Relaxed);
        if lost || self.random.percent(faults.answer_lost) {
            return Err(unreachable());
        }
        answer.map_err(refused)
    }
}

/// Calls the server as the network lets it: not at all, once, twice, with or without an answer.
macro_rules! over {
    ($link:ident, |$core:ident| $call:expr) => {{
        let ($core, twice) = $link.there().await?;
        if twice {
            let _ = $call.await;
        }
        let answer = $call.await;
        $link.back(&$core, answer).await
    }};
}

#[async_trait]
impl ServerApi for Link {
    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimResponse, ClientError> {
        // A claim that arrives twice gives out work twice; the half that nobody holds comes back
        // when its lease ends. Here that would only slow simulations down.
        let (core, _) = self.there().await?;
        let answer = core.claim(&self.class, request).await;
        let response = self.back(&core, answer).await?;
        let tasks = response.tasks.iter().map(read).collect::<Result<_, _>>()?;
        Ok(ClaimResponse {
            tasks,
            drain: response.drain,
        })
    }

    async fn report(&self, request: &ReportRequest) -> Result<ReportResponse, ClientError> {
        let answers = over!(self, |core| core.report(request.reports.clone()))?;
        Ok(ReportResponse { answers })
    }

    async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        bytes: Bytes,
    ) -> Result<AppendLogResponse, ClientError> {
        match over!(self, |core| core.append_log(
            task,
            lease,
            offset,
            vec![bytes.clone()]
        ))? {
            ReportAnswer::Accepted { log_length, stop } => {
                Ok(AppendLogResponse { log_length, stop })
            }
            ReportAnswer::Stale { message } => {
                Err(refused(ApiError::new(ErrorCode::StaleLease, message)))
            }
            ReportAnswer::LogGap { log_length } => Err(refused(ApiError::new(
                ErrorCode::LogGap,
                format!("the log has {log_length} bytes: send from there"),
            ))),
            ReportAnswer::LogMismatch {} => Err(refused(ApiError::new(
                ErrorCode::LogGap,
                "the log has 0 bytes: send from there",
            ))),
        }
    }

    async fn secrets(&self, task: TaskId, lease: LeaseToken) -> Result<TaskSecrets, ClientError> {
        over!(self, |core| core.task_secrets(task, lease))
    }

    async fn heartbeat(
        &self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, ClientError> {
        let (core, _) = self.there().await?;
        let answer = core.heartbeat(request).await;
        self.back(&core, answer).await
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), ClientError> {
        over!(self, |core| core.release(request))
    }

    async fn goodbye(&self, request: &GoodbyeRequest) -> Result<(), ClientError> {
        over!(self, |core| core.goodbye(request.runner))
    }

    async fn continue_pipeline(&self, request: &ContinuePipeline) -> Result<Message, ClientError> {
        let (core, _) = self.there().await?;
        let answer = core.continue_pipeline(request.clone()).await;
        self.back(&core, answer).await?;
        Ok(Message {
            message: "Accepted.".to_owned(),
            missing_orbs: Vec::new(),
        })
    }
}

fn read(task: &ClaimedTask<Box<RawValue>>) -> Result<ClaimedTask, ClientError> {
    let payload: TaskPayload =
        serde_json::from_str(task.payload.get()).map_err(|error| ClientError::Protocol {
            url: "simulated".to_owned(),
            problem: error.to_string(),
        })?;
    Ok(ClaimedTask {
        task: task.task,
        attempt: task.attempt,
        lease: task.lease,
        index: task.index,
        continuation_key: task.continuation_key.clone(),
        payload,
    })
}

fn unreachable() -> ClientError {
    ClientError::Unreachable {
        url: "simulated".to_owned(),
        source: "the network is faulty".into(),
    }
}

fn refused(error: ApiError) -> ClientError {
    let status = error.status().as_u16();
    let detail: ErrorDetail = error.into_detail(None);
    ClientError::Refused {
        status,
        detail: Box::new(detail),
    }
}
