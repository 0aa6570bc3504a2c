//! What a runner needs of a server: HTTP in production, a network full of faults in simulations.

use async_trait::async_trait;
use bytes::Bytes;
use outrider_api::client::{Client, ClientError};
use outrider_api::continuation::{ContinuePipeline, Message};
use outrider_api::data::TaskSecrets;
use outrider_api::runner::{
    AppendLogResponse, ClaimRequest, ClaimResponse, GoodbyeRequest, HeartbeatRequest,
    HeartbeatResponse, ReleaseRequest, ReportRequest, ReportResponse,
};
use outrider_model::TaskId;
use outrider_model::secret::LeaseToken;

/// The calls of a runner. Every one can be repeated safely; an `Unreachable` error says nothing
/// about whether the call took effect.
#[async_trait]
pub trait ServerApi: Send + Sync {
    /// Claims tasks; waits for them on the server.
    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimResponse, ClientError>;
    /// Reports what happened to tasks.
    async fn report(&self, request: &ReportRequest) -> Result<ReportResponse, ClientError>;
    /// Sends a large piece of a log.
    async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        bytes: Bytes,
    ) -> Result<AppendLogResponse, ClientError>;
    /// The secrets of a task.
    async fn secrets(&self, task: TaskId, lease: LeaseToken) -> Result<TaskSecrets, ClientError>;
    /// Renews leases and learns of cancellations.
    async fn heartbeat(&self, request: &HeartbeatRequest)
    -> Result<HeartbeatResponse, ClientError>;
    /// Gives back what has not started.
    async fn release(&self, request: &ReleaseRequest) -> Result<(), ClientError>;
    /// Leaves the inventory.
    async fn goodbye(&self, request: &GoodbyeRequest) -> Result<(), ClientError>;
    /// Continues a pipeline, for a job. Unlike the others it has an effect once, and is refused after
    /// that.
    async fn continue_pipeline(&self, request: &ContinuePipeline) -> Result<Message, ClientError>;
}

#[async_trait]
impl ServerApi for Client {
    async fn claim(&self, request: &ClaimRequest) -> Result<ClaimResponse, ClientError> {
        Self::claim(self, request).await
    }

    async fn report(&self, request: &ReportRequest) -> Result<ReportResponse, ClientError> {
        Self::report(self, request).await
    }

    async fn append_log(
        &self,
        task: TaskId,
        lease: LeaseToken,
        offset: u64,
        bytes: Bytes,
    ) -> Result<AppendLogResponse, ClientError> {
        Self::append_log(self, task, lease, offset, bytes).await
    }

    async fn secrets(&self, task: TaskId, lease: LeaseToken) -> Result<TaskSecrets, ClientError> {
        self.task_secrets(task, lease).await
    }

    async fn heartbeat(
        &self,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatResponse, ClientError> {
        Self::heartbeat(self, request).await
    }

    async fn release(&self, request: &ReleaseRequest) -> Result<(), ClientError> {
        Self::release(self, request).await
    }

    async fn goodbye(&self, request: &GoodbyeRequest) -> Result<(), ClientError> {
        Self::goodbye(self, request).await
    }

    async fn continue_pipeline(&self, request: &ContinuePipeline) -> Result<Message, ClientError> {
        Self::continue_pipeline(self, request).await
    }
}
