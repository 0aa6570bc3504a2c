//! What Outrider remembers.
//!
//! [`Store`] is the serialisation point of the platform: every change is one transaction named
//! after what happened, and is committed and synced before the call returns (promise P3). Wake-ups
//! that callers derive from the answers are hints; the store is the truth.

#[macro_use]
pub mod contract;
mod data;
mod secrets;
pub mod sqlite;
mod types;

use std::time::Duration;

use async_trait::async_trait;
use outrider_model::report::{Report, ReportAnswer};
use outrider_model::secret::{LeaseToken, TokenHash};
use outrider_model::{
    AttemptId, ClassName, IllegalTransition, JobId, PipelineId, RunnerId, TaskId, Timestamp,
    TokenId,
};

pub use data::*;
pub use secrets::*;
pub use types::*;

/// The longest log that the store keeps itself, in bytes. A longer one lies in a file of the
/// server, and the store keeps its length: see [`Store::log_written`].
pub const INLINE_LOG_MAX: u64 = 64 * 1024;

/// How often a task may be claimed without a first step before it is given up as lost.
pub const MAX_CLAIMS_WITHOUT_START: u32 = 5;

/// How long a job may wait for its turn in a group.
pub const LONGEST_TURN_WAIT: Duration = Duration::from_secs(5 * 3_600);

/// How long after its submission a pipeline may be continued.
pub const LONGEST_SETUP: Duration = Duration::from_secs(6 * 3_600);

/// The memory of a server.
///
/// # Contract
///
/// - Each method is one transaction. `Ok` means committed and synced; on `Err` nothing changed.
/// - `now` is the caller's clock. Nothing in here looks at another one.
/// - Every mutating method can be repeated safely with the same arguments.
/// - Methods may be called at the same time; they take effect in some order.
/// - The cost of `claim`, `report` and `renew_leases` does not grow with the number of queued tasks.
#[async_trait]
pub trait Store: DataStore + SecretStore {
    // ---- pipelines ----

    /// Takes an id and a number for a pipeline of a project, so that its config can name them
    /// before it is compiled. One that is never submitted leaves a gap.
    async fn reserve_pipeline(&self, project: String, now: Timestamp) -> Result<Reserved>;

    /// Writes a pipeline with its workflows, jobs and tasks. Jobs without requirements are queued.
    /// With the same `idempotency_key` as an earlier call it answers with that call's pipeline.
    async fn submit_pipeline(&self, new: NewPipeline, now: Timestamp) -> Result<Submitted>;

    /// What the holder of this key may continue, or nothing if the key is unknown. It is an error
    /// if it is too late.
    async fn continuable(&self, key: TokenHash, now: Timestamp) -> Result<Option<Continuable>>;

    /// Adds the workflows of another plan to the pipeline that the key is for, once. The key is
    /// good while the attempt that holds it runs, and for [`LONGEST_SETUP`].
    async fn continue_pipeline(&self, new: Continuation, now: Timestamp) -> Result<Woken>;

    /// The newest pipelines first, `limit` of them, older than `before` if given; only those of
    /// `project` if given.
    async fn pipelines(&self, filter: PipelineFilter) -> Result<Vec<PipelineSummary>>;

    /// One pipeline with its workflows and jobs.
    async fn pipeline(&self, id: PipelineId) -> Result<PipelineDetail>;

    /// One job with its tasks.
    async fn job(&self, id: JobId) -> Result<JobDetail>;

    /// One task with its attempts and their steps.
    async fn task(&self, id: TaskId) -> Result<TaskDetail>;

    /// Why a task is where it is. `connected_since` is the time of last contact from which on a
    /// runner counts as connected.
    async fn explain(&self, id: TaskId, connected_since: Timestamp) -> Result<Explanation>;

    /// Ends what has not started and asks the runners to stop what has. What has already ended
    /// stays as it is, so canceling twice is the same as canceling once.
    async fn cancel(&self, what: CancelTarget, by: String, now: Timestamp) -> Result<Canceled>;

    /// An approval job passes, if it is on hold. Approving it again changes nothing.
    async fn approve(&self, job: JobId, by: String, now: Timestamp) -> Result<Woken>;

    /// Cancels jobs that have waited longer than [`LONGEST_TURN_WAIT`] for their turn in a group,
    /// `limit` at most.
    async fn end_long_waits(&self, now: Timestamp, limit: u32) -> Result<Overdue>;

    /// Forgets all but the newest `keep` pipelines of each project; tells how many. Those that have
    /// not ended stay, and what jobs have saved stays until its time is over.
    async fn forget_pipelines(&self, keep: u32, now: Timestamp) -> Result<u64>;

    /// What happened after `after`, oldest first, `limit` events at most; of one pipeline.
    async fn events(&self, pipeline: PipelineId, after: EventSeq, limit: u32)
    -> Result<Vec<Event>>;

    // ---- the queue ----

    /// Gives up to `slots` queued tasks of a class to a runner, the longest queued first.
    async fn claim(&self, claim: Claim, now: Timestamp) -> Result<Vec<RawClaimedTask>>;

    /// Takes reports of runners. Each stands or falls for itself: a stale one does not hinder the
    /// others. `running_lease` is how long a lease is from the first step on.
    ///
    /// A log chunk is appended where the log ends; what overlaps is taken as sent before. A
    /// `finished` is accepted only if the log has the length and the hash that it names. For a log
    /// longer than [`INLINE_LOG_MAX`] the caller has checked the hash.
    async fn report(
        &self,
        reports: Vec<Report>,
        running_lease: Duration,
        now: Timestamp,
    ) -> Result<Reported>;

    /// Gives claimed tasks back to the queue before their first step. A lease that is not held
    /// any more, or under which a step has started, is passed over.
    async fn release(&self, leases: Vec<HeldLease>, now: Timestamp) -> Result<Woken>;

    /// A runner is alive and holds these leases. Answers in the order of `leases`.
    async fn renew_leases(
        &self,
        runner: RunnerId,
        leases: Vec<HeldLease>,
        durations: LeaseDurations,
        now: Timestamp,
    ) -> Result<Vec<LeaseAnswer>>;

    /// Ends leases that ran out, `limit` at most. A task whose attempt had not started is queued
    /// again, or lost after [`MAX_CLAIMS_WITHOUT_START`]; one that had started is lost, or queued
    /// again where its job says so; the log of an attempt that ends here ends with a mark.
    async fn expire_leases(&self, now: Timestamp, limit: u32) -> Result<Expired>;

    /// How much is queued and running, by class. Its cost grows with the number of classes only.
    async fn queue_depths(&self) -> Result<Vec<QueueDepth>>;

    // ---- logs ----

    /// Where the log of the attempt that holds this lease stands: asked before bytes are written
    /// to its file.
    async fn log_position(&self, task: TaskId, lease: LeaseToken) -> Result<LogPosition>;

    /// From 0 up to `length` the log of the leased attempt now lies in its file, synced. What the
    /// store held of it is dropped. A length below the known one changes nothing.
    async fn log_written(
        &self,
        task: TaskId,
        lease: LeaseToken,
        length: u64,
        now: Timestamp,
    ) -> Result<ReportAnswer>;

    /// Forgets the log of the leased attempt, so that it can be sent again from 0.
    async fn log_reset(&self, task: TaskId, lease: LeaseToken) -> Result<ReportAnswer>;

    /// Reads the part of an attempt's log that the store holds, from `offset` on, `max` bytes at
    /// most, and tells where the rest is.
    async fn read_log(&self, attempt: AttemptId, offset: u64, max: u32) -> Result<LogRead>;

    // ---- tokens and runners ----

    /// Keeps a new token. A class exists from its first token on.
    async fn create_token(&self, token: NewToken, now: Timestamp) -> Result<TokenId>;

    /// The token with this hash, unless it is unknown or revoked.
    async fn find_token(&self, hash: TokenHash) -> Result<Option<TokenRecord>>;

    /// All tokens, newest first, revoked ones included.
    async fn tokens(&self) -> Result<Vec<TokenRecord>>;

    /// A token is good no longer.
    async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<()>;

    /// A runner was heard of.
    async fn see_runners(&self, runners: Vec<RunnerContact>, now: Timestamp) -> Result<()>;

    /// A runner says goodbye: it leaves the inventory at once.
    async fn forget_runner(&self, runner: RunnerId) -> Result<()>;

    /// Drops runners from the inventory that were not heard of since `before`; tells how many.
    async fn forget_runners(&self, before: Timestamp) -> Result<u64>;

    /// The inventory, of one class if given.
    async fn runners(&self, class: Option<ClassName>) -> Result<Vec<RunnerRecord>>;

    // ---- the outbox ----

    /// The oldest messages that wait to be sent to the outside.
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>>;

    /// These messages were delivered, or are given up.
    async fn outbox_done(&self, ids: Vec<u64>) -> Result<()>;

    // ---- the store itself ----

    /// Whether it can write: an empty transaction, committed and synced.
    async fn ready(&self) -> Result<()>;
}

/// The answer of a store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// What was asked for: `pipeline`, `job`, …
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The lease is not held any more, or the state does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// What was asked for contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The disk under the store is full. Nothing is lost; it goes on when there is room.
    #[error("the disk under the store is full")]
    DiskFull,
    /// Another server has the data folder open.
    #[error("another server has {path} open")]
    Locked {
        /// The folder.
        path: String,
    },
    /// The store was written by a newer version.
    #[error(
        "{path} was written by a newer version of Outrider (schema {found}, this one knows {known})"
    )]
    TooNew {
        /// The store.
        path: String,
        /// Its schema version.
        found: u32,
        /// The newest schema version that this program knows.
        known: u32,
    },
    /// The backend failed.
    #[error("the store failed while it tried to {action}")]
    Backend {
        /// What it was doing.
        action: &'static str,
        /// What the backend said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
