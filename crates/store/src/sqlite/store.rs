//! The trait, method by method: who does it, and where.

use std::time::Duration;

use async_trait::async_trait;
use outrider_model::claim::ClaimedTask;
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::secret::{LeaseToken, TokenHash};
use outrider_model::{
    AttemptId, ClassName, JobId, PipelineId, RunnerId, TaskId, Timestamp, TokenId,
};

use super::fault::Res;
use super::{
    SqliteStore, continuation, explain, logs, messages, pipelines, queue, reports, tokens, views,
};
use crate::{
    CancelTarget, Canceled, Claim, Continuable, Continuation, Event, EventSeq, Expired,
    Explanation, HeldLease, JobDetail, LeaseAnswer, LeaseDurations, LogPosition, LogRead,
    NewPipeline, NewToken, OutboxMessage, Overdue, PipelineDetail, PipelineFilter, PipelineSummary,
    QueueDepth, RawClaimedTask, Reported, Reserved, Result, RunnerContact, RunnerRecord, Store,
    Submitted, TaskDetail, TokenRecord, Woken,
};

/// For operations that need no time.
pub const NO_TIME: Timestamp = Timestamp::from_millis(0);

#[async_trait]
impl Store for SqliteStore {
    async fn reserve_pipeline(&self, project: String, now: Timestamp) -> Result<Reserved> {
        self.writer
            .write("reserve", now, move |tx| tx.reserve(&project))
            .await
    }

    async fn submit_pipeline(&self, new: NewPipeline, now: Timestamp) -> Result<Submitted> {
        let prepared = pipelines::prepare(new).map_err(|fault| fault.outside("submit"))?;
        self.writer
            .write("submit", now, move |tx| tx.submit(&prepared))
            .await
    }

    async fn continuable(&self, key: TokenHash, now: Timestamp) -> Result<Option<Continuable>> {
        self.readers
            .brief("look up a continuation key", move |db| {
                continuation::continuable(db, key, now)
            })
            .await
    }

    async fn continue_pipeline(&self, new: Continuation, now: Timestamp) -> Result<Woken> {
        let prepared = continuation::prepare(new).map_err(|fault| fault.outside("continue"))?;
        self.writer
            .write("continue", now, move |tx| tx.continue_pipeline(&prepared))
            .await
    }

    async fn forget_pipelines(&self, keep: u32, now: Timestamp) -> Result<u64> {
        self.writer
            .write("forget pipelines", now, move |tx| tx.forget_pipelines(keep))
            .await
    }

    async fn pipelines(&self, filter: PipelineFilter) -> Result<Vec<PipelineSummary>> {
        self.readers
            .long("list pipelines", move |db| views::pipelines(db, &filter))
            .await
    }

    async fn pipeline(&self, id: PipelineId) -> Result<PipelineDetail> {
        self.readers
            .long("show a pipeline", move |db| views::pipeline(db, id))
            .await
    }

    async fn job(&self, id: JobId) -> Result<JobDetail> {
        self.readers
            .long("show a job", move |db| views::job(db, id))
            .await
    }

    async fn task(&self, id: TaskId) -> Result<TaskDetail> {
        self.readers
            .long("show a task", move |db| views::task(db, id))
            .await
    }

    async fn explain(&self, id: TaskId, connected_since: Timestamp) -> Result<Explanation> {
        self.readers
            .long("explain a task", move |db| {
                explain::explain(db, id, connected_since)
            })
            .await
    }

    async fn cancel(&self, what: CancelTarget, by: String, now: Timestamp) -> Result<Canceled> {
        self.writer
            .write("cancel", now, move |tx| tx.cancel(what, &by))
            .await
    }

    async fn approve(&self, job: JobId, by: String, now: Timestamp) -> Result<Woken> {
        self.writer
            .write("approve", now, move |tx| tx.approve(job, &by))
            .await
    }

    async fn end_long_waits(&self, now: Timestamp, limit: u32) -> Result<Overdue> {
        self.writer
            .write("end-long-waits", now, move |tx| tx.end_long_waits(limit))
            .await
    }

    async fn events(&self, id: PipelineId, after: EventSeq, limit: u32) -> Result<Vec<Event>> {
        self.readers
            .brief("read events", move |db| {
                messages::events(db, id, after, limit)
            })
            .await
    }

    async fn claim(&self, claim: Claim, now: Timestamp) -> Result<Vec<RawClaimedTask>> {
        let claimed = self
            .writer
            .write("claim", now, move |tx| tx.claim(&claim))
            .await?;
        let packed: Res<_> = claimed.into_iter().map(pack).collect();
        packed.map_err(|fault| fault.outside("claim"))
    }

    async fn report(
        &self,
        reports: Vec<Report>,
        running_lease: Duration,
        now: Timestamp,
    ) -> Result<Reported> {
        let prepared: Res<Vec<_>> = reports.into_iter().map(reports::prepare).collect();
        let prepared = prepared.map_err(|fault| fault.outside("report"))?;
        self.writer
            .write("report", now, move |tx| tx.report(&prepared, running_lease))
            .await
    }

    async fn release(&self, leases: Vec<HeldLease>, now: Timestamp) -> Result<Woken> {
        self.writer
            .write("release", now, move |tx| tx.release(&leases))
            .await
    }

    async fn renew_leases(
        &self,
        runner: RunnerId,
        leases: Vec<HeldLease>,
        durations: LeaseDurations,
        now: Timestamp,
    ) -> Result<Vec<LeaseAnswer>> {
        self.writer
            .write("renew", now, move |tx| tx.renew(runner, &leases, durations))
            .await
    }

    async fn expire_leases(&self, now: Timestamp, limit: u32) -> Result<Expired> {
        self.writer
            .write("expire", now, move |tx| tx.expire(limit))
            .await
    }

    async fn queue_depths(&self) -> Result<Vec<QueueDepth>> {
        self.readers.brief("count the queue", queue::depths).await
    }

    async fn log_position(&self, task: TaskId, lease: LeaseToken) -> Result<LogPosition> {
        let hash = lease.hash();
        self.readers
            .brief("find a log", move |db| logs::position(db, task, &hash))
            .await
    }

    async fn log_written(
        &self,
        task: TaskId,
        lease: LeaseToken,
        length: u64,
        now: Timestamp,
    ) -> Result<ReportAnswer> {
        let hash = lease.hash();
        self.writer
            .write("log", now, move |tx| tx.log_written(task, &hash, length))
            .await
    }

    async fn log_reset(&self, task: TaskId, lease: LeaseToken) -> Result<ReportAnswer> {
        let hash = lease.hash();
        self.writer
            .write("log-reset", NO_TIME, move |tx| tx.log_reset(task, &hash))
            .await
    }

    async fn read_log(&self, attempt: AttemptId, offset: u64, max: u32) -> Result<LogRead> {
        self.readers
            .brief("read a log", move |db| logs::read(db, attempt, offset, max))
            .await
    }

    async fn create_token(&self, token: NewToken, now: Timestamp) -> Result<TokenId> {
        self.writer
            .write("create-token", now, move |tx| tx.create_token(&token))
            .await
    }

    async fn find_token(&self, hash: TokenHash) -> Result<Option<TokenRecord>> {
        self.readers
            .brief("look up a token", move |db| tokens::find(db, hash))
            .await
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>> {
        self.readers.long("list tokens", tokens::all).await
    }

    async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<()> {
        self.writer
            .write("revoke-token", now, move |tx| tx.revoke_token(id))
            .await
    }

    async fn see_runners(&self, runners: Vec<RunnerContact>, now: Timestamp) -> Result<()> {
        self.writer
            .write("see-runners", now, move |tx| tx.see_runners(&runners))
            .await
    }

    async fn forget_runner(&self, runner: RunnerId) -> Result<()> {
        self.writer
            .write("forget-runner", NO_TIME, move |tx| tx.forget_runner(runner))
            .await
    }

    async fn forget_runners(&self, before: Timestamp) -> Result<u64> {
        self.writer
            .write("forget-runners", NO_TIME, move |tx| {
                tx.forget_runners(before)
            })
            .await
    }

    async fn runners(&self, class: Option<ClassName>) -> Result<Vec<RunnerRecord>> {
        self.readers
            .long("list runners", move |db| {
                tokens::runners(db, class.as_ref())
            })
            .await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        self.readers
            .long("read the outbox", move |db| messages::outbox(db, limit))
            .await
    }

    async fn outbox_done(&self, ids: Vec<u64>) -> Result<()> {
        self.writer
            .write("outbox-done", NO_TIME, move |tx| tx.outbox_done(&ids))
            .await
    }

    async fn ready(&self) -> Result<()> {
        self.writer.write("ready", NO_TIME, |tx| tx.ready()).await
    }
}

/// Puts the payload together.
fn pack(task: queue::Unpacked) -> Res<RawClaimedTask> {
    let ClaimedTask {
        task,
        attempt,
        lease,
        index,
        continuation_key,
        payload,
    } = task;
    Ok(ClaimedTask {
        task,
        attempt,
        lease,
        index,
        continuation_key,
        payload: payload.payload()?,
    })
}
