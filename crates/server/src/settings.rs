//! What can be set, and the defaults.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use outrider_model::ClassName;
use outrider_model::secret::Token;

/// How a server listens and what it does.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where logs that are too long for the store lie.
    pub log_directory: PathBuf,
    /// Certificate and key, to speak TLS.
    pub tls: Option<TlsFiles>,
    /// Whether a proxy in front of it speaks TLS, so that it may listen to others without.
    pub behind_tls_proxy: bool,
    /// How long things may take.
    pub timings: Timings,
    /// Where jobs are queued that name no class, or one without a namespace.
    pub default_class: ClassName,
    /// Queues every job here, whatever class it names: for a server whose only runner takes all.
    pub every_job_in: Option<ClassName>,
    /// Whether a job fails that names a context that is not there. Without it runs without.
    pub contexts_must_exist: bool,
    /// Whom to tell when jobs and pipelines end.
    pub webhook: Option<Webhook>,
    /// How long data of jobs is kept, and how much of it.
    pub data: DataSettings,
}

/// How long data of jobs is kept, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct DataSettings {
    /// How long caches are kept whose job says nothing.
    pub cache_retention: Duration,
    /// How long workspaces are kept.
    pub workspace_retention: Duration,
    /// How long artifacts are kept.
    pub artifact_retention: Duration,
    /// How long test results are kept.
    pub results_retention: Duration,
    /// How many bytes a project may have in the blob store before its caches go, the least recently
    /// used first. None: any.
    pub project_quota: Option<u64>,
    /// How many bytes stay free on the disk of the blob store. None: a twentieth of it, or 1 GiB
    /// where that is more.
    pub min_free_space: Option<u64>,
}

impl Default for DataSettings {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3_600);
        Self {
            cache_retention: days(15),
            workspace_retention: days(15),
            artifact_retention: days(30),
            results_retention: days(30),
            project_quota: None,
            min_free_space: None,
        }
    }
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificates: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Where the outbox goes.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Gets a POST for each message.
    pub url: String,
    /// Signs the bodies, if given.
    pub secret: Option<Token>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// How long a runner may stay silent between its claim and its first step.
    pub claim_lease: Duration,
    /// How long a runner may stay silent while steps run.
    pub running_lease: Duration,
    /// For how long after a start no lease is expired, so that runners can renew first.
    pub startup_grace: Duration,
    /// The longest that a call may wait for work.
    pub longest_wait: Duration,
    /// After how long without contact the inventory forgets a runner.
    pub forget_runner: Duration,
    /// How long a runner counts as connected after its last contact.
    pub connected: Duration,
    /// How long open requests may take after the server was asked to end.
    pub drain: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            claim_lease: Duration::from_secs(20),
            running_lease: Duration::from_secs(300),
            startup_grace: Duration::from_secs(60),
            longest_wait: Duration::from_secs(60),
            forget_runner: Duration::from_secs(12 * 3600),
            connected: Duration::from_secs(90),
            drain: Duration::from_secs(10),
        }
    }
}
